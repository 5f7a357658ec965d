"""What training relies on: the same pair for the same seed, disparities over the whole range."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.geometry import StereoRig
from recon3d_ros.world import random_scene, training_sample
from recon3d_ros.world.sampling import KINDS, probe
from recon3d_ros.world.scenes.indoor import room


def test_the_same_seed_gives_the_same_pair_and_another_gives_another() -> None:
    a, b, c = (training_sample(seed, (48, 35), 32) for seed in (5, 5, 6))
    np.testing.assert_array_equal(a.frame.image, b.frame.image)
    np.testing.assert_array_equal(a.frame.right, b.frame.right)
    np.testing.assert_array_equal(a.disparity, b.disparity)
    assert a.frame.rig == b.frame.rig and a.name == b.name != c.name
    assert not np.array_equal(a.frame.image, c.frame.image)


def test_disparities_spread_over_the_range_and_stay_below_its_end() -> None:
    samples = [training_sample(seed, (64, 43), 48) for seed in range(40)]
    near = np.array([np.quantile(s.disparity, 0.98) for s in samples])
    assert (near < 48).all()
    assert (near > 24).sum() >= 5 and (near < 12).sum() >= 3
    assert np.mean([(s.disparity > 48).mean() for s in samples]) < 0.005
    assert sum((s.disparity == 0).any() for s in samples) >= 5  # sky


def test_depth_and_disparity_agree_with_the_rig() -> None:
    sample = training_sample(11, (50, 37), 40)
    rig = sample.frame.rig
    assert rig is not None
    seen = np.isfinite(sample.depth)
    expected = rig.fx * rig.baseline_m / sample.depth[seen]
    np.testing.assert_allclose(sample.disparity[seen], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_scenes_of_each_kind_differ_and_have_many_primitives(kind: str) -> None:
    counts = {len(random_scene(np.random.default_rng(seed), kind)) for seed in range(4)}
    assert len(counts) == 4 and min(counts) > 20


@pytest.mark.slow
def test_white_that_is_burnt_out_is_sky_or_a_surface_and_rooms_have_no_sky() -> None:
    surface = sky = 0
    for seed in range(60, 110):
        sample = training_sample(seed, (48, 32), 48)
        burnt, far = sample.frame.image.min(2) >= 250, np.isinf(sample.depth)
        surface += (burnt & ~far).mean() > 0.05
        sky += (burnt & far).mean() > 0.05
    assert surface >= 5 and sky >= 1  # white alone must not tell how far
    for seed in range(12):
        scene, pose = room(np.random.default_rng(seed))
        assert (probe(scene, StereoRig.simple(48, 32, 30.0, 0.1), pose)[0] > 0).all()
