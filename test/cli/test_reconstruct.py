"""`recon3d reconstruct` as a user types it, and scoring what it wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon3d_ros.cli.main import main
from recon3d_ros.config import ModelConfig
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.estimation.kept_estimator import KeptEstimator
from recon3d_ros.files.ply import read_ply
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.mapping.fusion import Fusion
from recon3d_ros.mapping.mesh_files import read_mesh
from recon3d_ros.offline.depth_sources import depth_source
from recon3d_ros.offline.reconstruct_options import ReconstructOptions
from recon3d_ros.world import WorldCamera
from test.bag_transforms import TYPES, write_transforms
from test.datasets.rgbd_writers import image_message

pytest.importorskip("skimage")
pytest.importorskip("trimesh")
CAMERA, T0 = PinholeCamera.simple(131, 91, 100.0), 1_700_000_000 * 10**9


@pytest.fixture
def recording(tmp_path):
    """A wall 1.2 m in front of a camera that moves to the right, as 7-Scenes lays files."""
    folder = tmp_path / "wall"
    folder.mkdir()
    np.savetxt(folder / "camera-intrinsics.txt", [[100, 0, 65], [0, 100, 45], [0, 0, 1]])
    for i in range(4):
        name = folder / f"frame-{i:06d}"
        cv2.imwrite(f"{name}.color.png", np.full((91, 131, 3), (10, 20, 240), np.uint8))
        cv2.imwrite(f"{name}.depth.png", np.full((91, 131), 1200, np.uint16))
        if i < 3:
            pose = np.eye(4)
            pose[0, 3] = 0.1 * i
            np.savetxt(f"{name}.pose.txt", pose)
    return folder


def test_a_folder_becomes_a_model(recording, tmp_path, capsys):
    out = tmp_path / "out"
    code = main(["reconstruct", f"{recording}[0:3]", "--out", str(out), "--poses", str(recording), "--print"])
    assert code == 0
    assert "3 frames along 0.20 m" in capsys.readouterr().out
    mesh = read_mesh(out / "mesh.ply")
    assert np.abs(mesh.vertices[:, 2] - 1.2).max() < 0.003
    assert np.abs(mesh.colours.astype(int) - [240, 20, 10]).max() <= 1
    summary = json.loads((out / "reconstruction.json").read_text())
    assert summary["frames_used"] == 3
    assert np.ptp(read_mesh(out / "print.stl").vertices[:, 0]) > 1000  # mm
    for name in ("cloud.ply", "trajectory.txt", "report.html", "view_above.png", "view_front.png"):
        assert (out / name).stat().st_size > 100


def test_a_bag_with_tf_becomes_a_model_in_its_fixed_frame(tmp_path, capsys):
    """A wall ahead of a robot that drives sideways past it, 1 m away: x of odom is forward."""
    pytest.importorskip("rosbags")
    frame = "camera_optical_frame"
    base_camera = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1]])
    topics = {"/image_rect": "sensor_msgs/msg/Image", "/depth": "sensor_msgs/msg/Image", **TYPES}
    bag = BagWriter(tmp_path / "run.mcap", {**topics, "/camera_info": "sensor_msgs/msg/CameraInfo"})
    write_transforms(bag, T0, ("base_link", frame, base_camera), topic="/tf_static")
    for i in range(4):
        stamp_ns, base = T0 + i * 10**8, np.eye(4)
        base[1, 3] = 0.1 * i
        write_transforms(bag, stamp_ns, ("odom", "base_link", base))
        if i == 3:
            break  # tf goes on for longer than the images, which are between its stamps
        stamp_ns += 5 * 10**7
        pixels = np.full((91, 131), 90, np.uint8)
        bag.write("/image_rect", stamp_ns, image_message(bag, pixels, "mono8", stamp_ns, frame))
        bag.write("/depth", stamp_ns, bag.depth(np.full((91, 131), 1.0, np.float32), stamp_ns, frame))
        bag.write("/camera_info", stamp_ns, bag.camera_info(CAMERA, stamp_ns, frame))
    bag.close()
    out = tmp_path / "out"
    assert main(["reconstruct", f"{tmp_path / 'run.mcap'}", "--out", str(out)]) == 0
    assert "3 frames along 0.20 m" in capsys.readouterr().out
    vertices = read_mesh(out / "mesh.ply").vertices
    assert np.abs(vertices[:, 0] - 1.2).max() < 0.003  # the camera is 0.2 m ahead of the base
    assert abs(vertices[:, 2].mean() - 0.5) < 0.02  # and half a metre high
    again = tmp_path / "again"
    assert main(["reconstruct", f"{tmp_path / 'run.mcap'}", "--out", str(again)]) == 0
    for name in ("mesh.ply", "cloud.ply", "trajectory.txt"):
        assert (out / name).read_bytes() == (again / name).read_bytes(), f"{name} of the same bag"
    words = ["reconstruct", f"{tmp_path / 'run.mcap'}", "--out", str(out), "--fixed-frame"]
    assert main([*words, "map"]) == 7
    assert "expected map above the frame camera_optical_frame" in capsys.readouterr().err
    assert main([*words, "odom", "--odometry"]) == 2
    assert "got both" in capsys.readouterr().err
    assert main([*words, "odom", "--poses-of", "body"]) == 2
    assert "--poses-of with --poses" in capsys.readouterr().err


def test_a_map_that_goes_farther_than_the_limit_of_depth_keeps_its_far_walls(recording, tmp_path, capsys):
    """Cut at 20 m, the wall at 22 m would be free space as far as the map goes."""
    for path in recording.glob("*.depth.png"):
        cv2.imwrite(str(path), np.full((91, 131), 22000, np.uint16))
    words = ["reconstruct", f"{recording}[0:3]", "--out", str(tmp_path / "out"), "--poses", str(recording)]
    words += ["--voxel-m", "0.3", "--map-max-depth-m", "25"]
    assert main([*words, "--max-depth-m", "21"]) == 2
    assert "at least --map-max-depth-m (25 m), got 21 m" in capsys.readouterr().err
    assert main(words) == 0
    assert np.abs(read_mesh(tmp_path / "out" / "mesh.ply").vertices[:, 2] - 22).max() < 0.05


def test_a_map_for_nav2(recording, tmp_path, capsys):
    """A floor 0.3 m below the camera in front of the wall; the poses have y down, the map z up."""
    words = ["reconstruct", f"{recording}[0:3]", "--out", str(tmp_path / "out"), "--poses", str(recording)]
    assert main([*words, "--grid"]) == 11
    assert "expected a floor below the cameras" in capsys.readouterr().err
    assert (tmp_path / "out" / "mesh.ply").exists() and not (tmp_path / "out" / "map.yaml").exists()
    floor = 30.0 / np.maximum(np.arange(91) - 45, 0.1)
    for path in recording.glob("*.depth.png"):
        depth = np.minimum(1.2, floor)[:, None] * np.ones(131)
        cv2.imwrite(str(path), np.rint(depth * 1000).astype(np.uint16))
    words += ["--grid", "--grid-cell-m", "0.1"]
    assert main(words) == 0
    cells = cv2.imread(str(tmp_path / "out" / "map.pgm"), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(cells)) == {0, 205}  # so near nobody saw whether it is free up to 1.5 m
    assert main([*words, "--obstacle-max-height-m", "0.5"]) == 0
    assert "cells of 0.1 m" in capsys.readouterr().out
    cells = cv2.imread(str(tmp_path / "out" / "map.pgm"), cv2.IMREAD_UNCHANGED)
    assert (tmp_path / "out" / "map.yaml").read_text().startswith('image: "map.pgm"')
    assert {0, 254} <= set(np.unique(cells)) <= {0, 205, 254}
    assert (cells[:, -1] == 0).mean() > 0.5  # the wall, ahead: the largest x of the map
    level = np.array(json.loads((tmp_path / "out" / "reconstruction.json").read_text())["T_map_world"])
    np.testing.assert_allclose(level[2], [0, -1, 0, 0.3], atol=0.03)


def test_frames_without_a_pose_are_told(recording, tmp_path, capsys):
    assert main(["reconstruct", str(recording), "--out", str(tmp_path / "out")]) == 11
    assert "1 of 4 frames were not used" in capsys.readouterr().err
    skipped = json.loads((tmp_path / "out" / "reconstruction.json").read_text())["skipped"]
    assert "frame-000003" in skipped["3"]


@pytest.mark.parametrize(("library", "words"), [("skimage.measure", []), ("trimesh", ["--formats", "glb"])])
def test_a_missing_library_is_told_before_the_first_frame(
    recording, tmp_path, capsys, monkeypatch, library, words
):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(Fusion, "add", lambda *_: pytest.fail("fused for nothing"))
    assert main(["reconstruct", str(recording), "--out", str(tmp_path / "out"), *words]) == 9
    assert f"{library} is needed here" in capsys.readouterr().err


def test_a_box_beside_the_model_is_refused(recording, tmp_path, capsys):
    words = ["reconstruct", f"{recording}[0:3]", "--out", str(tmp_path / "out"), "--poses", str(recording)]
    assert main([*words, "--crop", "7,7,7,8,8,8"]) == 7
    assert "--crop" in capsys.readouterr().err


def test_an_object_of_the_map_is_completed_and_marked(recording, tmp_path, capsys):
    """A block of 0.3 m stands out of the wall by 0.2 m; its model was never trained."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    from recon3d_ros.training.config import TrainConfig
    from recon3d_ros.training.export.export import export
    from recon3d_ros.training.run.state import start_run

    config = TrainConfig(network="completion", out=str(tmp_path / "run"), device="cpu", threads=1)
    run = start_run(config, {"point": (8, 16), "latent": 16, "coarse": 12, "kept": 8})
    run.save()
    export(run.path, tmp_path, name="mine")
    for path in recording.glob("*.depth.png"):
        depth = np.full((91, 131), 1200, np.uint16)
        depth[35:60, 50:75] = 1000
        cv2.imwrite(str(path), depth)
    out = tmp_path / "out"
    words = ["reconstruct", f"{recording}[0:1]", "--out", str(out), "--poses", str(recording)]
    words += ["--voxel-m", "0.02", "--completion-model", str(tmp_path / "mine.yaml")]
    box = ["--complete=-0.3,-0.3,0.9,0.3,0.3,1.1"]
    assert main([*words, *box]) == 0
    assert "completed.ply: 1 by" in capsys.readouterr().out
    cloud = read_ply(out / "completed.ply")
    assert (cloud["guessed"] == 1).sum() == 20 * 8 and cloud.frame_id == "world"
    measured = cloud.xyz[cloud["guessed"] == 0]
    assert len(measured) > 50 and np.abs(measured[:, 2] - 1.0).max() < 0.1
    assert "guessed" not in read_ply(out / "cloud.ply").fields
    assert main([*words, "--complete", "7,7,7,8,8,8"]) == 11
    assert "the rest is written, but no completed.ply: box 7,7,7,8,8,8" in capsys.readouterr().err
    assert main(words) == 2
    assert "expected --complete and --completion-model together" in capsys.readouterr().err


