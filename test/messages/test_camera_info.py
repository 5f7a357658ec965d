"""camera_info to cameras: cached, read again when it changes, refused when it cannot be used."""

from __future__ import annotations

import copy
import dataclasses
import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from recon3d_ros.errors import CalibrationError
from recon3d_ros.geometry import Rectifier, StereoRig
from recon3d_ros.messages.camera_info import LATEST_NS, CalibrationCache
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
    calibration = cache.at(0)
    info = infos()["left/camera_info"]
    info.header.stamp = ns_to_stamp(99)
    assert not cache.update("left/camera_info", info)
    assert cache.at(0) is calibration


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
        cache.at(0)


def test_bad_after_good_is_refused_and_good_again_works(cache):
    cache.at(0)
    cache.update("right/camera_info", CameraInfo(width=64, height=48))
    for _ in range(2):
        with pytest.raises(CalibrationError, match=r"K\[0\] = 0"):
            cache.at(0)
    cache.update("right/camera_info", infos()["right/camera_info"])
    frame = cache.at(0).frame(5, picture(0), picture(7))
    assert frame.is_stereo and frame.rig == RIG.as_rectified() and frame.stamp_ns == 5


def test_wrong_image_size(cache):
    with pytest.raises(CalibrationError, match="the image is 63x48"):
        cache.at(0).frame(0, picture(0)[:, 1:], picture(7)[:, 1:])
    assert np.array_equal(cache.at(0).frame(0, *[picture(i) for i in (0, 7)]).image, picture(0))


@pytest.mark.parametrize("rectify", [False, True])
def test_the_rotation_of_a_camera_alone_may_be_left_out(rectify):
    """R is for stereo cameras, as CameraInfo.msg has it, and all zeros in a new message."""
    info = infos()["left/camera_info"]
    info.k, info.d = np.array([80.0, 0, 30, 0, 80, 25, 0, 0, 1]), [-0.3, 0.05, 0.0, 0.0, 0.0]
    frames = []
    for r in (np.eye(3).ravel(), np.zeros(9)):
        info.r = r
        cache = CalibrationCache(TOPICS[:1], rectify=rectify)
        cache.update(TOPICS[0], info)
        frames.append(cache.at(0).frame(5, picture(0), None))
    for a, b in ((frames[0].valid, frames[1].valid), (frames[0].image, frames[1].image)):
        np.testing.assert_array_equal(a, b)
    assert 0.3 < frames[1].valid.mean() < 0.9


@pytest.mark.parametrize(
    "unusable",
    [{}, {"distortion_model": "of its own"}, {"r": np.zeros(9)}, {"k": np.array([50.0, 0, np.nan] * 3)}],
)
def test_images_that_others_rectified_show_what_the_raw_camera_saw(unusable):
    """By K, D and R, as image_proc leaves them in camera_info; P alone counts where these are of no use."""
    cache = CalibrationCache(TOPICS, rectify=False)
    for topic, info in infos().items():
        # A lens that sees less than P shows.
        info.k, info.d = np.array([80.0, 0, 30, 0, 80, 25, 0, 0, 1]), [-0.3, 0.05, 0.0, 0.0, 0.0]
        for name, value in unusable.items():
            setattr(info, name, value)
        cache.update(topic, info)
    black = np.zeros_like(picture(0))
    black[20:30, 25:35] = 200
    frame = cache.at(0).frame(5, black, black)
    assert frame.rig == RIG.as_rectified() and frame.doubts == ()
    np.testing.assert_array_equal(frame.image[20:30, 25:35], 200)
    if unusable:
        assert frame.valid is None and frame.right_valid is None
        return
    k, d = np.array([[80.0, 0, 30], [0, 80, 25], [0, 0, 1]]), np.array([-0.3, 0.05, 0, 0, 0])
    for camera, valid in zip((RIG.left, RIG.right), (frame.valid, frame.right_valid)):
        np.testing.assert_array_equal(valid, Rectifier(dataclasses.replace(camera, k=k, d=d)).valid)
        assert 0.3 < valid.mean() < 0.9


def test_an_absurd_size_is_refused_before_the_maps_of_rectification_are_made():
    raw = infos()[TOPICS[0]]
    cache = CalibrationCache(TOPICS[:1], rectify=True)
    for side, why in ((2**31, "at most 67108864 px"), (2**13, "the image is 64x48")):  # 2^62 and 2^26 pixels
        raw.d, raw.width, raw.height = [0.1, 0.0, 0.0, 0.0, 0.0], side, side
        cache.update(TOPICS[0], raw)
        with pytest.raises(CalibrationError, match=why):
            cache.at(0).frame(0, picture(0), None)


