from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.geometry.level import assumed_level, find_level, level_transform

ANGLES = st.floats(-0.5, 0.5)


def up_of(pitch: float, roll: float) -> np.ndarray:
    """Against gravity in the optical frame of a camera that looks `pitch` rad down and is rolled."""
    return -np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])


@given(ANGLES, ANGLES, st.floats(0.1, 3.0))
def test_the_level_frame_is_level(pitch, roll, height_m):
    up = up_of(pitch, roll)
    T = level_transform(3 * up, height_m)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(T[:3, :3] @ up, [0, 0, 1], atol=1e-12)
    ahead = T[:3, :3] @ [0, 0, 1]
    assert ahead[0] > 0 and abs(ahead[1]) < 1e-12  # x is where the camera looks
    np.testing.assert_allclose(T @ [0, 0, 0, 1], [0, 0, height_m, 1])


def test_straight_down_ahead_is_the_upper_edge_of_the_image():
    T = level_transform(np.array([0.0, 0.0, -1.0]), 2.0)
    np.testing.assert_allclose(T[:3, :3] @ [0, -1, 0], [1, 0, 0], atol=1e-12)


def scene(pitch: float, roll: float, height_m: float, table: bool = False) -> np.ndarray:
    """(N, 3) points of a floor with noise, a wall 4 m ahead and, when asked for, a table close by."""
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(0.8, 4, 900), rng.uniform(-2, 2, 900), rng.normal(0, 0.01, 900)])
    wall = np.column_stack([np.full(600, 4.0), rng.uniform(-2, 2, 600), rng.uniform(0, 2.5, 600)])
    parts = [floor, wall]
    if table:
        parts.append(
            np.column_stack([rng.uniform(0.5, 1.2, 1200), rng.uniform(-0.6, 0.6, 1200), np.full(1200, 0.7)])
        )
    level = np.concatenate(parts)
    T = level_transform(up_of(pitch, roll), height_m)
    return (level - T[:3, 3]) @ T[:3, :3]


@pytest.mark.parametrize(("pitch", "roll", "height_m"), [(0.0, 0.0, 0.5), (0.5, 0.1, 1.5), (-0.1, -0.2, 1.1)])
def test_a_floor_is_found(pitch, roll, height_m):
    found = find_level(scene(pitch, roll, height_m))
    expected = level_transform(up_of(pitch, roll), height_m)
    assert np.degrees(np.arccos(found[2, :3] @ expected[2, :3])) < 1.0
    assert found[2, 3] == pytest.approx(height_m, abs=0.02)


def test_a_table_with_the_floor_beyond_is_no_floor():
    found = find_level(scene(0.4, 0.0, 1.4, table=True))
    assert found[2, 3] == pytest.approx(1.4, abs=0.03)  # not 0.7, though more points lie there


def test_no_floor():
    rng = np.random.default_rng(1)
    wall = np.column_stack([rng.uniform(-2, 2, (500, 2)), np.full(500, 3.0)])
    assert find_level(wall) is None
    assert find_level(wall[:10]) is None


def test_an_assumed_level_has_the_lowest_points_at_its_ground():
    points = np.column_stack([np.zeros(100), np.linspace(-1, 0.8, 100), np.full(100, 2.0)])
    T = assumed_level(points)
    assert T[2, 3] == pytest.approx(0.77, abs=0.03)
    np.testing.assert_allclose(T[:3, :3] @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    assert assumed_level(np.zeros((0, 3)))[2, 3] == 1.0


def wall(distance_m: float, pitch: float, yaw: float, noise: float) -> np.ndarray:
    """(N, 3) points of nothing but a wall, noise as a share of the depth."""
    u, v = np.meshgrid(np.linspace(-0.6, 0.6, 80), np.linspace(-0.45, 0.45, 60))
    rays = np.stack([u, v, np.ones_like(u)], axis=-1).reshape(-1, 3)
    ahead = np.array([np.sin(yaw), -np.cos(yaw) * np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    along = distance_m / (rays @ ahead)
    seen = (along > 0) & (along < 15)
    z = along[seen, None]
    return rays[seen] * z * (1 + noise * np.random.default_rng(0).standard_normal(z.shape))


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("distance_m", [0.6, 1.0, 2.0, 4.0])
def test_a_wall_alone_is_no_tilted_floor(distance_m, noise):
    views = [(pitch, yaw) for pitch in (-0.2, 0.0, 0.2, 0.4) for yaw in (0.0, 0.5, -0.9)]
    found = [view for view in views if find_level(wall(distance_m, *view, noise)) is not None]
    assert not found
