"""camera_info to cameras: cached, read again when it changes, refused when it cannot be used."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from recon3d_ros.errors import CalibrationError
from recon3d_ros.geometry import StereoRig
from recon3d_ros.messages.camera_info import CalibrationCache
from recon3d_ros.ros.bridge.conversions import camera_to_info, ns_to_stamp

TOPICS = ("left/camera_info", "right/camera_info")
RIG = StereoRig.simple(64, 48, fx=50.0, baseline_m=0.1, cx=30.0, cy=25.0, doffs_px=0.5)


def infos():
    return {
        topic: camera_to_info(camera, 0, "optical") for topic, camera in zip(TOPICS, (RIG.left, RIG.right))
    }


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture
def cache():
    cache = CalibrationCache(TOPICS, rectify=False)
    for topic, info in infos().items():
        assert cache.update(topic, info)
    return cache


def test_a_new_stamp_is_no_change(cache):
    calibration = cache.current()
    info = infos()["left/camera_info"]
    info.header.stamp = ns_to_stamp(99)
    assert not cache.update("left/camera_info", info)
    assert cache.current() is calibration


def changes():
    def roi(info):
        info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 0, 0, 64, 48

    def set_field(name, value):
        return lambda info: setattr(info, name, value)

    def set_item(name):
        return lambda info: getattr(info, name).__setitem__(0, getattr(info, name)[0] + 0.5)

    fields = {
        "width": 65,
        "height": 49,
        "binning_x": 2,
        "binning_y": 2,
        "d": [0.1],
        "distortion_model": "other",
    }
    named = {name: set_field(name, value) for name, value in fields.items()}
    return named | {name: set_item(name) for name in ("k", "r", "p")} | {"roi": roi}


@pytest.mark.parametrize("name", changes())
def test_every_field_counts_as_a_change(cache, name):
    info = copy.deepcopy(infos()["left/camera_info"])
    changes()[name](info)
    assert cache.update("left/camera_info", info)
    assert not cache.update("left/camera_info", info)


def test_a_topic_that_has_not_sent_is_named():
    cache = CalibrationCache(TOPICS, rectify=False)
    cache.update("left/camera_info", infos()["left/camera_info"])
    with pytest.raises(CalibrationError, match="camera_info on right/camera_info, got none"):
        cache.current()


def test_bad_after_good_is_refused_and_good_again_works(cache):
    cache.current()
    cache.update("right/camera_info", CameraInfo(width=64, height=48))
    for _ in range(2):
        with pytest.raises(CalibrationError, match=r"K\[0\] = 0"):
            cache.current()
    cache.update("right/camera_info", infos()["right/camera_info"])
    frame = cache.current().frame(5, picture(0), picture(7))
    assert frame.is_stereo and frame.rig == RIG.as_rectified() and frame.stamp_ns == 5


def test_wrong_image_size(cache):
    with pytest.raises(CalibrationError, match="the image is 63x48"):
        cache.current().frame(0, picture(0)[:, 1:], picture(7)[:, 1:])
    assert np.array_equal(cache.current().frame(0, *[picture(i) for i in (0, 7)]).image, picture(0))


def test_an_absurd_size_is_refused_before_the_maps_of_rectification_are_made():
    raw = infos()[TOPICS[0]]
    raw.d, raw.width, raw.height = [0.1, 0.0, 0.0, 0.0, 0.0], 2**31, 2**31  # maps of 2^62 pixels
    cache = CalibrationCache(TOPICS[:1], rectify=True)
    cache.update(TOPICS[0], raw)
    with pytest.raises(CalibrationError, match="the image is 64x48"):
        cache.current().frame(0, picture(0), None)
