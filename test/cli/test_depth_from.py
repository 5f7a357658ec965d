"""Depth from the motion of one camera in run, evaluate and process: a papered wall, 1.2 m away."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from recon3d_ros.cli.main import main
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.files import read_pfm
from recon3d_ros.geometry import PinholeCamera
from test.bag_transforms import TYPES, write_transforms
from test.datasets.rgbd_writers import image_message

WIDTH, HEIGHT = 288, 200
MOTION = ["--depth-from", "motion", "--motion-parallax-px", "20", "--motion-depth-m", "1"]
STEP_M = 10 * 1.2 / 250  # 10 px


@pytest.fixture(scope="module")
def wall(tmp_path_factory):
    """As 7-Scenes lays files; of the last image there is no pose."""
    folder, rng = tmp_path_factory.mktemp("recordings") / "wall", np.random.default_rng(0)
    folder.mkdir()
    np.savetxt(folder / "camera-intrinsics.txt", [[250, 0, 143.5], [0, 250, 99.5], [0, 0, 1]])
    picture = np.kron(rng.integers(0, 255, (60, 100)), np.ones((5, 5))).astype(np.uint8)
    for i in range(5):
        seen = cv2.GaussianBlur(picture[20:220, 10 * i + 20 : 10 * i + 308], (0, 0), 1)
        name = folder / f"frame-{i:06d}"
        cv2.imwrite(f"{name}.color.png", np.dstack([seen] * 3))
        cv2.imwrite(f"{name}.depth.png", np.full((HEIGHT, WIDTH), 1200, np.uint16))
        pose = np.eye(4)
        pose[0, 3] = STEP_M * i
        if i < 4:
            np.savetxt(f"{name}.pose.txt", pose)
    return folder


def test_run_writes_the_depth_and_tells_what_has_none(wall, tmp_path, capsys):
    assert main(["run", "--input", str(wall), "--out", str(tmp_path), "--no-view", *MOTION]) == 0
    out = capsys.readouterr().out
    assert "2 of 5 frames have no depth from motion, first frame-000000" in out
    depth = read_pfm(tmp_path / "frame-000003_depth.pfm")
    known = np.isfinite(depth)
    assert known.mean() > 0.4
    assert np.abs(np.median(depth[known]) - 1.2) < 0.02
    assert not np.isfinite(read_pfm(tmp_path / "frame-000004_depth.pfm")).any()  # it has no pose


def test_evaluate_scores_it_as_one_method(wall, tmp_path, capsys):
    words = ["evaluate", "--data", f"{wall}[0:4]", "--baseline", "none", "--precision", "fp32"]
    assert main([*words, "--json", str(tmp_path / "s.json"), *MOTION]) == 0
    captured = capsys.readouterr()
    assert "1 of 4 frames have no depth from motion" in captured.err
    (row,) = json.loads((tmp_path / "s.json").read_text())["rows"]
    assert row["model"].startswith("motion, recon3d_stereo")
    assert row["abs_rel"] < 0.03


def record(wall, path, transforms=()):
    """The images of the wall as a bag; `transforms` are numbers of images at whose stamps tf tells a pose."""
    topics = {
        "/camera/image_rect": "sensor_msgs/msg/Image",
        "/camera/camera_info": "sensor_msgs/msg/CameraInfo",
    }
    bag = BagWriter(path, {**topics, **TYPES})
    camera, stamps = PinholeCamera.simple(WIDTH, HEIGHT, 250.0), []
    for i in range(4):
        stamp = 1_700_000_000 * 10**9 + i * 10**8
        pixels = cv2.imread(str(wall / f"frame-{i:06d}.color.png"))
        bag.write("/camera/camera_info", stamp, bag.camera_info(camera, stamp, "camera"))
        bag.write("/camera/image_rect", stamp, image_message(bag, pixels, "bgr8", stamp, "camera"))
        if i in transforms:
            pose = np.eye(4)
            pose[0, 3] = STEP_M * i
            write_transforms(bag, stamp, ("odom", "camera", pose))
        stamps.append(stamp)
    bag.close()
    return stamps


@pytest.mark.parametrize("source", ["file", "tf"])
def test_process_takes_the_left_camera_of_a_bag_with_poses_by_stamp(wall, tmp_path, capsys, source):
    pytest.importorskip("rosbags")
    known = range(3)  # not of the last
    stamps = record(wall, tmp_path / "in.mcap", known if source == "tf" else ())
    words = ["process", str(tmp_path / "in.mcap"), "--out-bag", str(tmp_path / "out.mcap"), *MOTION]
    words += ["--image", "/camera/image_rect", "--camera-info", "/camera/camera_info"]
    if source == "file":
        assert main(words) == 2
        assert (
            "tell of no motion of the camera of /camera/image_rect: give --poses" in capsys.readouterr().err
        )
        poses = tmp_path / "poses.txt"
        poses.write_text("".join(f"{stamps[i]} {STEP_M * i} 0 0 0 0 0 1\n" for i in known))
        words += ["--poses", str(poses)]
        assert main([*words, "--fixed-frame", "odom"]) == 2
        assert "without --poses" in capsys.readouterr().err
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "4 frames = 4 written" in out and "2 of 4 frames have no depth from motion" in out
    with Bag(tmp_path / "out.mcap") as written:
        topic = next(name for name in written.topics if name.endswith("depth/image"))
        maps = [np.frombuffer(msg.data, np.float32) for _, _, msg in written.messages([topic])]
    assert [np.isfinite(depth).any() for depth in maps] == [False, True, True, False]
    assert np.abs(np.nanmedian(maps[2]) - 1.2) < 0.02


def test_contradictions_are_one_sentence(wall, tmp_path, capsys):
    run = ["run", "--input", str(wall), "--out", str(tmp_path)]
    assert main([*run, "--poses", str(wall)]) == 2
    assert "--depth-from motion with --poses" in capsys.readouterr().err
    assert main([*run, *MOTION, "--separate"]) == 2
    assert "a recording" in capsys.readouterr().err
    assert main([*run, *MOTION, "--model", "recon3d_mono"]) == 2
    assert "stereo model for depth from motion" in capsys.readouterr().err
    assert main([*run, *MOTION, "--scale-sources", "fixed"]) == 2
    assert "no --scale-sources" in capsys.readouterr().err
    assert main(["process", "--bags", str(tmp_path), "--out", str(tmp_path / "o"), *MOTION]) == 2
    assert "got --bags" in capsys.readouterr().err
    bare = tmp_path / "bare"
    bare.mkdir()
    cv2.imwrite(str(bare / "0.png"), np.zeros((HEIGHT, WIDTH), np.uint8))
    assert main(["run", "--input", str(bare), "--fx", "250", "--out", str(tmp_path), *MOTION]) == 2
    assert "give --poses" in capsys.readouterr().err
    assert main(["evaluate", "--data", "hololens,nyuv2", *MOTION]) == 2
    assert "one set" in capsys.readouterr().err