def papered_wall(folder: Path, distance_m: float) -> Path:
    """Four images of a wall with depth, and no poses: the camera moves to the right by 6 px each time."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    np.savetxt(folder / "camera-intrinsics.txt", [[100, 0, 65], [0, 100, 45], [0, 0, 1]])
    picture = np.kron(rng.integers(0, 255, (30, 60)), np.ones((5, 5))).astype(np.uint8)
    for i in range(4):
        seen = cv2.GaussianBlur(picture[20:111, 6 * i + 20 : 6 * i + 151], (0, 0), 1)
        depth = np.full((91, 131), round(1e3 * distance_m), np.uint16)
        cv2.imwrite(str(folder / f"frame-{i:06d}.color.png"), np.dstack([seen] * 3))
        cv2.imwrite(str(folder / f"frame-{i:06d}.depth.png"), depth)
    return folder


def test_without_poses_the_motion_is_estimated(tmp_path, capsys):
    pytest.importorskip("gtsam")
    folder = papered_wall(tmp_path / "wall", 1.2)  # at which 6 px are 0.072 m
    out = tmp_path / "out"
    assert main(["reconstruct", str(folder), "--out", str(out)]) == 0
    assert "odometry: 4 of 4 frames along 0.2" in capsys.readouterr().out
    path = np.loadtxt(out / "trajectory.txt")
    np.testing.assert_allclose(path[:, 1] - path[0, 1], 0.072 * np.arange(4), atol=0.004)
    np.testing.assert_allclose(path[:, 2:4], 0, atol=0.004)


def test_odometry_uses_points_of_a_model_that_lie_beyond_the_limit_of_depth(tmp_path):
    """But none of a sensor: 65.535 m is how some of them say that they saw nothing."""
    street = WorldCamera(kind="outdoor", size_wh=(320, 240)).sample(0)
    options = ReconstructOptions(depth="model", model=ModelConfig(model="recon3d_stereo_light"))
    with KeptEstimator() as opener:
        near, far = (depth_source(options, street, opener, limit)(street) for limit in (0.0, 100.0))
    farthest = [depth.depth[np.isfinite(depth.depth)].max() for depth in (near, far)]
    assert 10 < farthest[0] <= 20 < 25 < farthest[1] <= 100
    folder = papered_wall(tmp_path / "far", 65.535)
    assert main(["reconstruct", str(folder), "--out", str(tmp_path / "out")]) == 7


def test_a_wall_without_texture_gives_no_motion(recording, tmp_path, capsys):
    pytest.importorskip("gtsam")
    words = ["reconstruct", str(recording), "--out", str(tmp_path / "out"), "--odometry"]
    assert main(words) == 7
    assert "--poses" in capsys.readouterr().err
    assert main([*words, "--poses", str(recording)]) == 2


@pytest.fixture
def moving(tmp_path):
    """One camera without depth that moves along a papered wall, 1.2 m away, then stands still."""
    folder, rng = tmp_path / "moving", np.random.default_rng(0)
    folder.mkdir()
    (folder / "camera.yaml").write_text(json.dumps(PinholeCamera.simple(288, 200, 250.0).to_dict()))
    picture = np.kron(rng.integers(0, 255, (60, 100)), np.ones((5, 5))).astype(np.uint8)
    poses = []
    for i in range(6):
        left = 10 * min(i, 4)  # 10 px at 1.2 m are 0.048 m
        seen = cv2.GaussianBlur(picture[20:220, left + 20 : left + 308], (0, 0), 1)
        cv2.imwrite(str(folder / f"{i:04d}.png"), np.dstack([seen] * 3))
        poses.append(f"{i} {left * 1.2 / 250} 0 0 0 0 0 1")
    path = tmp_path / "poses.kitti"
    path.write_text("".join(f"1 0 0 {line.split()[1]} 0 1 0 0 0 0 1 0\n" for line in poses))
    return folder, path


def test_depth_from_the_motion_of_one_camera(moving, tmp_path, capsys):
    folder, poses = moving
    out = tmp_path / "out"
    words = ["reconstruct", str(folder), "--poses", str(poses), "--depth", "motion", "--out", str(out)]
    assert main([*words, "--motion-parallax-px", "20", "--motion-depth-m", "1"]) == 0
    assert "1 of 6 frames have no depth from motion, first 0" in capsys.readouterr().out
    mesh = read_mesh(out / "mesh.ply")
    assert np.abs(np.median(mesh.vertices[:, 2]) - 1.2) < 0.02
    assert (np.abs(mesh.vertices[:, 2] - 1.2) < 0.06).mean() > 0.95
    summary = json.loads((out / "reconstruction.json").read_text())
    assert summary["frames_used"] == 5
    assert "first view" in next(iter(summary["without_parallax"].values()))
    assert main([*words, "--model", "recon3d_mono"]) == 2
    assert "stereo model" in capsys.readouterr().err
    assert main(["reconstruct", f"{folder}[4:6]", *words[2:]]) == 7
    assert "far enough" in capsys.readouterr().err


def test_its_result_is_scored(recording, tmp_path, capsys):
    pytest.importorskip("scipy")
    out = tmp_path / "out"
    main(["reconstruct", f"{recording}[0:3]", "--out", str(out), "--poses", str(recording)])
    capsys.readouterr()
    mesh, path = str(out / "mesh.ply"), str(out / "trajectory.txt")
    assert main(["evaluate", "--reconstruction", mesh, "--truth", mesh, "--json", str(out / "s.json")]) == 0
    assert json.loads((out / "s.json").read_text())["surface"][0]["f_score"] == 1
    assert main(["evaluate", "--trajectory", path, "--truth", path]) == 0
    assert "ate_m" in capsys.readouterr().out
    assert main(["evaluate", "--reconstruction", mesh]) == 2
    assert main(["evaluate", "--reconstruction", mesh, "--truth", mesh, "--pictures", str(out)]) == 2
    assert "expected no --pictures for --reconstruction" in capsys.readouterr().err
    assert main(["evaluate"]) == 2
