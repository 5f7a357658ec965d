"""Reading bags: topics, order, types without definitions, and files that are none."""

from __future__ import annotations

import os
import re
import struct

import numpy as np
import pytest

from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.errors import DataError, MissingDependencyError, OutputError
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.system.installing import how_to_install

pytest.importorskip("rosbags")
INFO, IMAGE = "sensor_msgs/msg/CameraInfo", "sensor_msgs/msg/Image"
CAMERA = PinholeCamera.simple(9, 7, fx=5.0)


@pytest.fixture(params=["in.mcap", "in.db3", "folder"])
def path(request, tmp_path):
    writer = BagWriter(tmp_path / request.param, {"/b/camera_info": INFO, "/a/depth": IMAGE})
    for i in range(3):
        writer.write("/b/camera_info", 10 * i + 5, writer.camera_info(CAMERA, i, "optical"))
        writer.write("/a/depth", 10 * i, writer.depth(np.full((7, 9), i, np.float32), i, "optical"))
    writer.close()
    return tmp_path / request.param


def test_topics_and_messages_in_the_order_of_their_recording(path):
    with Bag(path) as bag:
        assert bag.topics == {"/a/depth": IMAGE, "/b/camera_info": INFO}
        assert list(bag.topics) == sorted(bag.topics)
        both = [(m.topic, m.logged_ns) for m in bag.messages(["/a/depth", "/b/camera_info"])]
        assert both == [
            (t, 10 * i + dt) for i in range(3) for t, dt in (("/a/depth", 0), ("/b/camera_info", 5))
        ]
        depths = [m.msg for m in bag.messages(["/a/depth"])]
        assert list(bag.messages(["/nothing"])) == [] == list(bag.messages([]))
    for i, msg in enumerate(depths):
        assert (msg.encoding, msg.height, msg.width, msg.header.stamp.nanosec) == ("32FC1", 7, 9, i)
        np.testing.assert_array_equal(msg.data.view(np.float32).reshape(7, 9), np.float32(i))


def test_depth_keeps_nan_and_infinity_bit_for_bit(tmp_path):
    depth = np.array([[np.nan, np.inf, 1.5]], np.float32)
    writer = BagWriter(tmp_path / "d.mcap", {"/depth": IMAGE})
    writer.write("/depth", 0, writer.depth(depth, 1_700_000_000_000_000_001, "optical"))
    writer.close()
    with Bag(tmp_path / "d.mcap") as bag:
        (message,) = bag.messages(["/depth"])
    assert message.msg.data.tobytes() == depth.tobytes()
    assert (message.msg.header.stamp.sec, message.msg.header.stamp.nanosec) == (1_700_000_000, 1)


def test_what_is_no_bag_is_one_sentence(tmp_path):
    (tmp_path / "ros1.bag").write_bytes(b"#ROSBAG V2.0\n")
    (tmp_path / "text.mcap").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("ros1.bag", "rosbags-convert"),
        ("text.mcap", "mcap recover"),
        ("empty", "metadata"),
        ("nowhere", "nothing is there"),
    ):
        with pytest.raises(DataError, match=said):
            Bag(tmp_path / name)


def _record(kind, content):
    return struct.pack("<BQ", kind, len(content)) + content


