from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from recon3d_ros.errors import ImageError, PartialResultError
from recon3d_ros.files import write_image
from recon3d_ros.geometry import StereoRig
from recon3d_ros.ros.bridge.conversions import depth_from_msg, info_to_camera, msg_to_image, stamp_to_ns
from recon3d_ros.ros.player import image_source
from recon3d_ros.ros.player.image_source import ImageSource

WIDTH, HEIGHT, COUNT = 70, 44, 4
RIG = StereoRig.simple(WIDTH, HEIGHT, fx=60.0, baseline_m=0.12)


def picture(i: int) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), (200, 10 * i, 30), np.uint8)
    image[0, -1] = 0  # H and W, rows and columns must not be swapped
    return image


@pytest.fixture
def stereo_folder(tmp_path):
    for side, offset in (("left", 0), ("right", 5)):
        (tmp_path / side).mkdir()
        for i in range(COUNT):
            write_image(tmp_path / side / f"{i}.png", picture(i + offset))
    document = {"left": RIG.left.to_dict(), "right": RIG.right.to_dict()}
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


class Heard:
    """Plays a source to its end and keeps what a subscriber hears.

    Args:
        topics: name -> message type.
        source: parameters of the source.
        late_s: the subscriber comes this much later.
    """

    def __init__(self, topics, late_s=0.0, **source):
        self.messages = defaultdict(list)
        self.partial = ""
        context = rclpy.Context()
        rclpy.init(args=[], context=context)
        overrides = [Parameter(name, value=value) for name, value in source.items()]
        node = probe = None
        watch = threading.Timer(30.0, context.try_shutdown)
        try:
            node = ImageSource(context=context, parameter_overrides=overrides)
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            watch.start()
            began = time.monotonic()
            while time.monotonic() < began + late_s:
                executor.spin_once(timeout_sec=0.05)
            probe = Node("probe", context=context)
            for topic, kind in topics.items():
                probe.create_subscription(kind, topic, self.messages[topic].append, 20)
            executor.add_node(probe)
            try:
                executor.spin()
            except ExternalShutdownException:
                pass
            except PartialResultError as exc:
                self.partial = str(exc)
            assert watch.is_alive(), f"the source did not end by itself, heard {self.counts()}"
        finally:
            watch.cancel()
            for one in (probe, node):
                if one is not None:
                    one.destroy_node()
            context.try_shutdown()

    def counts(self):
        return {topic: len(messages) for topic, messages in self.messages.items()}

    def stamps(self, topic):
        return [stamp_to_ns(msg.header.stamp) for msg in self.messages[topic]]


