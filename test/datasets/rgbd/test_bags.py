"""Bags with registered depth: which topics, which calibration, which stamps, each fault in one sentence."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from rgbd_writers import IMAGE, INFO, image_message, in_mm, write_bag

from recon3d_ros.cli.main import main
from recon3d_ros.datasets import open_dataset
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.datasets.rgbd.bags import find_topics
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import PinholeCamera, Rectifier

pytest.importorskip("rosbags")
COMPRESSED = "sensor_msgs/msg/CompressedImage"
COLOUR, DEPTH = "/front/color/image_raw", "/front/aligned_depth_to_color/image_raw"


def write(path, topics, messages):
    """Write messages (topic, logged_ns, make) where make(writer) gives one."""
    writer = BagWriter(path, topics)
    for topic, logged_ns, make in messages:
        writer.write(topic, logged_ns, make(writer))
    writer.close()
    return path


def image(sample, stamp_ns=0, frame_id="optical", encoding="rgb8"):
    pixels = sample.frame.image if encoding == "rgb8" else in_mm(sample.depth)
    return lambda writer: image_message(writer, pixels, encoding, stamp_ns, frame_id)


def floats(sample, stamp_ns=0, frame_id="optical"):
    return lambda writer: writer.depth(sample.depth, stamp_ns, frame_id)


def info(sample, frame_id="optical", camera=None):
    return lambda writer: writer.camera_info(camera or sample.frame.camera, 0, frame_id)


def compressed(data, description, stamp_ns=0, frame_id="optical"):
    def make(writer):
        header = writer.depth(np.zeros((1, 1), np.float32), stamp_ns, frame_id).header
        kind = writer._store.types[COMPRESSED]
        return kind(header=header, format=description, data=np.frombuffer(data, np.uint8))

    return make


@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "folder"])
def test_any_frame_of_any_storage_is_read_by_itself(tmp_path, rooms, name):
    samples = open_dataset(write_bag(tmp_path / name, rooms))
    for i in (2, 0, 1):
        np.testing.assert_array_equal(samples[i].frame.image, rooms[i].frame.image)
        np.testing.assert_array_equal(samples[i].depth, rooms[i].depth)
    assert samples[2].frame.stamp_ns == 1_700_000_000_200_000_000
    assert [s.name for s in samples[1:]] == ["1700000000100000000", "1700000000200000000"]


def test_messages_of_one_instant_are_told_apart(tmp_path, rooms):
    """A recorder behind its time writes several messages with one time."""
    messages = [("/i", 5, image(room, i)) for i, room in enumerate(rooms)]
    messages += [("/d", 5, image(room, i, encoding="16UC1")) for i, room in enumerate(rooms)]
    messages += [("/camera_info", 5, info(rooms[0]))]
    path = write(tmp_path / "a.mcap", {"/i": IMAGE, "/d": IMAGE, "/camera_info": INFO}, messages)
    for sample, wanted in zip(open_dataset(path), rooms):
        np.testing.assert_array_equal(sample.depth, wanted.depth)


def test_depth_in_floats_keeps_its_bits_and_what_is_not_above_0_is_unknown(tmp_path, rooms):
    room = rooms[0]
    depth = room.depth.copy()
    depth[0, :3] = (0, -1, np.inf)
    messages = [
        ("/i", 1, image(room)),
        ("/d", 1, lambda writer: writer.depth(depth, 0, "optical")),
        ("/camera_info", 1, info(room)),
    ]
    path = write(tmp_path / "a.mcap", {"/i": IMAGE, "/d": IMAGE, "/camera_info": INFO}, messages)
    wanted = depth.copy()
    wanted[0, :2] = np.nan
    np.testing.assert_array_equal(open_dataset(path)[0].depth, wanted)


def test_compressed_images_and_depth_are_read(tmp_path, rooms):
    room = rooms[0]
    _, colour = cv2.imencode(".png", room.frame.image[..., ::-1])
    _, millimetres = cv2.imencode(".png", in_mm(room.depth))
    a, b = 100.0, 99.0 / 10.0  # compressed_depth_image_transport: A / depth + B, quantised
    inverse = np.where(np.isfinite(room.depth), a / np.nan_to_num(room.depth, nan=1) + b, 0)
    _, quantised = cv2.imencode(".png", np.rint(inverse * 1).astype(np.uint16))
    head = struct.pack("<i2f", 0, a, b)
    kinds = {
        "16UC1; compressedDepth png": struct.pack("<i2f", 0, 0, 0) + millimetres.tobytes(),
        "16UC1; png compressed ": millimetres.tobytes(),
        "32FC1; compressedDepth png": head + quantised.tobytes(),
    }
    for i, (description, data) in enumerate(kinds.items()):
        topics = {"/i/compressed": COMPRESSED, "/d/compressedDepth": COMPRESSED, "/i/camera_info": INFO}
        messages = [
            ("/i/compressed", 1, compressed(colour.tobytes(), "rgb8; png compressed bgr8")),
            ("/d/compressedDepth", 1, compressed(data, description)),
            ("/i/camera_info", 1, info(room)),
        ]
        (sample,) = open_dataset(write(tmp_path / f"{i}.mcap", topics, messages))
        np.testing.assert_array_equal(sample.frame.image, room.frame.image)
        if description.startswith("16UC1"):
            np.testing.assert_array_equal(sample.depth, room.depth)
        else:  # half a step of the quantised inverse
            np.testing.assert_allclose(1 / sample.depth, 1 / room.depth, atol=0.51 / a)


def test_a_damaged_compressed_depth_is_one_sentence(tmp_path, rooms):
    room = rooms[0]
    topics = {"/i": IMAGE, "/d/compressedDepth": COMPRESSED, "/camera_info": INFO}
    messages = [("/i", 1, image(room)), ("/camera_info", 1, info(room))]
    for i, data in enumerate((b"", bytes(40), bytes(12) + b"\x89PNG\r\n\x1a\n" + bytes(20))):
        depth = ("/d/compressedDepth", 1, compressed(data, "16UC1; compressedDepth png"))
        path = write(tmp_path / f"{i}.mcap", topics, [*messages, depth])
        with pytest.raises(Exception, match="expected a 16-bit PNG of depth"):
            open_dataset(path)[0]


def test_raw_topics_are_rectified_with_their_depth_and_rect_ones_are_not(tmp_path, rooms):
    camera = rooms[0].frame.camera
    raw = PinholeCamera(camera.width, camera.height, camera.k, np.array([-0.3, 0.1, 0, 0, 0]))
    (sample, *_) = open_dataset(write_bag(tmp_path / "raw.mcap", rooms, raw))
    rectifier = Rectifier(raw)
    np.testing.assert_array_equal(sample.frame.image, rectifier.rectify(rooms[0].frame.image))
    np.testing.assert_array_equal(sample.depth, rectifier.rectify_depth(rooms[0].depth))
    (sample, *_) = open_dataset(write_bag(tmp_path / "rect.mcap", rooms, raw, name="image_rect_color"))
    np.testing.assert_array_equal(sample.depth, rooms[0].depth)
    assert sample.frame.camera == raw.as_rectified()


def a_bag_of_two_depths(path, rooms, frames=("depth_optical", "optical")):
    """As RealSense records: depth of the infrared camera, and depth registered to the colour camera."""
    room = rooms[0]
    topics = {"/color/image_raw": IMAGE, "/depth/image_rect_raw": IMAGE, "/aligned/image_raw": IMAGE}
    messages = [
        ("/color/image_raw", 1, image(room)),
        ("/depth/image_rect_raw", 1, image(rooms[1], 0, frames[0], "16UC1")),
        ("/aligned/image_raw", 1, image(room, 0, frames[1], "16UC1")),
        ("/color/camera_info", 1, info(room)),
        ("/depth/camera_info", 1, info(room, "depth_optical")),
    ]
    return write(path, {**topics, "/color/camera_info": INFO, "/depth/camera_info": INFO}, messages)


def test_the_depth_in_the_frame_of_the_image_is_found(tmp_path, rooms):
    path = a_bag_of_two_depths(tmp_path / "a.mcap", rooms)
    with Bag(path) as bag:
        assert find_topics(bag) == ("/color/image_raw", "/aligned/image_raw", "/color/camera_info")
    np.testing.assert_array_equal(open_dataset(path)[0].depth, rooms[0].depth)


def test_of_several_depths_one_is_named(tmp_path, rooms):
    path = a_bag_of_two_depths(tmp_path / "a.mcap", rooms, ("optical", "optical"))
    with pytest.raises(DataError, match=r"several choices.*name them, as in a\.mcap:/image:/depth"):
        open_dataset(path)
    named = f"{path}:/color/image_raw:/depth/image_rect_raw"
    np.testing.assert_array_equal(open_dataset(named)[0].depth, rooms[1].depth)
    assert len(open_dataset(f"{named}:/depth/camera_info[0:1]")) == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (":/color/image_raw:/depth/image_rect_raw", "registered to the image.*frame depth_optical"),
        (":/color/image_raw", "name both"),
        (":/color/image_raw:/nothing", "expected the topic /nothing"),
        (":/aligned/image_raw:/color/image_raw", "name the image topic first"),
        (":/color/image_raw:/aligned/image_raw:/color/image_raw", "expected sensor_msgs/msg/CameraInfo on"),
    ],
)
def test_topics_that_do_not_do_are_one_sentence(tmp_path, rooms, names, said):
    path = a_bag_of_two_depths(tmp_path / "a.mcap", rooms)
    with pytest.raises(DataError, match=said) as raised:
        open_dataset(f"{path}{names}")
    assert "\n" not in str(raised.value)


def test_camera_info_of_another_name_is_found_by_its_frame(tmp_path, rooms):
    path = write_bag(tmp_path / "a.mcap", rooms, info="/elsewhere/info")
    assert open_dataset(path)[0].frame.camera == rooms[0].frame.camera


def test_faults_of_a_bag_are_one_sentence_each(tmp_path, rooms, capsys):
    room, other = rooms[0], rooms[0].frame.camera.scaled((40, 30))
    topics = {"/i": IMAGE, "/d": IMAGE, "/camera_info": INFO}
    colour, depth, camera = ("/i", 1, image(room)), ("/d", 1, image(room, encoding="16UC1")), info(room)
    cases = {
        "no depth": ([colour, ("/camera_info", 1, camera)], "got none"),
        "no image": ([depth, ("/camera_info", 1, camera)], "got none"),
        "no info": ([colour, depth], "expected one calibration on /camera_info.*got 0"),
        "two infos": (
            [colour, depth, ("/camera_info", 1, camera), ("/camera_info", 2, info(room, camera=other))],
            "got 2.*cut the bag",
        ),
        "unstamped": (
            [colour, colour, depth, ("/camera_info", 1, camera)],
            "a stamp of its own.*got 1 stamps",
        ),
        "apart": (
            [colour, ("/d", 1, image(room, 20_000_001, encoding="16UC1")), ("/camera_info", 1, camera)],
            "within 20 ms",
        ),
    }
    for name, (messages, said) in cases.items():
        path = write(tmp_path / f"{name}.mcap", topics, messages)
        with pytest.raises(DataError, match=said) as raised:
            open_dataset(path)
        assert "\n" not in str(raised.value)
    empty = write(tmp_path / "nothing.mcap", {}, [])
    assert main(["evaluate", "--data", str(empty), "--model", "none"]) == 7
    assert "no images at all" in capsys.readouterr().err


def test_a_bag_that_is_cut_off_is_one_sentence(tmp_path, rooms):
    path = write_bag(tmp_path / "a.mcap", rooms)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="expected a whole bag") as raised:
        open_dataset(path)
    assert "\n" not in str(raised.value)


def test_images_without_depth_are_counted(tmp_path, rooms):
    topics = {"/i": IMAGE, "/d": IMAGE, "/camera_info": INFO}
    messages = [("/i", i, image(room, i * 100_000_000)) for i, room in enumerate(rooms)]
    messages += [
        ("/d", 9, image(rooms[1], 100_000_005, encoding="16UC1")),
        ("/camera_info", 0, info(rooms[0])),
    ]
    samples = open_dataset(write(tmp_path / "a.mcap", topics, messages))
    assert len(samples) == 1 and "2 of 3 images and 0 of 1 depth images" in samples.note
    np.testing.assert_array_equal(samples[0].frame.image, rooms[1].frame.image)
