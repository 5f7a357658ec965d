from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.batch import patch_hit
from recon3d_ros.world.meshes import MOST_TRIANGLES, TriangleBuilder, mesh_builder, simplified, visible_depth
from recon3d_ros.world.objects import PLAIN_LIGHT, surface_points
from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.scene import TRIANGLE, Material

K = np.array([[120.0, 0, 40.0], [0, 120.0, 30.0], [0, 0, 1]])
TETRA = np.array([[0, 0, 0], [1, 0, 0], [0.2, 0.9, 0], [0.4, 0.3, 0.8]], float)
SIDES = np.array([[0, 1, 2], [0, 1, 3], [1, 2, 3], [0, 2, 3]])


def ray_depth(corners: np.ndarray, pose: np.ndarray, u: int, v: int) -> float:
    """Where a ray meets a triangle, by Moeller and Trumbore; NaN where it does not."""
    a, b, c = (corners - pose[:3, 3]) @ pose[:3, :3]
    ray = np.array([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], 1.0])
    system = np.column_stack([ray, a - b, a - c])
    if abs(np.linalg.det(system)) < 1e-12:
        return np.nan
    depth, s, t = np.linalg.solve(system, a)
    return depth if min(s, t) >= 0 and s + t <= 1 and depth > 0 else np.nan


def test_triangles_are_where_rays_meet_them():
    scene = mesh_builder(TETRA, SIDES, np.random.default_rng(0)).build(PLAIN_LIGHT)
    assert (scene.shape == TRIANGLE).all() and len(scene) == 4
    pose = look_at(np.array([2.0, 1.5, 1.1]), np.array([0.4, 0.4, 0.3]), 0.1)
    depth = visible_depth(scene, pose, K, (80, 61))
    wrong = 0
    for v in range(0, 61, 3):
        for u in range(0, 80, 3):
            hits = [ray_depth(TETRA[side], pose, u, v) for side in SIDES]
            nearest = np.nan if np.isnan(hits).all() else np.nanmin(hits)
            same = np.isnan(depth[v, u]) == np.isnan(nearest) and not abs(depth[v, u] - nearest) > 1e-4
            wrong += not same
    assert np.isfinite(depth).sum() > 300 and wrong <= 2  # rays through an edge


def test_a_triangle_without_area_is_left_out():
    b = TriangleBuilder()
    b.triangle(np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2.0]]), Material())
    b.triangle(np.zeros((3, 3)), Material())
    b.triangle(TETRA[:3], Material())
    assert len(b.build(PLAIN_LIGHT)) == 1


def test_torch_hits_what_numpy_hits():
    torch = pytest.importorskip("torch")
    c = np.array([0.1, 0.2, 0.5, 1.0, 0.1, 0.0, -0.1, 1.0, 0.0])
    x, y = (axis.astype(np.float32) for axis in np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 31)))
    ours = patch_hit(TRIANGLE, c.tolist(), [0.5, 0.4], x, y, 0.3)[1]
    tensors = [torch.from_numpy(axis) for axis in (x, y)]
    theirs = patch_hit(TRIANGLE, torch.tensor(c, dtype=torch.float32), [0.5, 0.4], *tensors, 0.3)[1]
    assert 20 < ours.sum() < ours.size / 2 and np.array_equal(ours, theirs.numpy())


def test_a_fine_mesh_loses_its_finest_parts_only():
    steps = np.linspace(-1, 1, 121)
    x, y = np.meshgrid(steps, steps)
    vertices = np.column_stack([x.ravel(), y.ravel(), 0.3 * np.sin(3 * x.ravel())])
    first = (np.arange(120)[:, None] * 121 + np.arange(120)).ravel()
    faces = np.concatenate([first[:, None] + [0, 1, 121], first[:, None] + [1, 122, 121]])
    fewer, sides = simplified(vertices, faces)
    assert len(sides) <= MOST_TRIANGLES < len(faces) and len(fewer) < len(vertices)
    points = surface_points(
        mesh_builder(vertices, faces, np.random.default_rng(0)).build(PLAIN_LIGHT), np.random.default_rng(0)
    )
    np.testing.assert_allclose(points[:, 2], 0.3 * np.sin(3 * points[:, 0]), atol=0.05)
    assert np.ptp(points[:, 0]) > 1.9
