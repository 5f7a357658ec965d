from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d_ros import files
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import XYZ, OrganizedCloud, PinholeCamera, PointPacker, UnorganizedCloud
from recon3d_ros.geometry.cloud import KNOWN_FIELDS


@pytest.fixture
def rgb():
    """13 x 7, every pixel and channel different."""
    return np.arange(7 * 13 * 3, dtype=np.uint8).reshape(7, 13, 3)


def test_ply_holds_the_valid_points_with_their_colours(tmp_path, rgb):
    depth = np.full((7, 13), 2.0, np.float32)
    depth[2, 3], depth[4, 5] = np.nan, np.inf
    cloud = PointPacker(PinholeCamera.simple(13, 7, 10.0)).pack(depth, rgb)
    files.write_ply(tmp_path / "c.ply", cloud)
    xyz, colours = files.read_ply_points(tmp_path / "c.ply")
    assert len(xyz) == 7 * 13 - 2
    assert np.array_equal(xyz, cloud.xyz[cloud.valid])
    assert np.array_equal(colours, rgb[cloud.valid])


def test_ply_is_read_by_others(tmp_path, rgb):
    open3d = pytest.importorskip("open3d")
    cloud = PointPacker(PinholeCamera.simple(13, 7, 10.0)).pack(np.full((7, 13), 3.0, np.float32), rgb)
    cloud = replace(cloud, frame_id="left_optical")
    files.write_ply(tmp_path / "c.ply", cloud)
    read = open3d.io.read_point_cloud(str(tmp_path / "c.ply"))
    assert np.allclose(np.asarray(read.points), cloud.xyz.reshape(-1, 3))
    assert np.allclose(np.asarray(read.colors) * 255, rgb.reshape(-1, 3))


def test_truncated_ply_is_a_data_error(tmp_path):
    files.write_ply(tmp_path / "c.ply", OrganizedCloud(np.ones((3, 2, 4), np.float32)))
    (tmp_path / "c.ply").write_bytes((tmp_path / "c.ply").read_bytes()[:-1])
    with pytest.raises(DataError, match=r"c\.ply"):
        files.read_ply_points(tmp_path / "c.ply")


@pytest.mark.parametrize(
    "fields", [XYZ, (*XYZ, "sigma"), KNOWN_FIELDS, (*XYZ, "normal_x", "normal_y", "normal_z", "rgb")]
)
def test_every_field_comes_back(tmp_path, fields):
    data = np.random.default_rng(0).uniform(1, 2, (4, 5, len(fields))).astype(np.float32)
    if "rgb" in fields:
        bits = np.random.default_rng(1).integers(0, 1 << 24, (4, 5), np.uint32)
        data[..., fields.index("rgb")] = bits.view(np.float32)
    if "label" in fields:
        labels = np.random.default_rng(2).integers(0, 7, (4, 5), np.uint32)
        data[..., fields.index("label")] = labels.view(np.float32)
    data[1, 2, :3] = np.nan
    cloud = OrganizedCloud(data, fields)
    files.write_ply(tmp_path / "c.ply", cloud)
    read = files.read_ply(tmp_path / "c.ply")
    assert read.fields == fields
    assert np.array_equal(read.data.view(np.uint32), cloud.points().data.view(np.uint32))
    xyz, colours = files.read_ply_points(tmp_path / "c.ply")
    assert np.array_equal(xyz, read.xyz) and np.array_equal(colours, cloud.rgb[cloud.valid])


def test_normals_are_read_by_others(tmp_path):
    open3d = pytest.importorskip("open3d")
    fields = (*XYZ, "rgb", "confidence", "normal_x", "normal_y", "normal_z")
    data = np.random.default_rng(0).uniform(-1, 1, (9, 8)).astype(np.float32)
    data[:, 3] = np.uint32(0x00336699).view(np.float32)
    files.write_ply(tmp_path / "c.ply", UnorganizedCloud(data, fields))
    read = open3d.io.read_point_cloud(str(tmp_path / "c.ply"))
    assert np.allclose(np.asarray(read.points), data[:, :3])
    assert np.allclose(np.asarray(read.normals), data[:, 5:])
    assert np.allclose(np.asarray(read.colors) * 255, [0x33, 0x66, 0x99])


@pytest.mark.parametrize(
    "frame_id, read_as",
    [
        ("robot/left_optical", "robot/left_optical"),
        ("", ""),
        ("kamera_vorn_ä", "kamera_vorn_ä"),
        ("a\nb", "a b"),
    ],
)
def test_the_frame_of_the_points_comes_back(tmp_path, frame_id, read_as):
    cloud = OrganizedCloud(np.ones((3, 2, 4), np.float32), frame_id=frame_id)
    files.write_ply(tmp_path / "c.ply", cloud)
    assert files.read_ply(tmp_path / "c.ply").frame_id == read_as
    assert (b"comment frame_id" in (tmp_path / "c.ply").read_bytes()) == bool(frame_id)


@pytest.mark.parametrize(
    "header",
    [
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty double x\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float z\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty list uchar int faces\n",
        b"ply\n",
        b"\xff",
    ],
)
def test_ply_of_another_layout_is_a_data_error(tmp_path, header):
    (tmp_path / "c.ply").write_bytes(header + b"end_header\n" + bytes(12))
    with pytest.raises(DataError, match=r"c\.ply"):
        files.read_ply(tmp_path / "c.ply")
