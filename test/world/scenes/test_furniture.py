"""Things stand on the floor, have the size that they are asked for, and no part of one floats or sinks."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.scenes import furniture, street_furniture, thin_objects
from recon3d_ros.world.scenes.scene import CUTOUT, Light, Scene, SceneBuilder

LIGHT = Light(key_position=(0.0, 0.0, 9.0), key_target=(0.0, 0.0, 0.0), key_half_angle=0.5)
SEEDS = range(5)


def built(put, *args) -> Scene:
    """The scene of one thing; `args` hold the generator."""
    b = SceneBuilder()
    put(b, *args)
    return b.build(LIGHT)


def corners(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest corner (m) of boxes around all primitives."""
    reach = np.einsum("nij,ni->nj", np.abs(scene.axes), scene.half)
    middle = scene.origin + scene.axes[:, 2] * scene.middle[:, None]
    return (middle - reach).min(axis=0), (middle + reach).max(axis=0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("put", [furniture.chair, furniture.sofa, furniture.shelf, furniture.cabinet])
def test_furniture_stands_on_the_floor_and_fits_a_room(put, seed):
    low, high = corners(built(put, np.random.default_rng(seed)))
    assert -0.03 < low[2] < 0.15 and 0.3 < high[2] < 2.6
    assert (high - low)[:2].max() < 2.8 and (high - low).min() > 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_a_table_has_the_size_that_it_tells(seed):
    b = SceneBuilder()
    length, width, height = furniture.table(b, np.random.default_rng(seed))
    low, high = corners(b.build(LIGHT))
    assert high == pytest.approx([length / 2, width / 2, height], abs=1e-5)
    assert low == pytest.approx([-length / 2, -width / 2, 0.0], abs=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("put", "tall"),
    [
        (furniture.plant, 1.2),
        (furniture.lamp, 1.6),
        (street_furniture.tree, 6.0),
        (thin_objects.stand, 1.5),
    ],
)
def test_what_is_asked_to_be_tall_is(put, tall, seed):
    low, high = corners(built(put, np.random.default_rng(seed), tall))
    assert low[2] > -0.5 and 0.5 * tall < high[2] < 1.6 * tall


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("put", [street_furniture.car, street_furniture.pole, street_furniture.person])
def test_what_stands_in_a_street_stands_on_it(put, seed):
    low, high = corners(built(put, np.random.default_rng(seed)))
    assert -0.2 < low[2] < 0.35 and 0.8 < high[2] < 12.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("put", [thin_objects.railing, thin_objects.mesh])
def test_thin_things_are_thin_and_as_long_as_asked(put, seed):
    scene = built(put, np.random.default_rng(seed), 3.0, 1.0)
    low, high = corners(scene)
    assert high[0] - low[0] == pytest.approx(3.0, abs=0.35) and 0.8 < high[2] < 1.2
    solid = scene.half[scene.shape != CUTOUT]
    assert np.sort(solid, axis=1)[:, 1].max() < 0.06  # rods: two of the three extents are small
