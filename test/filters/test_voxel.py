from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.errors import ConfigError
from recon3d_ros.filters import voxel_grid
from recon3d_ros.geometry import XYZ, UnorganizedCloud

NORMALS = (*XYZ, "rgb", "confidence", "normal_x", "normal_y", "normal_z")
coordinates = st.floats(-20, 20, width=32)


def packed(rgb):
    """(N, 3) uint8 to the float32 of 0x00RRGGBB."""
    r, g, b = np.asarray(rgb, np.uint32).T
    return (r << 16 | g << 8 | b).astype(np.uint32).view(np.float32)


def cubes_of(xyz, voxel_m):
    return [tuple(cube) for cube in np.floor(xyz.astype(np.float64) / voxel_m).astype(int)]


@given(
    arrays(np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=coordinates), st.floats(0.05, 9)
)
def test_one_point_for_each_occupied_cube_inside_it_and_inside_the_hull_of_its_points(xyz, voxel_m):
    result = voxel_grid(UnorganizedCloud(xyz, XYZ), voxel_m).xyz
    members: dict[tuple[int, ...], list[np.ndarray]] = {}
    for cube, point in zip(cubes_of(xyz, voxel_m), xyz):
        members.setdefault(cube, []).append(point.astype(np.float64))
    assert len(result) == len(members)
    expected = np.array([np.mean(points, axis=0) for points in members.values()])
    order, mine = np.lexsort(expected.round(4).T), np.lexsort(result.round(4).T)
    if len(expected) < 2 or np.abs(np.diff(np.sort(expected[:, 2]))).min() > 1e-3:  # an order to compare by
        np.testing.assert_allclose(result[mine], expected[order], atol=1e-5)
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    assert (result >= low).all() and (result <= high).all()
    for cube in np.floor(result / voxel_m - 1e-4).astype(int):
        near = {tuple(cube + np.array(off)) for off in np.ndindex(2, 2, 2)}  # rounding at a face
        assert near & members.keys()


def test_colours_are_means_by_channel_and_normals_have_length_one():
    rows = np.zeros((4, 8), np.float32)
    rows[:, :3] = [[0.1, 0.1, 1.1], [0.3, 0.1, 1.1], [0.1, 0.3, 1.3], [5.1, 0, 1]]
    rows[:, 3] = packed([[10, 0, 255], [20, 0, 255], [31, 1, 255], [200, 100, 50]])
    rows[:, 4] = [0.2, 0.4, 0.9, 1.0]
    rows[:, 5:] = [[0, 0, -1], [0, -1, 0], [0, 0, -1], [np.nan] * 3]
    cloud = voxel_grid(UnorganizedCloud(rows, NORMALS), 1.0)
    assert len(cloud) == 2 and cloud.fields == NORMALS
    near, far = np.argsort(cloud["x"])
    assert cloud.rgb[near].tolist() == [20, 0, 255] and cloud.rgb[far].tolist() == [200, 100, 50]
    assert cloud["confidence"][near] == pytest.approx(0.5)
    np.testing.assert_allclose(cloud.data[near, 5:], np.array([0, -1, -2]) / np.sqrt(5), atol=1e-6)
    assert np.isnan(cloud.data[far, 5:]).all()


@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.just(3))))
def test_a_mean_colour_is_rounded_and_never_spills_into_its_neighbour(rgb):
    rows = np.ones((len(rgb), 4), np.float32)
    rows[:, 3] = packed(rgb)
    cloud = voxel_grid(UnorganizedCloud(rows), 0.5)
    assert np.abs(cloud.rgb[0] - rgb.mean(axis=0)).max() <= 0.5
    assert cloud.data[0, 3].view(np.uint32) >> 24 == 0


def test_cubes_are_aligned_with_the_origin_whatever_else_is_there():
    xyz = np.array([[0.9, 0.9, 0.9], [1.1, 0.9, 0.9]], np.float32)
    for far in ([-7.3, 2.2, 9.1], [3.3, -8.4, 0.2]):
        both = np.vstack([xyz, np.float32(far)])
        assert len(voxel_grid(UnorganizedCloud(both, XYZ), 1.0)) == 3
    assert len(voxel_grid(UnorganizedCloud(xyz, XYZ), 2.0)) == 1


def test_a_million_points_in_one_cube_keep_their_mean():
    rows = np.full((1_000_000, 3), 17.3, np.float32)
    np.testing.assert_array_equal(voxel_grid(UnorganizedCloud(rows, XYZ), 20.0).xyz, rows[:1])


def test_no_points_give_no_points_and_too_small_cubes_are_refused():
    empty = UnorganizedCloud(np.empty((0, 4), np.float32))
    assert len(voxel_grid(empty, 0.1)) == 0
    wide = UnorganizedCloud(np.array([[-1e6, -1e6, 0], [1e6, 1e6, 1e6]], np.float32), XYZ)
    with pytest.raises(ConfigError, match="voxel_m"):
        voxel_grid(wide, 0.001)


def test_what_is_unknown_of_one_point_leaves_the_mean_of_the_others():
    fields = ("x", "y", "z", "sigma", "normal_x", "normal_y", "normal_z")
    nan = np.nan
    points = [
        [0.1, 0.1, 1.1, 0.2, 0.0, 0.0, -1.0],
        [0.2, 0.1, 1.1, nan, nan, nan, nan],
        [0.3, 0.1, 1.1, 0.4, 0.0, 0.0, -1.0],
        [5.1, 0.1, 1.1, nan, nan, nan, nan],
    ]
    grid = voxel_grid(UnorganizedCloud(np.array(points, np.float32), fields), 1.0)
    order = np.argsort(grid["x"])
    np.testing.assert_allclose(grid["x"][order], [0.2, 5.1], rtol=1e-6)
    np.testing.assert_allclose(grid["sigma"][order], [0.3, nan], rtol=1e-6)
    np.testing.assert_allclose(grid["normal_z"][order], [-1.0, nan])
