from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.objects import PLAIN_LIGHT
from recon3d_ros.world.scenes.objects import OBJECTS, bounds, random_object
from recon3d_ros.world.scenes.scene import SceneBuilder


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_stands_on_the_ground(name):
    for seed in range(5):
        b = SceneBuilder()
        OBJECTS[name][0](b, np.random.default_rng(seed))
        low, high = bounds(b.build(PLAIN_LIGHT))
        size = float((high - low).max())
        assert 0.03 < size < 15.0 and low[2] > -0.35 * size, (name, seed, low, high)


def test_objects_come_from_the_generator_and_differ():
    names = [random_object(np.random.default_rng(seed))[0] for seed in range(60)]
    again = [random_object(np.random.default_rng(seed))[0] for seed in range(60)]
    assert names == again and len(set(names)) > 8


def test_bounds_of_a_box_and_a_cone():
    from recon3d_ros.world.scenes.scene import Material

    b = SceneBuilder()
    b.box((1.0, 2.0, 0.5), (2.0, 1.0, 1.0), Material())
    b.cone((0.0, 0.0, 3.0), 3.0, 0.5, Material(), cut=0.5)
    low, high = bounds(b.build(PLAIN_LIGHT))
    np.testing.assert_allclose(low, [-0.5, -0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(high, [2.0, 2.5, 1.5], atol=1e-6)
