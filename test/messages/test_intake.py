"""Messages to frames: pairs, calibrations and jumps of time."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage

from recon3d_ros.config.camera_topics import LEFT, RIGHT, image_topics, info_topic, transport_topic
from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.messages.intake import GAP_NS, Intake
from recon3d_ros.ros.bridge.conversions import camera_to_info, compressed_to_msg, image_to_msg

INFOS = ("left/camera_info", "right/camera_info")
RIG = StereoRig.simple(65, 48, fx=50.0, baseline_m=0.1)
NS_PER_S = 1_000_000_000


def picture(seed, size_hw=(48, 65)):
    return np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), np.uint8)


@pytest.fixture
def intake():
    intake = Intake(INFOS, rectify=False)
    for topic, camera in zip(INFOS, (RIG.left, RIG.right)):
        assert intake.add_info(topic, camera_to_info(camera, 0, "optical"))
    return intake


def complete(intake, stamp_ns, seed=0, make=image_to_msg):
    """Add a pair; return its raw frame."""
    assert intake.add_image(RIGHT, make(picture(seed + 1), stamp_ns, "right_optical")) is None
    messages = intake.add_image(LEFT, make(picture(seed), stamp_ns, "left_optical"))
    assert messages is not None
    return intake.raw_frame(messages)


def test_a_pair_becomes_a_frame_when_it_is_asked_for(intake):
    raw = complete(intake, 5)
    assert (raw.stamp_ns, raw.frame_id, raw.size_wh) == (5, "left_optical", (65, 48))
    frame, timings_ms = raw.frame()
    assert frame.stamp_ns == 5 and frame.rig == RIG.as_rectified()
    np.testing.assert_array_equal(frame.image, picture(0))
    np.testing.assert_array_equal(frame.right, picture(1))
    assert set(timings_ms) == {"decode", "rectify"} and min(timings_ms.values()) >= 0.0


def test_a_single_camera_is_complete_at_once():
    intake = Intake(("camera_info",), rectify=False)
    intake.add_info("camera_info", camera_to_info(PinholeCamera.simple(65, 48, 50.0), 0, "optical"))
    messages = intake.add_image(LEFT, compressed_to_msg(picture(3), 7, "optical", codec="png"))
    frame, _ = intake.raw_frame(messages).frame()
    assert not frame.is_stereo and frame.stamp_ns == 7
    np.testing.assert_array_equal(frame.image, picture(3))


def test_a_slash_before_the_frame_is_stripped_and_told_once(caplog):
    intake = Intake(("camera_info",), rectify=False)
    intake.add_info("camera_info", camera_to_info(PinholeCamera.simple(65, 48, 50.0), 0, "/optical"))
    for stamp_ns in (7, 8):
        messages = intake.add_image(LEFT, image_to_msg(picture(3), stamp_ns, "/optical"))
        assert intake.raw_frame(messages).frame()[0].frame_id == "optical"
    assert [record.args for record in caplog.records] == [("/optical", "optical")]


@pytest.mark.parametrize("compressed", [False, True])
def test_grey_of_ten_bits_in_sixteen_is_not_dark(compressed):
    """An industrial camera: mono16 with values up to 1023; both sides, and all frames, by one range."""
    grey = np.tile(np.arange(65, dtype=np.uint8), (48, 1))
    intake = Intake(INFOS, rectify=False)
    for topic, camera in zip(INFOS, (RIG.left, RIG.right)):
        intake.add_info(topic, camera_to_info(camera, 0, "optical"))
    frames = []
    for stamp_ns, brightest in ((5, 1023), (6, 300)):
        wide = np.rint(grey * (brightest / 64)).astype(np.uint16)
        msg = image_to_msg(grey, stamp_ns, "optical")
        if compressed:
            png = array("B", cv2.imencode(".png", wide)[1].tobytes())
            msg = CompressedImage(header=msg.header, format="mono16; png compressed mono16", data=png)
        else:
            msg.encoding, msg.step, msg.data = "mono16", 130, array("B", wide.tobytes())
        assert intake.add_image(RIGHT, msg) is None
        frames.append(intake.raw_frame(intake.add_image(LEFT, msg)).frame()[0])
    assert frames[0].image.max() == 255 and frames[1].image.max() == round(300 * 255 / 1023)
    np.testing.assert_array_equal(frames[0].image, frames[0].right)


def test_nothing_is_decoded_before_the_frame_is_asked_for(intake):
    def broken(image, stamp_ns, frame_id):
        msg = image_to_msg(image, stamp_ns, frame_id)
        msg.encoding = "no_such_encoding"
        return msg

    raw = complete(intake, 5, make=broken)
    with pytest.raises(ImageError, match="no_such_encoding"):
        raw.frame()


def test_epochs_end_when_time_jumps(intake):
    backs = []
    intake._on_step_back = backs.append
    stamps_ns = [10 * NS_PER_S, 10 * NS_PER_S + 1, 11 * NS_PER_S + 1, 13 * NS_PER_S, 12 * NS_PER_S]
    epochs = [complete(intake, stamp_ns).epoch for stamp_ns in stamps_ns]
    assert [later - sooner for sooner, later in zip(epochs, epochs[1:])] == [0, 0, 1, 1]
    assert stamps_ns[3] - stamps_ns[2] > GAP_NS and backs == [1.0]
    intake.restart()
    assert complete(intake, 0).epoch == epochs[-1] + 1 and backs == [1.0]  # a pause is no jump


def test_a_run_goes_on_over_a_gap_and_ends_when_time_goes_back(intake):
    runs = [complete(intake, stamp_ns).run for stamp_ns in (0, 1, 10_000_000_000, 5, 6)]
    assert [later - sooner for sooner, later in zip(runs, runs[1:])] == [0, 0, 1, 0]
    intake.restart()
    assert complete(intake, 7).run == runs[-1] + 1


def test_an_epoch_ends_with_the_calibration(intake):
    before = complete(intake, 5).epoch
    assert complete(intake, 6).epoch == before
    other = StereoRig.simple(65, 48, fx=60.0, baseline_m=0.1)
    for topic, camera in zip(INFOS, (other.left, other.right)):
        intake.add_info(topic, camera_to_info(camera, 7, "optical"))
    raw = complete(intake, 7)
    assert raw.epoch != before and raw.frame()[0].rig.fx == 60.0


def test_without_camera_info_a_frame_is_refused_and_the_next_one_works(intake):
    deaf = Intake(INFOS, rectify=False)
    with pytest.raises(CalibrationError, match="left/camera_info and right/camera_info, got none"):
        complete(deaf, 5)
    for topic, camera in zip(INFOS, (RIG.left, RIG.right)):
        deaf.add_info(topic, camera_to_info(camera, 9, "optical"))
    assert complete(deaf, 6).frame()[0].is_stereo  # camera_info came behind its image


def test_the_tolerance_holds_from_the_next_image_on(intake):
    def add(left_ns, right_ns):
        intake.add_image(RIGHT, image_to_msg(picture(1), right_ns, "optical"))
        return intake.add_image(LEFT, image_to_msg(picture(0), left_ns, "optical"))

    assert add(100, 103) is None
    intake.sync.tolerance_ns = 3
    assert len(add(200, 203)) == 2
    assert intake.sync.unmatched == 2


@pytest.mark.parametrize(
    ("stereo", "rectify", "topics"),
    [
        (True, False, ("cam/left/image_rect", "cam/right/image_rect")),
        (True, True, ("cam/left/image_raw", "cam/right/image_raw")),
        (False, False, ("cam/image",)),
        (False, True, ("cam/image_raw",)),
    ],
)
def test_the_rule_of_topics(stereo, rectify, topics):
    assert image_topics(stereo, rectify, "cam/") == topics
    assert [info_topic(topic) for topic in topics] == [
        f"{topic.rpartition('/')[0]}/camera_info" for topic in topics
    ]
    assert info_topic("image") == "camera_info" and info_topic("/image") == "/camera_info"
    assert transport_topic("image", "raw") == "image"
    assert transport_topic("image", "compressed") == "image/compressed"
    assert transport_topic("/front/image/compressed", "compressed") == "/front/image/compressed"
    assert info_topic("/front/image/compressed") == "/front/camera_info"


@pytest.mark.parametrize(("layout", "axis"), [("side_by_side", 1), ("top_bottom", 0)])
def test_one_image_with_both_views_is_a_pair(intake, layout, axis):
    packed = Intake(INFOS, rectify=False, layout=layout)
    for topic, camera in zip(INFOS, (RIG.left, RIG.right)):
        packed.add_info(topic, camera_to_info(camera, 0, "optical"))
    both = np.concatenate([picture(0), picture(1)], axis)
    messages = packed.add_image(LEFT, image_to_msg(both, 9, "left_optical"))
    frame, _ = packed.raw_frame(messages).frame()
    expected, _ = complete(intake, 9).frame()
    np.testing.assert_array_equal(frame.image, expected.image)
    np.testing.assert_array_equal(frame.right, expected.right)
    assert frame.rig == expected.rig and frame.frame_id == "left_optical"
    wrong = packed.add_image(LEFT, image_to_msg(picture(0), 10, "left_optical"))
    with pytest.raises((ImageError, CalibrationError)):
        packed.raw_frame(wrong).frame()
