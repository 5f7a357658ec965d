"""The formats of poses that others write."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.geometry.rotations import matrices_of, quaternions_of
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.mapping.trajectory_files import read_trajectory, write_tum


@pytest.fixture
def path() -> Trajectory:
    rng = np.random.default_rng(3)
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3, :3] = matrices_of(rng.normal(size=(5, 4)))
    poses[:, :3, 3] = rng.normal(size=(5, 3))
    return Trajectory(np.arange(5) * 123_456_789 + 1_403_715_273_262_142_976, poses)


def test_tum_keeps_every_nanosecond(path, tmp_path):
    write_tum(tmp_path / "poses.txt", path)
    back = read_trajectory(tmp_path / "poses.txt")
    assert np.array_equal(back.stamps_ns, path.stamps_ns)
    assert np.allclose(back.T_world_camera, path.T_world_camera, atol=1e-8)


def test_kitti_is_by_order(path, tmp_path):
    np.savetxt(tmp_path / "00.txt", path.T_world_camera[:, :3].reshape(-1, 12), fmt="%.9e")
    back = read_trajectory(tmp_path / "00.txt")
    assert back.key == "order"
    assert np.allclose(back.of_image(3, 0, ""), path.T_world_camera[3], atol=1e-8)


def test_a_matrix_that_is_unknown_is_left_out(tmp_path):
    known = " ".join(map(str, np.eye(4).ravel()))
    (tmp_path / "p.txt").write_text(f"{known}\n{' '.join(['-inf'] * 16)}\n{known}\n")
    assert read_trajectory(tmp_path / "p.txt").stamps_ns.tolist() == [0, 2]


def test_euroc_has_w_first_and_ns(path, tmp_path):
    q = quaternions_of(path.T_world_camera[:, :3, :3])
    rows = [
        ",".join(map(repr, [int(s), *p.tolist(), *q[i][[3, 0, 1, 2]].tolist(), 0.1, 0.2]))
        for i, (s, p) in enumerate(zip(path.stamps_ns, path.positions))
    ]
    (tmp_path / "data.csv").write_text("#timestamp, p_RS_R_x [m], ...\n" + "\n".join(rows) + "\n")
    back = read_trajectory(tmp_path / "data.csv")
    assert np.array_equal(back.stamps_ns, path.stamps_ns)
    assert np.allclose(back.T_world_camera, path.T_world_camera)


def test_transforms_json_has_the_axes_of_opengl(path, tmp_path):
    frames = [
        {"file_path": f"images/{i}.png", "transform_matrix": (pose @ np.diag([1.0, -1, -1, 1])).tolist()}
        for i, pose in enumerate(path.T_world_camera)
    ]
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": frames}))
    written = frames[2]["transform_matrix"]
    assert np.allclose(np.array(written)[:3, 1], -path.T_world_camera[2][:3, 1])  # y up there, down here
    back = read_trajectory(tmp_path / "transforms.json")
    assert np.allclose(back.of_image(0, 0, "2"), path.T_world_camera[2])


def colmap_rows(path):
    for i, pose in enumerate(path.T_world_camera):
        to_camera = np.linalg.inv(pose)
        yield i, quaternions_of(to_camera[None, :3, :3])[0][[3, 0, 1, 2]].tolist(), to_camera[:3, 3].tolist()


def test_colmap_as_text(path, tmp_path):
    lines = ["# Image list"]
    for i, q, t in colmap_rows(path):
        lines += [
            " ".join(map(repr, [i + 1, *q, *t, 1])) + f" some folder/im {i}.jpg",
            "1.5 2.5 -1" * (i % 2),
        ]
    (tmp_path / "images.txt").write_text("\n".join(lines) + "\n")
    assert np.allclose(
        read_trajectory(tmp_path / "images.txt").of_image(0, 0, "im 3"), path.T_world_camera[3]
    )


def test_colmap_as_binary(path, tmp_path):
    data = struct.pack("<Q", 5)
    for i, q, t in colmap_rows(path):
        data += struct.pack("<I7dI", i + 1, *q, *t, 1) + f"im{i}.jpg".encode() + b"\0"
        data += struct.pack("<Q", i) + struct.pack("<ddq", 1.0, 2.0, -1) * i
    (tmp_path / "images.bin").write_bytes(data)
    assert np.allclose(read_trajectory(tmp_path / "images.bin").of_image(0, 0, "im4"), path.T_world_camera[4])
    for cut in (4, 60, len(data) - 3):
        (tmp_path / "images.bin").write_bytes(data[:cut])
        with pytest.raises(DataError, match=r"images\.bin"):
            read_trajectory(tmp_path / "images.bin")


def test_a_folder_with_a_matrix_for_each_image(path, tmp_path):
    for i, pose in enumerate(path.T_world_camera):
        np.savetxt(tmp_path / f"frame-{i:06d}.pose.txt", pose)
    (tmp_path / "camera-intrinsics.txt").write_text("585 0 320\n0 585 240\n0 0 1\n")
    back = read_trajectory(tmp_path)
    assert len(back) == 5
    assert np.allclose(back.of_image(0, 0, "frame-000004"), path.T_world_camera[4])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", ""),
        ("p.txt", "1 2 3\n"),
        ("p.txt", "1 0 0 0 0 0 0 1\n2 0 0 0 0 0\n"),
        ("p.txt", "1 0 0 0 0 0 0 5\n"),
        ("p.txt", "one 0 0 0 0 0 0 1\n"),
        ("p.txt", "1e999 0 0 0 0 0 0 1\n"),
        ("p.txt", "1e999999 0 0 0 0 0 0 1\n"),
        ("p.txt", "1e13 0 0 0 0 0 0 1\n"),  # of nanoseconds, 64 bits have not enough of them
        ("p.txt", f"{2**63} 0 0 0 0 0 0 1\n"),
        ("p.txt", "snan 0 0 0 0 0 0 1\n"),
        ("p.csv", "a,b,c,d,e,f,g,h\n"),
        ("transforms.json", "{"),
        ("transforms.json", '{"frames": [{"file_path": "a"}]}'),
        ("transforms.json", f'{{"frames": [{{"file_path": "a", "transform_matrix": [[{9**400}]]}}]}}'),
        ("images.txt", "1 2 3\n"),
        ("images.bin", "\1\0\0\0\0\0\0\0" + "\0" * 64 + "a\0" + "\x7f" * 8),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError):
        read_trajectory(tmp_path / name)


@pytest.mark.parametrize("name", ["euroc_keyframes/body_poses.txt", "kitti_odometry/poses.txt", "redkitchen"])
def test_real_poses(data_dir, name):
    back = read_trajectory(data_dir / "video" / name)
    assert len(back) in (60, 51, 50)
    assert 3 < back.length_m < 100
