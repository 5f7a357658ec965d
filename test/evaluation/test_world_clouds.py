from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros import world
from recon3d_ros.evaluation.world_clouds import (
    CLOUD_CHANNELS,
    held_out_rng,
    misplaced,
    pack_cloud,
    render_cloud,
    to_optical,
    unpack_cloud,
)
from recon3d_ros.geometry.labels import PointLabel

SIZE_WH = (160, 96)


def test_a_cloud_comes_back():
    rng = np.random.default_rng(0)
    xyz, labels = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 7, 50).astype(np.uint8)
    packed = pack_cloud(1.25, xyz, labels)
    assert packed.shape == (51, 1, CLOUD_CHANNELS) and packed.dtype == np.uint8
    height_m, points, tags = unpack_cloud(packed)
    assert height_m == 1.25 and np.array_equal(points, xyz) and np.array_equal(tags, labels)


@pytest.mark.parametrize("source", ["", "recon3d_stereo_light"])
def test_the_ground_of_a_street_is_at_zero(source):
    seed = next(seed for seed in range(100) if world.is_outdoor(seed))
    height_m, xyz, labels = unpack_cloud(render_cloud(seed, SIZE_WH, source))
    near = (labels == PointLabel.GROUND) & (xyz[:, 0] < 8)
    assert near.sum() > 100 and abs(np.median(xyz[near, 2])) < 0.15
    assert height_m > 0.2 and np.isfinite(xyz).all()


def test_misplaced_clouds_keep_their_shape():
    _, xyz, _ = unpack_cloud(render_cloud(0, SIZE_WH, ""))
    heights = []
    for seed in range(12):
        moved, height_m = misplaced(xyz, 1.0, np.random.default_rng(seed))
        apart = np.linalg.norm(moved[1:50] - moved[:49], axis=1)
        np.testing.assert_allclose(apart, np.linalg.norm(xyz[1:50] - xyz[:49], axis=1), rtol=1e-3, atol=1e-4)
        camera = to_optical(moved, height_m)
        ranges = np.linalg.norm(xyz - [0, 0, 1.0], axis=1)
        np.testing.assert_allclose(np.linalg.norm(camera, axis=1), ranges, rtol=1e-3, atol=1e-4)
        heights.append(height_m)
    assert len(set(heights)) > 6


def test_a_held_out_cloud_is_misplaced_always_alike():
    packed = render_cloud(1, SIZE_WH, "")
    assert held_out_rng(packed).random() == held_out_rng(packed.copy()).random()
    assert held_out_rng(packed).random() != held_out_rng(render_cloud(2, SIZE_WH, "")).random()