FIELDS = "header height width distortion_model d r p binning_x binning_y roi".split()


def focal(cache, stamp_ns):
    return cache.at(stamp_ns).frame(stamp_ns, picture(0), picture(1)).rig.fx


def info_of(fx, stamp_ns, side=0):
    rig = StereoRig.simple(64, 48, fx=fx, baseline_m=0.1)
    return camera_to_info((rig.left, rig.right)[side], stamp_ns, "optical")


def tell(cache, fx, stamp_ns):
    return [cache.update(topic, info_of(fx, stamp_ns, side)) for side, topic in enumerate(TOPICS)]


@pytest.mark.parametrize("whole_record", [False, True])
def test_a_frame_gets_what_held_at_its_stamp(whole_record):
    cache = CalibrationCache(TOPICS, rectify=False, whole_record=whole_record)
    tell(cache, 50.0, 1000)
    tell(cache, 60.0, 2000)
    assert focal(cache, 1999) == 50.0  # an image that comes later than the camera_info behind it
    assert focal(cache, 2000) == 60.0
    assert focal(cache, 0) == 50.0
    assert cache.at(1500) is cache.at(1999)
    tell(cache, 50.0, 1000)  # a bag that starts over
    assert focal(cache, 1500) == 50.0


@pytest.mark.parametrize("whole_record", [False, True])
def test_a_bag_that_starts_over_has_its_first_calibration_again_though_stamped_behind_the_image(whole_record):
    cache = CalibrationCache(TOPICS, rectify=False, whole_record=whole_record)
    tell(cache, 50.0, 1001)
    tell(cache, 60.0, 2001)
    tell(cache, 50.0, 1001)
    assert focal(cache, 1000) == 50.0


def test_camera_info_by_another_clock_holds_as_soon_as_it_comes():
    cache = CalibrationCache(TOPICS, rectify=False)
    tell(cache, 50.0, 7 * LATEST_NS)
    tell(cache, 60.0, 9 * LATEST_NS)  # once, as by a latched topic
    assert focal(cache, 5) == 60.0  # by the clock of the camera, which begins when it is switched on
    assert focal(cache, 8 * LATEST_NS - 1) == 60.0  # time that was set back
    assert focal(cache, 8 * LATEST_NS) == 50.0  # an image on its way


def test_only_a_whole_record_remembers_what_was_replaced_long_ago():
    fxs = {}
    for whole_record in (False, True):
        cache = CalibrationCache(TOPICS, rectify=False, whole_record=whole_record)
        tell(cache, 50.0, 1000)
        tell(cache, 60.0, 2000)
        for i in range(20):  # no image is on its way that long
            assert tell(cache, 60.0, 2001 + i) == [False, False]
        fxs[whole_record] = focal(cache, 1500)
    assert fxs == {False: 60.0, True: 50.0}


def test_without_stamps_the_time_of_recording_counts_and_few_calibrations_are_kept():
    """A recording whose K changes with every frame keeps two calibrations, with their maps, at a time."""
    cache = CalibrationCache(("camera_info",), rectify=True, whole_record=True)
    for i in range(6):
        assert cache.update("camera_info", info_of(50.0 + i, 0), logged_ns=100 * i)
    calibrations = [cache.at(7_000_000 + i, logged_ns=100 * i + 50) for i in range(6)]
    fx = [one.frame(0, picture(0), None).camera.fx for one in calibrations]
    assert fx == [50.0 + i for i in range(6)]
    assert cache.at(0, logged_ns=0).frame(0, picture(0), None).camera.fx == 50.0
    held = [weakref.ref(one) for one in calibrations]
    del calibrations
    gc.collect()
    assert sum(one() is not None for one in held) <= 2


def test_a_whole_record_keeps_no_more_of_a_message_than_its_numbers():
    """Arrays of a bag are views of a whole chunk of it, which would stay in memory for each calibration."""
    cache = CalibrationCache(TOPICS[:1], rectify=False, whole_record=True)
    chunks = []
    for stamp_ns in range(1, 4):
        info = info_of(50.0 + stamp_ns, stamp_ns)
        chunk = np.zeros(1000)
        chunk[:9] = info.k
        chunks.append(weakref.ref(chunk))
        cache.update(
            TOPICS[0], SimpleNamespace(**{name: getattr(info, name) for name in FIELDS}, k=chunk[:9])
        )
        del chunk
    assert not any(chunk() is not None for chunk in chunks)
    assert cache.at(2).frame(2, picture(0), None).camera.k[0, 0] == 52.0