def _text(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<I", len(data)) + data


def _write_mcap(path, channels):
    """Write (topic, type, encoding of the definition, definition, encoding of messages, messages) each."""
    records = [_record(0x01, _text("ros2") + _text(""))]
    for number, (topic, kind, schema, definition, encoding, messages) in enumerate(channels, start=1):
        schema_id = number if kind else 0
        if kind:
            body = struct.pack("<H", number) + _text(kind) + _text(schema) + _text(definition)
            records.append(_record(0x03, body))
        body = struct.pack("<HH", number, schema_id) + _text(topic) + _text(encoding) + _text("")
        records.append(_record(0x04, body))
        for logged_ns, data in messages:
            records.append(_record(0x05, struct.pack("<HIQQ", number, 0, logged_ns, logged_ns) + data))
    end = _record(0x0F, bytes(4)) + _record(0x02, bytes(20))
    path.write_bytes(b"\x89MCAP0\r\n" + b"".join(records) + end + b"\x89MCAP0\r\n")


def test_channels_of_other_tools_do_not_matter(tmp_path):
    """JSON, protobuf and channels without a schema beside ours, of which only one has a definition."""
    writer = BagWriter(tmp_path / "x.mcap", {"/info": INFO})
    info = writer._store.serialize_cdr(writer.camera_info(CAMERA, 7, "optical"), INFO)
    writer.abort()
    text = writer._store.types["std_msgs/msg/String"]("hi")
    text = bytes(writer._store.serialize_cdr(text, "std_msgs/msg/String"))
    _write_mcap(
        tmp_path / "a.mcap",
        [
            ("/events", "foxglove.Log", "jsonschema", "{}", "json", [(1, b"{}")]),
            ("/tf", "foxglove.FrameTransform", "protobuf", b"\n\xd5\x01\xff\x00", "protobuf", [(2, b"\xff")]),
            ("/json", INFO, "jsonschema", "{}", "json", [(3, b"{}")]),
            ("/free", "", "", "", "json", [(4, b"{}")]),
            ("/note", "std_msgs/msg/String", "ros2msg", "string data\n", "cdr", [(5, text)]),
            ("/info", INFO, "", "", "cdr", [(6, bytes(info))]),
        ],
    )
    with Bag(tmp_path / "a.mcap") as bag:
        assert bag.topics == {"/info": INFO, "/note": "std_msgs/msg/String"}
        note, message = bag.messages(["/note", "/info", "/json", "/tf"])
    assert (note.logged_ns, note.msg.data) == (5, "hi")
    assert (message.msg.width, message.msg.height, message.msg.k[0]) == (9, 7, 5.0)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_file_whose_folder_lost_its_metadata(tmp_path, storage):
    writer = BagWriter(tmp_path / "bag", {"/info": INFO}, storage=storage)
    writer.write("/info", 3, writer.camera_info(CAMERA, 7, "optical"))
    writer.close()
    (tmp_path / "bag" / "metadata.yaml").unlink()
    (file,) = (tmp_path / "bag").iterdir()
    with Bag(file) as bag:
        assert [message.logged_ns for message in bag.messages(["/info"])] == [3]
    with pytest.raises(DataError, match=r"metadata\.yaml.*name one of the files"):
        Bag(tmp_path / "bag")


def test_without_rosbags_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rosbags.rosbag2", None)
    (tmp_path / "a.mcap").write_bytes(b"")
    with pytest.raises(MissingDependencyError, match=re.escape(how_to_install("bags"))):
        Bag(tmp_path / "a.mcap")


def test_an_aborted_bag_leaves_nothing(tmp_path):
    writer = BagWriter(tmp_path / "x.mcap", {"/depth": IMAGE})
    writer.write("/depth", 0, writer.depth(np.zeros((2, 3), np.float32), 0, "optical"))
    writer.abort()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        BagWriter(tmp_path / "file" / "x.mcap", {"/depth": IMAGE})


@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
def test_the_bytes_of_a_single_file_do_not_depend_on_its_name(tmp_path, suffix):
    for name in ("a", "another"):
        writer = BagWriter(tmp_path / f"{name}{suffix}", {"/camera_info": INFO})
        writer.write("/camera_info", 1, writer.camera_info(CAMERA, 1, "optical"))
        writer.close()
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"another{suffix}").read_bytes()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
@pytest.mark.parametrize("folder", [False, True])
def test_a_pipe_is_refused_at_once(tmp_path, suffix, folder):
    """SQLite would wait for who writes it, whatever signals come."""
    writer = BagWriter(tmp_path / "bag", {"/info": INFO}, "mcap" if suffix == ".mcap" else "sqlite3")
    writer.close()
    (file,) = (tmp_path / "bag").glob(f"*{suffix}")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DataError, match="pipe or a device"):
        Bag(tmp_path / "bag" if folder else file)


def test_an_interrupt_while_a_bag_is_begun_leaves_no_draft(tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("rosbags.rosbag2.Writer.add_connection", interrupted)
    with pytest.raises(KeyboardInterrupt):
        BagWriter(tmp_path / "x.mcap", {"/info": INFO})
    assert not list(tmp_path.iterdir())
