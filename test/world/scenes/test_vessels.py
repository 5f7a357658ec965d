from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.objects import PLAIN_LIGHT, surface_points
from recon3d_ros.world.scenes import vessels
from recon3d_ros.world.scenes.scene import Material, SceneBuilder


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.1), (0.1, 0.3), (0.2, 0.2)])
def test_a_frustum_has_the_radii_of_both_ends(low, high):
    b = SceneBuilder()
    vessels.frustum(b.at((1.0, 2.0, 0.5), 0.7), 0.2, 0.4, low, high, Material())
    points = surface_points(b.build(PLAIN_LIGHT), np.random.default_rng(0))
    radius = np.hypot(points[:, 0] - 1.0, points[:, 1] - 2.0)
    share = (points[:, 2] - 0.7) / 0.4
    assert share.min() == pytest.approx(0.0, abs=0.06) and share.max() == pytest.approx(1.0, abs=0.06)
    np.testing.assert_allclose(radius, low + (high - low) * share, atol=5e-3)


def test_a_composed_shape_may_be_mirrored():
    found = set()
    for seed in range(12):
        b = SceneBuilder()
        vessels.composed(b, np.random.default_rng(seed))
        scene = b.build(PLAIN_LIGHT)
        across = np.sort(np.round(scene.origin[:, 1], 4))
        found.add(bool(np.allclose(across, -across[::-1], atol=1e-3)))
    assert found == {True, False}
