from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros.training.augment import change_photometry, misalign, occlude, scaled_crop, training_crop
from recon3d_ros.training.store import pack_pair


def smooth_pair(make_sample, seed):
    """A pair whose texture is coarse enough to be interpolated, with one disparity, packed."""
    sample = make_sample(seed, (256, 160))
    shift = int(np.nanmax(sample.disparity))
    wide = np.concatenate([sample.frame.image[:, :shift], sample.frame.right], axis=1)
    wide = cv2.GaussianBlur(wide, (0, 0), 3.0)
    sample.frame.image[:] = wide[:, :256]
    sample.frame.right[:] = wide[:, shift:]
    return pack_pair(sample)


@pytest.mark.parametrize("seed", range(6))
def test_disparity_still_leads_to_the_same_place_after_scaling(make_sample, seed):
    packed = smooth_pair(make_sample, seed)
    left, right, disparity = scaled_crop(packed, (96, 64), np.random.default_rng(seed))
    columns = np.broadcast_to(np.arange(96, dtype=np.float32), (64, 96))
    rows = np.broadcast_to(np.arange(64, dtype=np.float32)[:, None], (64, 96))
    wanted = columns - disparity
    there = np.isfinite(disparity) & (wanted >= 1)
    warped = cv2.remap(right, np.nan_to_num(wanted, nan=-1), rows, cv2.INTER_LINEAR)
    difference = np.abs(warped.astype(float) - left)[there]
    assert there.mean() > 0.3
    assert difference.mean() < 0.1 * left.std() + 1.0


@pytest.mark.parametrize("size_wh", [(96, 64), (64, 96), (192, 128)])
def test_crop_has_the_asked_size_and_range(make_sample, size_wh):
    packed = pack_pair(make_sample(1, (200, 150)))
    for seed in range(8):
        left, right, disparity = training_crop(packed, size_wh, np.random.default_rng(seed))
        assert left.shape == right.shape == (3, size_wh[1], size_wh[0])
        assert disparity.shape == (size_wh[1], size_wh[0])
        assert all(part.dtype == np.float32 and part.flags.c_contiguous for part in (left, right, disparity))
        assert 0.0 <= min(left.min(), right.min()) and max(left.max(), right.max()) <= 1.0


def test_same_generator_same_crop(make_sample):
    packed = pack_pair(make_sample(1))
    first, again, other = (training_crop(packed, (96, 64), np.random.default_rng(s)) for s in (4, 4, 5))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again))
    assert not np.array_equal(first[0], other[0])


def test_half_of_the_pairs_are_grey(make_sample):
    sample = make_sample(2)
    grey = 0
    for seed in range(60):
        left, right = change_photometry(sample.frame.image, sample.frame.right, np.random.default_rng(seed))
        same = [np.ptp(image, axis=2).max() < 1e-4 for image in (left, right)]
        assert same[0] == same[1]
        grey += same[0]
    assert 18 <= grey <= 42


def test_misaligned_rows_keep_their_columns():
    image = np.broadcast_to(np.linspace(0, 1, 80, dtype=np.float32)[None, :, None], (60, 80, 3)).copy()
    moved = 0
    for seed in range(20):
        result = misalign(image, np.random.default_rng(seed))
        np.testing.assert_allclose(result, image, atol=2e-3)
        checker = np.zeros((60, 80, 3), np.float32)
        checker[::2] = 1.0
        moved += not np.array_equal(misalign(checker, np.random.default_rng(seed)), checker)
    assert 4 <= moved <= 16


def test_occlusion_covers_a_part_and_leaves_the_original_alone(make_sample):
    image = make_sample(3).frame.image.astype(np.float32) / 255.0
    before = image.copy()
    for seed in range(10):
        covered = (occlude(image, np.random.default_rng(seed)) != image).any(axis=2).mean()
        assert 0.0 < covered < 0.5
    np.testing.assert_array_equal(image, before)
