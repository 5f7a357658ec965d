from __future__ import annotations

import numpy as np

from recon3d_ros import world
from recon3d_ros.metrics import nearest_distances
from recon3d_ros.world.objects import PLAIN_LIGHT, VIEWS_PER_SHAPE, random_shape, surface_points
from recon3d_ros.world.scenes.scene import Material, SceneBuilder

SIZE_WH = (112, 80)


def test_the_visible_points_lie_on_the_surface_and_in_the_mask():
    for seed in (0, 21, 42):
        one = world.object_sample(seed, SIZE_WH)
        depth, camera = one.sample.depth, one.sample.frame.camera
        assert one.mask.shape == depth.shape == (80, 112) and one.mask.mean() > 0.01
        v, u = np.nonzero(one.mask)
        z = depth[v, u]
        seen = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=1)
        size = float(np.ptp(one.points, axis=0).max())
        apart, _ = nearest_distances(seen, one.points)
        assert np.median(apart) < 0.04 * size, (seed, one.kind)


def test_views_of_one_shape_follow_each_other():
    first, other = (world.object_sample(seed, SIZE_WH) for seed in (8, 9))
    assert VIEWS_PER_SHAPE == 4 and first.kind == other.kind == random_shape(2).kind
    again = world.object_sample(8, SIZE_WH)
    assert np.array_equal(first.sample.frame.image, again.sample.frame.image)
    assert np.array_equal(first.points, again.points)
    assert not np.array_equal(first.sample.frame.image, other.sample.frame.image)


def test_hidden_surfaces_have_no_points():
    b = SceneBuilder()
    b.box((0, 0, 0.5), (1.0, 1.0, 1.0), Material())
    b.ellipsoid((0, 0, 0.5), (0.3, 0.3, 0.3), Material())
    points = surface_points(b.build(PLAIN_LIGHT), np.random.default_rng(0)) - [0, 0, 0.5]
    assert len(points) > 2048
    np.testing.assert_allclose(np.abs(points).max(axis=1), 0.5, atol=1e-4)
    for axis in range(3):  # all six sides, about evenly
        for side in (-1, 1):
            assert 0.1 < (side * points[:, axis] > 0.499).mean() < 0.3