PAIR = {
    "left/image_rect": Image,
    "left/camera_info": CameraInfo,
    "right/image_rect": Image,
    "right/camera_info": CameraInfo,
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(image_source, "LINGER_S", 0.3)


def test_a_pair_from_the_first_frame_to_the_last(stereo_folder):
    before_ns = time.time_ns()
    heard = Heard(PAIR, late_s=0.5, source=str(stereo_folder), rate_hz=20.0)
    assert heard.counts() == dict.fromkeys(PAIR, COUNT)
    assert len({tuple(heard.stamps(topic)) for topic in PAIR}) == 1  # exactly equal
    assert all(before_ns <= stamp <= time.time_ns() for stamp in heard.stamps("left/image_rect"))
    for side, offset in (("left", 0), ("right", 5)):
        first = heard.messages[f"{side}/image_rect"][0]
        assert (first.width, first.height, first.encoding) == (WIDTH, HEIGHT, "rgb8")
        assert first.header.frame_id == f"camera_{side}_optical_frame"
        np.testing.assert_array_equal(msg_to_image(first), picture(offset))
        info = heard.messages[f"{side}/camera_info"][0]
        assert info.header.frame_id == first.header.frame_id
        assert info_to_camera(info) == replace(getattr(RIG, side), d=np.zeros(5))
        assert list(info.d) == [0.0] * 5  # CameraInfo.msg: as many as plumb_bob has


@pytest.mark.parametrize("distortion", [0.0, 0.1])
@pytest.mark.parametrize("mono", [False, True])
def test_the_page_names_the_topics(stereo_folder, distortion, mono):
    bent = np.array([distortion, 0, 0, 0, 0])
    sides = {side: replace(getattr(RIG, side), d=bent).to_dict() for side in ("left", "right")}
    (stereo_folder / "camera.yaml").write_text(yaml.safe_dump(sides))
    page = (Path(__file__).resolve().parents[3] / "docs" / "parameters.md").read_text(encoding="utf-8")
    section = page.partition("### `image_source`")[2]
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    overrides = [Parameter("source", value=str(stereo_folder)), Parameter("mono", value=mono)]
    node = ImageSource(context=context, parameter_overrides=overrides)
    topics = [publisher.topic_name.lstrip("/") for publisher in node._camera_publishers()]
    node.destroy_node()
    context.try_shutdown()
    assert len(topics) == (2 if mono else 4)
    assert any("image_raw" in topic for topic in topics) == (distortion > 0)
    assert [topic for topic in topics if f"`{topic}`" not in section] == []


def test_blue_first_when_asked(stereo_folder):
    heard = Heard({"image": Image, "camera_info": CameraInfo}, source=str(stereo_folder), mono=True,
                  encoding="bgr8", rate_hz=50.0, count=1)  # fmt: skip
    (msg,) = heard.messages["image"]
    assert (msg.encoding, list(msg.data[:3])) == ("bgr8", [30, 0, 200])
    assert msg.header.frame_id == "camera_optical_frame"
    np.testing.assert_array_equal(msg_to_image(msg), picture(0))


@pytest.mark.parametrize("codec, tolerance", [("png", 0), ("jpeg", 12)])
def test_compressed(stereo_folder, codec, tolerance):
    topics = {
        "left/image_rect/compressed": CompressedImage,
        "right/image_rect/compressed": CompressedImage,
        "left/camera_info": CameraInfo,
        "right/camera_info": CameraInfo,
    }
    heard = Heard(topics, source=str(stereo_folder), rate_hz=50.0, count=2, image_transport="compressed",
                  codec=codec)  # fmt: skip
    assert heard.counts() == dict.fromkeys(topics, 2)
    msg = heard.messages["right/image_rect/compressed"][1]
    assert codec in msg.format
    # JPEG rings around the black corner: 16x16 blocks beside it
    difference = np.abs(msg_to_image(msg)[16:, :-16].astype(int) - picture(6)[16:, :-16])
    assert difference.max() <= tolerance


def test_the_world_publishes_its_truth_to_those_who_ask():
    topics = {**PAIR, "truth/depth": Image}
    heard = Heard(topics, source="world_indoor", width=48, height=32, world_frames=2, rate_hz=20.0, count=3)
    assert heard.counts() == dict.fromkeys(topics, 3)
    assert heard.stamps("truth/depth") == heard.stamps("left/image_rect")
    truth = heard.messages["truth/depth"][0]
    assert truth.encoding == "32FC1" and truth.header.frame_id == "camera_left_optical_frame"
    assert np.nanmedian(depth_from_msg(truth)) == pytest.approx(3, abs=2.5)  # a room


def test_euroc_is_raw_and_grey(data_dir):
    topics = {"left/image_raw": Image, "left/camera_info": CameraInfo, "right/image_raw": Image,
              "right/camera_info": CameraInfo}  # fmt: skip
    heard = Heard(topics, source=str(data_dir / "video" / "euroc"))
    assert heard.counts() == dict.fromkeys(topics, 40)
    assert heard.stamps("left/image_raw") == heard.stamps("right/image_raw")
    assert heard.messages["left/image_raw"][0].encoding == "mono8"
    left, right = (info_to_camera(heard.messages[f"{side}/camera_info"][0]) for side in ("left", "right"))
    assert left.d.any() and not np.array_equal(left.r, np.eye(3))
    assert StereoRig(left, right).baseline_m == pytest.approx(0.11, abs=0.01)


def test_a_bad_image_is_left_out_and_told(stereo_folder):
    (stereo_folder / "right" / "2.png").write_bytes(b"no image")
    heard = Heard(PAIR, source=str(stereo_folder), rate_hz=20.0)
    assert heard.counts() == dict.fromkeys(PAIR, COUNT - 1)
    assert "1 images could not be read, 3 were played" in heard.partial
    greens = [msg_to_image(msg)[1, 1, 1] for msg in heard.messages["left/image_rect"]]
    assert greens == [0, 10, 30]


def test_a_source_that_dies_says_so(stereo_folder, monkeypatch):
    def dying(source, loop):
        raise ImageError("expected an image, got none: check the cable")
        yield

    monkeypatch.setattr(image_source, "repeated", dying)
    with pytest.raises(ImageError, match="check the cable"):
        Heard(PAIR, source=str(stereo_folder), rate_hz=50.0)


def play(*words):
    return subprocess.run(
        [sys.executable, "-m", "recon3d_ros", "play", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "RCUTILS_COLORIZED_OUTPUT": "0"},
    )


def test_play_takes_flags_and_ros_arguments(tmp_path):
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (WIDTH, HEIGHT))
    for i in range(3):
        writer.write(picture(i))
    writer.release()
    done = play(path, "--fov-deg", 60, "--rate-hz", 50, "--no-wait-for-subscribers",
                "--ros-args", "-r", "__ns:=/front")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "/front/image" in done.stderr and "played 3 frames, 0 unreadable" in done.stderr


@pytest.mark.parametrize(
    "words, code, sentence",
    [
        (["/nowhere"], 7, "check the path"),
        (["world", "--rate-hz", "-3"], 2, "rate_hz must be at least 0"),
        (["world", "--ros-args", "-p", "rate_hz:=-3.0"], 2, "correct parameter rate_hz"),
        (["world", "--ros-args", "-p", "no equals"], 2, "correct the part after --ros-args"),
    ],
)
def test_play_fails_in_one_sentence(words, code, sentence):
    done = play(*words)
    assert done.returncode == code
    assert sentence in done.stderr and "Traceback" not in done.stderr
