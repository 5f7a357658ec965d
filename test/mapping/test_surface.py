"""Meshes are closed over the borders of blocks and tiles, and go to files and back."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import DataError, OutputError
from recon3d_ros.mapping.accuracy import sample_surface
from recon3d_ros.mapping.blocks import DISTANCE_STEPS, WEIGHT_STEPS, BlockStore
from recon3d_ros.mapping.mesh_files import read_mesh, write_mesh
from recon3d_ros.mapping.picture import draw_mesh
from recon3d_ros.mapping.surface import extract_mesh

pytest.importorskip("skimage")
trimesh = pytest.importorskip("trimesh")
RADIUS = 21.3  # voxels of 1 cm, around the origin, where eight tiles meet


@pytest.fixture(scope="module")
def ball() -> BlockStore:
    store = BlockStore()
    places = np.stack(np.meshgrid(*[np.arange(-4, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    store.add(places.astype(np.int32))
    offsets = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1) + 0.5
    for slot, place in enumerate(places):
        points = place * 8 + offsets
        distance = np.linalg.norm(points, axis=-1) - RADIUS
        store.distance[slot] = np.rint(np.clip(distance, -4, 4) * DISTANCE_STEPS)
        store.colour[slot] = np.clip(points * 4 + 128, 0, 255)
    store.weight[:] = WEIGHT_STEPS
    return store


def test_a_ball_is_round_closed_and_of_the_right_size(ball):
    mesh = extract_mesh(ball, 0.01, 1.0)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(4 / 3 * np.pi * 0.213**3, rel=0.01)
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.213).max() < 0.001
    assert np.abs(mesh.colours - (mesh.vertices * 400 + 128)).max() < 6


def test_what_was_seen_too_little_stays_open(ball):
    with pytest.raises(DataError, match="surface"):
        extract_mesh(ball, 0.01, 2.0)


def test_the_hull_for_a_printer_is_watertight_where_the_surface_is_open(ball):
    half = BlockStore()
    half.add(ball.coords[ball.coords[:, 0] < 0])
    slots = ball.find(half.coords)
    half.distance[:], half.weight[:] = ball.distance[slots], ball.weight[slots]
    open_mesh = extract_mesh(half, 0.01, 1.0)
    assert not trimesh.Trimesh(open_mesh.vertices, open_mesh.faces, process=False).is_watertight
    hull = extract_mesh(half, 0.01, 1.0, shell_voxels=1.5)
    assert trimesh.Trimesh(hull.vertices, hull.faces, process=False).is_watertight


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb", ".stl"])
def test_files_hold_what_was_written(ball, tmp_path, suffix):
    mesh = extract_mesh(ball, 0.01, 1.0)
    write_mesh(tmp_path / f"m{suffix}", mesh, 1000.0)
    back = read_mesh(tmp_path / f"m{suffix}")
    assert len(back.faces) == len(mesh.faces)
    assert np.allclose(np.abs(back.vertices).max(axis=0), 213, atol=1)
    if suffix != ".stl":
        assert np.array_equal(back.colours, mesh.colours)


def test_files_of_other_kinds_are_refused(ball, tmp_path):
    with pytest.raises(OutputError, match=r"\.ply"):
        write_mesh(tmp_path / "m.xyz", extract_mesh(ball, 0.01, 1.0))
    (tmp_path / "m.ply").write_bytes(b"ply\nnothing")
    with pytest.raises(DataError):
        read_mesh(tmp_path / "m.ply")


def test_a_box_cuts(ball):
    mesh = extract_mesh(ball, 0.01, 1.0).cropped((0, -1, -1), (1, 1, 1))
    assert mesh.vertices[:, 0].min() >= 0
    assert 0 < len(mesh.faces) < 0.6 * len(extract_mesh(ball, 0.01, 1.0).faces)


def test_points_are_spread_evenly(ball):
    points = sample_surface(extract_mesh(ball, 0.01, 1.0), 0.01)
    assert len(points) == pytest.approx(4 * np.pi * 0.213**2 / 1e-4, rel=0.02)
    assert np.abs(points.mean(axis=0)).max() < 0.01


def test_a_picture_shows_the_side_that_one_looks_at(ball):
    picture = draw_mesh(
        extract_mesh(ball, 0.01, 1.0), np.array([0.0, 0, 1]), np.array([0.0, -1, 0]), (91, 71)
    )
    assert picture.shape == (71, 91, 3)
    drawn = (picture != (52, 56, 64)).any(axis=-1)
    assert drawn.mean() == pytest.approx(np.pi / 4 * 71 / 91 / 1.05**2, abs=0.06)
    assert picture[35, 70, 0] > picture[35, 20, 0]  # red grows with x, to the right
    assert picture[60, 45, 1] > picture[10, 45, 1]  # green with y, down
