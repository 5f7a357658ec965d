"""Thin things are as thin as their functions say, in the scene and in the image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recon3d_ros.geometry import StereoRig
from recon3d_ros.world import Scene, render_stereo
from recon3d_ros.world.scenes import thin_objects
from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.scene import CUTOUT, QUADRIC, Light, Material, SceneBuilder

LIGHT = Light((0.0, 2.0, 3.0), (2.0, 0.0, 0.0), 1.0)
AHEAD = look_at(np.zeros(3), np.array([1.0, 0.0, 0.0]))
RIG = StereoRig.simple(121, 76, 120.0, 0.1)


def built(add: Callable[[SceneBuilder, np.random.Generator], None], seed: int = 0) -> Scene:
    b = SceneBuilder()
    add(b, np.random.default_rng(seed))
    return b.build(LIGHT)


def rods_of(scene: Scene) -> np.ndarray:
    """(N,) radii of the cylinders, m."""
    return scene.half[scene.shape == QUADRIC, 0]


@pytest.mark.parametrize("seed", range(4))
def test_wires_hang_between_their_ends(seed: int) -> None:
    start, end = np.array([0.0, 0.0, 3.0]), np.array([0.0, 8.0, 3.0])
    scene = built(lambda b, rng: thin_objects.wires(b, rng, start, end), seed)
    radii = rods_of(scene)
    assert (scene.shape == QUADRIC).all() and np.ptp(radii) < 1e-7 and 0.006 <= radii[0] <= 0.02
    assert np.abs(scene.axes[:, 2, 1]).min() > 0.9  # along the way from end to end
    lengths = 2 * scene.half[:, 2]
    assert lengths.sum() / len(lengths) * round(8 / lengths.mean()) == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize(
    ("add", "size", "least", "most"),
    [
        (thin_objects.rods, 0.5, 0.002, 0.012),
        (thin_objects.twigs, 0.8, 0.003 * 0.7**2, 0.012),
        (lambda b, rng, tall: thin_objects.railing(b, rng, 2.0, tall), 0.9, 0.008 * 0.5, 0.03 * 1.2),
    ],
    ids=["rods", "twigs", "railing"],
)
def test_radii_are_those_shares_of_the_size(add, size: float, least: float, most: float) -> None:
    for seed in range(8):
        radii = rods_of(built(lambda b, rng: add(b, rng, size), seed)) / size
        assert len(radii) >= 2 and radii.min() >= 0.999 * least and radii.max() <= 1.001 * most


def test_a_mesh_is_panels_with_holes_between_thin_posts() -> None:
    scene = built(lambda b, rng: thin_objects.mesh(b, rng, 3.0, 1.2))
    panels = scene.shape == CUTOUT
    assert 2 * scene.half[panels, 0].sum() == pytest.approx(3.0) and np.allclose(scene.half[panels, 1], 0.6)
    np.testing.assert_allclose(rods_of(scene), 0.02 * 1.2, rtol=1e-6)


@pytest.mark.parametrize("add", [thin_objects.indoors, thin_objects.stand])
def test_the_same_seed_builds_the_same_thing(add) -> None:
    first, again, other = (built(lambda b, rng: add(b, rng, 0.7), seed) for seed in (3, 3, 4))
    for name in ("shape", "origin", "axes", "half", "materials"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert len(first) != len(other) or not np.array_equal(first.origin, other.origin)


@pytest.mark.parametrize("diameter_px", [1.0, 2.0, 3.3, 6.0])
def test_a_rod_is_as_wide_in_the_image_as_it_is(diameter_px: float) -> None:
    """At the middle of the pixels; over many rows of a leaning rod the mean is its width to a tenth."""
    depth_m = 2.0
    radius = diameter_px / 2 * depth_m / RIG.fx
    scene = built(
        lambda b, _: b.cylinder((depth_m, -0.3, -2), (depth_m, 0.3, 2), radius, Material(), caps=False)
    )
    depth = render_stereo(scene, RIG, AHEAD).depth
    near = np.isfinite(depth)
    lean = np.hypot(1, 0.6 / 4)  # a leaning rod is cut obliquely by a row
    expected = 2 * RIG.fx * radius / np.sqrt(depth_m**2 - radius**2) * lean
    assert near.sum(1).mean() == pytest.approx(expected, abs=0.1)
    assert np.abs(depth[near] - depth_m).max() < 1.05 * radius
    sample = render_stereo(scene, RIG, AHEAD)
    assert sample.disparity is not None
    np.testing.assert_allclose(sample.disparity[near], RIG.fx * 0.1 / depth[near], rtol=1e-5)
