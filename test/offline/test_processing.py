"""Bags through the pipeline: every frame once, the same bytes twice, and bags that cannot be used."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon3d_ros.cli.main import main
from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.errors import ConfigError, DataError, OutputError, PartialResultError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.files import read_ply_points
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.offline import BagSink, PageSink, Processed, Summary, process_bag
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.world import WorldCamera

pytest.importorskip("rosbags")
NS = 1_000_000_000
T0 = 1_700_000_000 * NS
SIDES = ("left", "right")


def _image(store, pixels, stamp_ns, encoding):
    """Write out an Image by hand, with padded rows."""
    t = store.types
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, 5)), constant_values=171)
    return t["sensor_msgs/msg/Image"](
        _header(store, stamp_ns), height, width, encoding, 0, rows.shape[1], rows.reshape(-1)
    )


def _compressed(store, pixels, stamp_ns):
    data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].reshape(-1)
    return store.types["sensor_msgs/msg/CompressedImage"](_header(store, stamp_ns), "rgb8; png", data)


def _header(store, stamp_ns):
    time = store.types["builtin_interfaces/msg/Time"](stamp_ns // NS, stamp_ns % NS)
    return store.types["std_msgs/msg/Header"](time, "camera_left_optical_frame")


class Recording:
    """A bag in the making; its messages are recorded a millisecond apart."""

    def __init__(self, path: Path, topics: dict[str, str]):
        self._bag = BagWriter(path, {t: f"sensor_msgs/msg/{kind}" for t, kind in topics.items()})
        self.store, self.logged_ns = self._bag._store, T0

    def add(self, topic, msg):
        self.logged_ns += 1_000_000
        self._bag.write(topic, self.logged_ns, msg)

    def info(self, topic, camera, stamp_ns):
        self.add(topic, self._bag.camera_info(camera, stamp_ns, "camera_left_optical_frame"))

    def close(self):
        self._bag.close()


def record_stereo(path: Path, frames, kind="Image", name="image_rect", prefix="") -> Path:
    """Record the images before the camera_info of their moment, as some drivers send them."""
    suffix = "/compressed" if kind == "CompressedImage" else ""
    topics = {f"{prefix}/{side}/{name}{suffix}": kind for side in SIDES}
    infos = {f"{prefix}/{side}/camera_info": "CameraInfo" for side in SIDES}
    recording = Recording(path, topics | infos)
    for i, frame in enumerate(frames):
        stamp_ns = T0 + i * NS // 10
        for topic, pixels in zip(topics, (frame.image, frame.right)):
            make = _compressed if suffix else _image
            recording.add(topic, make(recording.store, pixels, stamp_ns, *([] if suffix else ["rgb8"])))
        for topic, camera in zip(infos, (frame.rig.left, frame.rig.right)):
            recording.info(topic, camera, stamp_ns)
    recording.close()
    return path


@pytest.fixture(scope="module")
def frames():
    camera = WorldCamera(seed=4, size_wh=(96, 64))
    return [camera.sample(i).frame for i in range(3)]


@pytest.fixture
def pipeline():
    return Pipeline(Estimator.open(ModelConfig(model="fake_stereo")), PipelineConfig())


def digest(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("suffix", [".mcap", ".db3", ""])
def test_every_frame_comes_out_once_with_the_same_bytes_twice(tmp_path, frames, pipeline, suffix):
    bag = record_stereo(tmp_path / f"in{suffix}", frames)
    for run in ("a", "b"):
        out = [f"--out-bag={tmp_path / run / ('out' + suffix)}", f"--out-ply={tmp_path / run / 'ply'}"]
        (tmp_path / run).mkdir()
        json_file = tmp_path / run / "summary.json"
        assert main(["process", str(bag), "--model=fake_stereo", *out, f"--out-json={json_file}"]) == 0
        counts = json.loads(json_file.read_text())
        assert counts == {
            "images": 6, "unmatched": 0, "frames": 3, "written": 3, "dropped": {}, "reasons": {},
            "without_scale": 0, "doubtful": 0, "empty": 0,
        }  # fmt: skip
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert not list(tmp_path.rglob("*.tmp"))
    _check_outputs(tmp_path / "a" / f"out{suffix}", tmp_path / "a" / "ply", frames, pipeline)


def _check_outputs(bag_path, ply_folder, frames, pipeline):
    with Bag(bag_path) as bag:
        assert bag.topics == {
            "/depth/camera_info": "sensor_msgs/msg/CameraInfo",
            "/depth/image": "sensor_msgs/msg/Image",
            "/points": "sensor_msgs/msg/PointCloud2",
            "/points_free": "sensor_msgs/msg/PointCloud2",
            "/points_ground": "sensor_msgs/msg/PointCloud2",
            "/points_obstacles": "sensor_msgs/msg/PointCloud2",
        }
        clouds = [m.msg for m in bag.messages(["/points"])]
        depths = [m.msg for m in bag.messages(["/depth/image"])]
        infos = [m.msg for m in bag.messages(["/depth/camera_info"])]
    plys = sorted(ply_folder.iterdir())
    assert len(clouds) == len(depths) == len(infos) == len(plys) == len(frames)
    for i, (cloud, depth, info, frame) in enumerate(zip(clouds, depths, infos, frames)):
        expected = pipeline.process(frame)
        for msg in (cloud, depth, info):
            assert msg.header.stamp.sec * NS + msg.header.stamp.nanosec == T0 + i * NS // 10
            assert msg.header.frame_id == "camera_left_optical_frame"
        assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (64, 96, 16, 96 * 16)
        assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
            ("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1), ("rgb", 12, 7, 1)
        ]  # fmt: skip
        assert not cloud.is_bigendian and not cloud.is_dense
        assert cloud.data.tobytes() == expected.cloud.data.tobytes()
        assert (depth.encoding, depth.height, depth.width, depth.step) == ("32FC1", 64, 96, 96 * 4)
        assert depth.data.tobytes() == expected.depth_map.depth.tobytes()
        assert (info.width, info.height) == (96, 64)
        np.testing.assert_array_equal(info.p.reshape(3, 4), frame.rig.left.p)
        # The geometry itself, not only what the pipeline says: z is f B / d in the middle of a row.
        points = np.frombuffer(cloud.data, np.float32).reshape(64, 96, 4)
        disparity = expected.depth_map.disparity[40, 50]
        assert points[40, 50, 2] == pytest.approx(frame.rig.fx * frame.rig.baseline_m / disparity, rel=1e-5)
        assert plys[i].name == f"{i:06d}_{T0 + i * NS // 10}.ply"
        xyz, _ = read_ply_points(plys[i])
        np.testing.assert_array_equal(xyz, expected.cloud.xyz[expected.cloud.valid])


def test_compressed_images_and_a_namespace(tmp_path, frames, pipeline):
    raw = record_stereo(tmp_path / "raw.mcap", frames)
    packed = record_stereo(tmp_path / "packed.mcap", frames, "CompressedImage", prefix="/robot/cam")
    for bag, out, namespace in ((raw, "a", "/"), (packed, "b", "robot/cam")):
        words = ["process", str(bag), "--model=fake_stereo", f"--out-ply={tmp_path / out}"]
        assert main([*words, f"--namespace={namespace}"]) == 0
    assert digest(tmp_path / "a") == digest(tmp_path / "b")  # PNG loses nothing


def test_raw_images_are_rectified(tmp_path):
    camera = PinholeCamera(
        96, 64, np.array([[80.0, 0, 47], [0, 80, 31], [0, 0, 1]]), d=np.array([0.2, 0, 0, 0, 0])
    )
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    recording = Recording(tmp_path / "in.db3", {"/image_raw": "Image", "/camera_info": "CameraInfo"})
    recording.info("/camera_info", camera, T0)
    recording.add("/image_raw", _image(recording.store, pixels, T0, "rgb8"))
    recording.close()
    words = ["process", str(tmp_path / "in.db3"), "--model=fake_mono", "--mode=mono"]
    assert main([*words, "--rectify", f"--out-bag={tmp_path / 'out.mcap'}"]) == 0
    with Bag(tmp_path / "out.mcap") as bag:
        cloud = next(iter(bag.messages(["/points"]))).msg
    rgb = np.frombuffer(cloud.data, np.uint8).reshape(64, 96, 16)[..., 14:11:-1]
    assert not np.array_equal(rgb, pixels) and rgb[32, 48].any()
    middle = np.abs(rgb[30:34, 45:50].astype(int) - pixels[30:34, 45:50])
    assert middle.mean() < 20  # the middle hardly moves, the corners do
    assert main([*words, f"--out-bag={tmp_path / 'no.mcap'}"]) == DataError.exit_code  # no /image


def test_frames_without_a_scale_are_written_counted_and_explained(tmp_path, capsys):
    camera = PinholeCamera.simple(96, 64, 80.0)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    recording = Recording(tmp_path / "in.db3", {"/image": "Image", "/camera_info": "CameraInfo"})
    recording.info("/camera_info", camera, T0)
    for i in range(2):
        recording.add("/image", _image(recording.store, pixels, T0 + i, "rgb8"))
    recording.close()
    out = tmp_path / "summary.json"
    words = ["process", str(tmp_path / "in.db3"), "--model=fake_mono", "--mode=mono", f"--out-json={out}"]
    floor = ["--scale-sources=floor", "--camera-height-m=1.2", "--camera-pitch-deg=-80"]
    assert main([*words, *floor]) == DataError.exit_code
    counts = json.loads(out.read_text())
    assert counts["written"] == counts["without_scale"] == 2
    assert "no floor in view" in counts["reasons"]["scale"]
    assert "2 of the written frames have no scale" in capsys.readouterr().out
    assert main([*words, "--scale-sources=fixed", "--scale-factor=1.5"]) == 0
    assert json.loads(out.read_text())["without_scale"] == 0
    assert main([*words, "--scale-sources=scan"]) == ConfigError.exit_code


def test_an_unlikely_calibration_is_counted_and_told_once(tmp_path, frames, capsys):
    rig = StereoRig.simple(96, 64, fx=80.0, baseline_m=120.0)
    bag = record_stereo(tmp_path / "in.mcap", [replace(frame, camera=rig.left, rig=rig) for frame in frames])
    out = tmp_path / "summary.json"
    page = tmp_path / "report.html"
    words = [f"--out-json={out}", f"--out-html={page}"]
    assert main(["process", str(bag), "--model=fake_stereo", *words]) == 0
    assert "<td>3</td>" in page.read_text(encoding="utf-8")
    counts, said = json.loads(out.read_text()), capsys.readouterr()
    assert counts["doubtful"] == counts["written"] == 3
    assert said.err.count("P[0, 3] in millimetres?") == 1
    assert "3 of the written frames have an unlikely calibration" in said.out
    assert said.out.endswith(f"wrote {out}, {page}\n")


def test_what_the_limit_takes_away_is_told_everywhere(tmp_path, frames, capsys):
    bag, out, page = (
        record_stereo(tmp_path / "in.mcap", frames),
        tmp_path / "out.json",
        tmp_path / "page.html",
    )
    words = ["process", str(bag), "--model=fake_stereo", f"--out-json={out}", f"--out-html={page}"]
    assert main(words) == 0
    assert "max_depth_m" not in json.loads(out.read_text())["reasons"]
    assert main([*words, "--max-depth-m=2", "--trust-calibration"]) == 0
    told = "of the pixels are at 2 to 8 m, beyond max_depth_m (2 m)"
    assert told in json.loads(out.read_text())["reasons"]["max_depth_m"]
    assert told in capsys.readouterr().out and told in page.read_text(encoding="utf-8")


def test_the_page_shows_a_few_frames_evenly_however_many_there_are(pipeline, frames):
    sink = PageSink()
    for number in range(40):
        frame = frames[number % len(frames)]
        sink.write(Processed(number, number, number * NS, "left", frame, pipeline.process(frame)))
    html = sink.page("bag", Summary(frames=40, written=40)).to_html()
    shown = [int(number) for number in re.findall(r"<h2>Frame (\d+),", html)]
    assert shown == [0, 8, 16, 24, 32]
    assert "Time per frame" in html and "40 of 40 frames written" in html and "data-scene" in html


def test_bad_frames_and_lonely_images_are_counted_and_the_rest_comes_out(tmp_path, frames, capsys):
    topics = {f"/{side}/image_rect": "Image" for side in SIDES}
    infos = {f"/{side}/camera_info": "CameraInfo" for side in SIDES}
    recording = Recording(tmp_path / "in.mcap", topics | infos)
    rig = frames[0].rig
    for topic, camera in zip(infos, (rig.left, rig.right)):
        recording.info(topic, camera, T0)

    def pair(i, image, encoding="rgb8", offset_ns=0):
        stamp_ns = T0 + i * NS
        for topic, stamp in zip(topics, (stamp_ns, stamp_ns + offset_ns)):
            recording.add(topic, _image(recording.store, image, stamp, encoding))

    pair(0, frames[0].image)
    pair(1, frames[0].image, "no_such_encoding")
    pair(2, frames[0].image[:, :50])
    pair(3, frames[0].image, offset_ns=10_000_000)
    pair(4, frames[0].image)
    recording.close()
    out = tmp_path / "summary.json"
    words = ["process", str(tmp_path / "in.mcap"), "--model=fake_stereo", f"--out-json={out}"]
    assert main(words) == PartialResultError.exit_code
    counts = json.loads(out.read_text())
    assert counts["dropped"] == {"image": 1, "camera_info": 1}
    assert (counts["images"], counts["unmatched"]) == (10, 2)
    assert counts["frames"] == counts["written"] + 2 == 4
    said = capsys.readouterr().out
    assert "no_such_encoding" in said and "the image is 50x64" in said and "2 of 10 images" in said
    assert main([*words, "--sync-tolerance-ms=10"]) == PartialResultError.exit_code
    assert json.loads(out.read_text())["written"] == 3


def test_an_odd_stamp_costs_its_frame_and_no_other(tmp_path, frames):
    topics = {f"/{side}/image_rect": "Image" for side in SIDES}
    infos = {f"/{side}/camera_info": "CameraInfo" for side in SIDES}
    recording = Recording(tmp_path / "in.mcap", topics | infos)
    for topic, camera in zip(infos, (frames[0].rig.left, frames[0].rig.right)):
        recording.info(topic, camera, T0)
    for i, stamp in enumerate(((0, 1), (2**31 - 1, 2**32 - 1), (-5, 3), (T0 // NS, 0))):
        for topic, pixels in zip(topics, (frames[0].image, frames[0].right)):
            msg = _image(recording.store, pixels, T0 + i * NS, "rgb8")
            msg.header.stamp.sec, msg.header.stamp.nanosec = stamp
            recording.add(topic, msg)
    recording.close()
    out = [f"--out-json={tmp_path / 'summary.json'}", f"--out-bag={tmp_path / 'out.mcap'}"]
    words = ["process", str(tmp_path / "in.mcap"), "--model=fake_stereo", *out]
    assert main(words) == PartialResultError.exit_code
    counts = json.loads((tmp_path / "summary.json").read_text())
    assert (counts["frames"], counts["written"], counts["dropped"]) == (4, 3, {"image": 1})
    assert "stamp of 32-bit seconds" in counts["reasons"]["image"]


@pytest.mark.parametrize("stamped", [True, False])
def test_camera_info_of_another_size_holds_from_its_stamp_or_its_recording_on(
    tmp_path, frames, pipeline, stamped
):
    small = StereoRig.simple(48, 32, fx=40.0, baseline_m=0.1)
    half = [frame.image[::2, ::2] for frame in frames]
    topics = {f"/{side}/image_rect": "Image" for side in SIDES}
    infos = {f"/{side}/camera_info": "CameraInfo" for side in SIDES}
    recording = Recording(tmp_path / "in.mcap", topics | infos)
    for i, (image, rig) in enumerate([(frames[0].image, frames[0].rig), (half[1], small), (half[2], small)]):
        steps = [
            lambda i=i, image=image: [
                recording.add(topic, _image(recording.store, image, T0 + i * NS, "rgb8")) for topic in topics
            ],
            lambda i=i, rig=rig: [
                recording.info(topic, camera, (T0 + i * NS) * stamped)
                for topic, camera in zip(infos, (rig.left, rig.right))
            ],
        ]
        for step in steps if stamped else reversed(steps):  # what has no stamp comes before its images
            step()
    recording.close()
    sizes = []

    class Sizes:
        def write(self, processed):
            sizes.append(processed.result.depth_map.depth.shape)

        close = abort = lambda self: None

    with Bag(tmp_path / "in.mcap") as bag:
        summary = process_bag(bag, pipeline, ProcessConfig(), [Sizes()])
    assert sizes == [(64, 96), (32, 48), (32, 48)] and not summary.dropped


@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_bag_is_one_sentence(tmp_path, frames, capsys, suffix, kept):
    bag = record_stereo(tmp_path / f"in{suffix}", frames)
    whole = bag.read_bytes()
    bag.write_bytes(whole[: int(kept * len(whole))])
    out = tmp_path / "out.mcap"
    code = main(["process", str(bag), "--model=fake_stereo", f"--out-bag={out}"])
    err = capsys.readouterr().err
    assert code == DataError.exit_code, err
    assert "Traceback" not in err and len(err.strip().splitlines()) == 1
    assert not out.exists() and not list(tmp_path.glob(".*"))


def test_what_is_missing_is_named(tmp_path, frames, capsys):
    bag = record_stereo(tmp_path / "in.mcap", frames, prefix="/front")
    words = ["process", "--model=fake_stereo", f"--out-ply={tmp_path / 'ply'}"]
    for path, extra, said in (
        (tmp_path / "nothing", [], "nothing is there"),
        (tmp_path, [], "metadata"),
        (bag, [], "/front/left/image_rect"),
        (bag, ["--namespace=front", "--camera-info=/other"], "/front/left/camera_info"),
        (bag, ["--namespace=front", "--image-transport=compressed"], "/front/left/image_rect/compressed"),
    ):
        assert main([*words, str(path), *extra]) == DataError.exit_code
        assert said in capsys.readouterr().err
    assert main([*words, str(bag), "--namespace=front", "--mode=mono"]) == ConfigError.exit_code
    assert main(["process", str(bag)]) == ConfigError.exit_code


def test_nothing_is_overwritten_and_a_full_disk_leaves_nothing(tmp_path, frames, pipeline, capsys):
    bag = record_stereo(tmp_path / "in.mcap", frames)
    (tmp_path / "old.mcap").write_text("mine")
    words = ["process", str(bag), "--model=fake_stereo"]
    assert main([*words, f"--out-bag={tmp_path / 'old.mcap'}"]) == OutputError.exit_code
    assert (tmp_path / "old.mcap").read_text() == "mine"
    sink = BagSink(tmp_path / "new.mcap", ProcessConfig())

    def full(*_):
        raise OSError(28, "No space left on device")

    sink._bag._writer.write = full
    with Bag(bag) as opened, pytest.raises(OutputError, match="No space left"):
        process_bag(opened, pipeline, ProcessConfig(), [sink])
    assert not (tmp_path / "new.mcap").exists() and not list(tmp_path.glob(".*"))


def test_lists_of_points_and_free_space_go_into_the_bag_too(tmp_path, frames):
    bag = record_stereo(tmp_path / "in.mcap", frames)
    words = ["process", str(bag), "--model=fake_stereo", f"--out-bag={tmp_path / 'out.mcap'}"]
    assert main([*words, "--voxel-m=0.05", "--free-space-frames=2", "--max-depth-m=1.2"]) == 0
    with Bag(tmp_path / "out.mcap") as out:
        clouds = [m.msg for m in out.messages(["/points"])]
        free = [m.msg for m in out.messages(["/points_free"])]
    assert len(clouds) == 3 and all(c.height == 1 and c.is_dense and c.width > 0 for c in clouds)
    assert all(len(c.data) == c.width * c.point_step == c.row_step for c in clouds + free)
    xyz = np.frombuffer(clouds[0].data, np.float32).reshape(-1, clouds[0].point_step // 4)[:, :3]
    assert np.isfinite(xyz).all() and xyz[:, 2].max() <= 1.2
    assert free and [f.name for f in free[-1].fields] == ["x", "y", "z"] and free[-1].width > 0


def test_the_past_is_forgotten_where_the_recording_jumps(tmp_path, frames, pipeline, monkeypatch):
    seen, resets = [], []
    monkeypatch.setattr(pipeline, "reset", lambda: resets.append(len(seen)))
    stamps_ns = [T0, T0 + NS // 10, T0 + 5 * NS, T0, T0 + NS // 10]  # a gap, and a start from the beginning
    topics = {f"/{side}/image_rect": "Image" for side in SIDES}
    infos = {f"/{side}/camera_info": "CameraInfo" for side in SIDES}
    recording = Recording(tmp_path / "in.mcap", topics | infos)
    for topic, camera in zip(infos, (frames[0].rig.left, frames[0].rig.right)):
        recording.info(topic, camera, T0)
    for stamp_ns in stamps_ns:
        for topic in topics:
            recording.add(topic, _image(recording.store, frames[0].image, stamp_ns, "rgb8"))
    recording.close()
    with Bag(tmp_path / "in.mcap") as bag:
        summary = process_bag(bag, pipeline, ProcessConfig(), [], lambda: seen.append(True))
    assert summary.written == 5 and set(resets) - {0} == {2, 3}


def test_both_views_in_one_image_give_the_clouds_of_the_pairs(tmp_path, frames):
    record_stereo(tmp_path / "in.mcap", frames)
    topics = {"/image": "Image", "/left/camera_info": "CameraInfo", "/right/camera_info": "CameraInfo"}
    packed = Recording(tmp_path / "packed.mcap", topics)
    for i, frame in enumerate(frames):
        stamp_ns = T0 + i * NS // 10
        packed.info("/left/camera_info", frame.rig.left, stamp_ns)
        packed.info("/right/camera_info", frame.rig.right, stamp_ns)
        both = np.vstack([frame.image, frame.right])
        packed.add("/image", _image(packed.store, both, stamp_ns, "rgb8"))
    packed.close()
    for name, words in (("in", []), ("packed", ["--layout", "top_bottom"])):
        out = f"--out-ply={tmp_path / name}"
        assert main(["process", f"{tmp_path}/{name}.mcap", "--model=fake_stereo", out, *words]) == 0
    folders = [sorted((tmp_path / name).iterdir()) for name in ("in", "packed")]
    clouds = [[path.read_bytes() for path in folder] for folder in folders]
    assert clouds[0] == clouds[1] and len(clouds[0]) == len(frames)


def test_no_depth_anywhere_is_an_error(tmp_path, frames, capsys):
    record_stereo(tmp_path / "in.mcap", frames)
    words = ["--min-depth-m", "90", "--max-depth-m", "95", f"--out-json={tmp_path / 'out.json'}"]
    assert main(["process", f"{tmp_path}/in.mcap", "--model=fake_stereo", *words]) == DataError.exit_code
    assert "got none in 3" in capsys.readouterr().err
    assert json.loads((tmp_path / "out.json").read_text())["empty"] == 3


@pytest.mark.parametrize("shift_s", [1_000_000, -1_000_000])
def test_camera_info_of_another_clock_that_changes_holds_from_its_recording_on(tmp_path, frames, shift_s):
    topics = {f"/{side}/image_rect": "Image" for side in SIDES}
    infos = {f"/{side}/camera_info": "CameraInfo" for side in SIDES}
    recording = Recording(tmp_path / "in.mcap", topics | infos)
    for i in range(6):
        stamp_ns, frame = T0 + i * NS // 10, frames[0]
        size_wh = (96, 64) if i < 3 else (48, 32)
        for topic, camera in zip(infos, (frame.rig.left, frame.rig.right)):
            recording.info(topic, camera.scaled(size_wh), stamp_ns + shift_s * NS)
        for topic, pixels in zip(topics, (frame.image, frame.right)):
            shown = cv2.resize(pixels, size_wh)
            recording.add(topic, _image(recording.store, shown, stamp_ns, "rgb8"))
    recording.close()
    words = ["--model=fake_stereo", f"--out-json={tmp_path / 'out.json'}"]
    assert main(["process", f"{tmp_path}/in.mcap", *words]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["written"] == 6


def test_names_that_are_no_utf8(tmp_path, frames):
    """Of the bag and of every output; the page names the bag."""
    bag = record_stereo(tmp_path / os.fsdecode(b"caf\xe9.mcap"), frames)
    outputs = {flag: tmp_path / os.fsdecode(b"out\xe9." + flag.encode()) for flag in ("html", "json", "ply")}
    words = [f"--out-{flag}={path}" for flag, path in outputs.items()]
    assert main(["process", str(bag), "--model=fake_stereo", *words]) == 0
    assert "caf\\udce9" in outputs["html"].read_text(encoding="utf-8")
    assert len(list(outputs["ply"].iterdir())) == len(frames)
