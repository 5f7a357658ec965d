from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.geometry import PinholeCamera, PointPacker
from recon3d_ros.geometry.normals import surface_curvature, surface_normals

HEIGHT, WIDTH = 23, 31
CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, 40.0, 13.0, 12.5)


def normals_of(depth, camera=CAMERA):
    return np.stack(surface_normals(depth, camera), axis=2)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.3, 20), st.floats(0.5, 2))
def test_a_plane_has_its_normal_everywhere(slope_x, slope_y, distance_m, aspect):
    """z = distance + slope_x x + slope_y y, seen by a camera whose pixels need not be square."""
    p = np.array([[40.0, 0, 13, 0], [0, 40.0 * aspect, 12.5, 0], [0, 0, 1, 0]])
    camera = PinholeCamera(WIDTH, HEIGHT, p[:, :3], p=p)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    per_z = 1 - slope_x * (u - 13) / 40 - slope_y * (v - 12.5) / (40 * aspect)
    assume(per_z.min() > 0.05)
    found = normals_of((distance_m / per_z).astype(np.float32), camera)[2:-2, 2:-2]
    expected = np.array([slope_x, slope_y, -1]) / np.sqrt(slope_x**2 + slope_y**2 + 1)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2e-3)


depths = st.floats(0.125, 60, width=32) | st.sampled_from([np.nan, np.inf, 0.0, -1.0])


@given(arrays(np.float32, (11, 13), elements=depths, fill=st.just(np.float32(3.0))))
def test_normals_are_unit_and_face_the_camera_where_the_window_is_whole(depth):
    camera = PinholeCamera.simple(13, 11, 20.0, 5.0, 6.0)
    normals = normals_of(depth, camera)
    known = np.isfinite(normals).all(axis=2)
    surface = np.isfinite(depth) & (depth > 0)
    whole = np.zeros_like(surface)
    for v in range(2, 9):
        for u in range(2, 11):
            whole[v, u] = surface[v - 2 : v + 3, u - 2 : u + 3].all()
    np.testing.assert_array_equal(known, whole)
    assert np.isnan(normals[~known]).all()
    np.testing.assert_allclose(np.linalg.norm(normals[known], axis=1), 1, atol=1e-5)
    xyz = PointPacker(camera).pack(depth).xyz
    assert (np.einsum("ij,ij->i", normals[known], xyz[known]) < 0).all()


def test_blocks_of_rows_join_without_a_seam():
    depth = np.random.default_rng(0).uniform(1, 2, (400, 301)).astype(np.float32)
    camera = PinholeCamera.simple(301, 400, 300.0)
    whole = normals_of(depth, camera)
    for top in (0, 90, 137, 300):
        part = normals_of(depth[top : top + 100], camera.cropped(0, top, 301, 100))
        np.testing.assert_allclose(part[2:-2], whole[top + 2 : top + 98], atol=1e-4)


def test_images_too_small_for_a_window_have_none():
    for shape in ((1, 9), (9, 1), (4, 4)):
        assert np.isnan(normals_of(np.ones(shape, np.float32), PinholeCamera.simple(*shape[::-1], 9.0))).all()


def test_curvature_is_the_surface_variation_of_pcl():
    """A ball: lambda_0 / (lambda_0 + lambda_1 + lambda_2) of the covariance of the 25 points around."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    x, y = (u - 13) / 40, (v - 12.5) / 40
    # |z (x, y, 1) - (0, 0, 2)| = 0.8
    square = x**2 + y**2 + 1
    depth = (2 - np.sqrt(4 - square * (4 - 0.8**2)).clip(0)) / square
    depth[square * (4 - 0.8**2) > 3.9] = np.nan
    depth[5, 20] = np.nan
    depth = depth.astype(np.float32)
    normals = surface_normals(depth, CAMERA)
    found = surface_curvature(depth, CAMERA, normals)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(normals[0]))
    points = np.stack([x * depth, y * depth, depth], axis=2).astype(np.float64)
    checked = 0
    for row, column in np.argwhere(np.isfinite(found)):
        around = points[row - 2 : row + 3, column - 2 : column + 3].reshape(25, 3)
        values = np.linalg.eigvalsh(np.cov(around.T))
        assert abs(found[row, column] - values[0] / values.sum()) < 3e-3
        checked += 1
    assert checked > 100 and np.nanmax(found) > 1e-3


@given(st.floats(0.3, 20))
def test_a_plane_has_no_curvature(distance_m):
    depth = np.full((HEIGHT, WIDTH), distance_m, np.float32)
    found = surface_curvature(depth, CAMERA, surface_normals(depth, CAMERA))
    assert (found[2:-2, 2:-2] < 1e-6).all() and np.isnan(found[0]).all()
