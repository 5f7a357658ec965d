"""Pairs made of photographs: the same each time, of the test blocks alone, true to their disparity."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon3d_ros.datasets import open_dataset
from recon3d_ros.evaluation import SgbmEstimator
from recon3d_ros.metrics import disparity_metrics

WIDTH, HEIGHT, BORDER = 160, 120, 3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """NYUv2 in small: 40 frames, of which 10 to 19 and 30 to 39 are test blocks."""
    rng = np.random.default_rng(4)
    v = np.arange(HEIGHT)[:, None]
    for i in range(40):
        image = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 1.2)
        cv2.imwrite(str(tmp_path / f"rgb{i:04d}.png"), image)
        depth_steps = np.broadcast_to(90 - v // 3 + i, (HEIGHT, WIDTH)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"depth{i:04d}.png"), depth_steps)
    entry = {
        "id": "nyuv2",
        "n": 40,
        "rgb": "rgb{i:04d}.png",
        "depth": "depth{i:04d}.png",
        "width": WIDTH,
        "height": HEIGHT,
        **{"fx": 130.0, "fy": 130.0, "cx": 80.0, "cy": 60.0},
        "split": {"block_frames": 10, "guard_frames": 2, "test_blocks": [1, 3]},
    }
    (tmp_path / "INDEX.json").write_text(json.dumps({"sequences": [entry], "stereo_scenes": []}))
    return tmp_path


def test_every_second_frame_of_the_test_blocks(root: Path):
    pairs = open_dataset("nyuv2_pairs", root)
    numbers = [*range(10, 20, 2), *range(30, 40, 2)]
    assert [pair.name for pair in pairs] == [f"nyuv2_pair_{i:04d}" for i in numbers]


def test_they_are_the_same_each_time_and_differ_from_each_other(root: Path):
    first, again = (open_dataset("nyuv2_pairs", root) for _ in range(2))
    ranges, grey = [], 0
    for pair, same in zip(first, again):
        for name in ("image", "right"):
            np.testing.assert_array_equal(getattr(pair.frame, name), getattr(same.frame, name))
        np.testing.assert_array_equal(pair.disparity, same.disparity)
        ranges.append(float(np.percentile(pair.disparity, 90)))
        grey += pair.frame.image.ndim == 2
    assert max(ranges) > 2 * min(ranges) and 0 < grey < len(first)


def test_truth_is_whole_and_belongs_to_the_rig(root: Path):
    for pair, seen in zip(open_dataset("nyuv2_pairs", root), open_dataset("nyuv2_pairs_seen", root)):
        assert pair.disparity.shape == (HEIGHT - 2 * BORDER, WIDTH - 2 * BORDER)
        assert np.isfinite(pair.disparity).all() and 0 < pair.disparity.min() < pair.disparity.max() <= 250
        np.testing.assert_allclose(pair.frame.rig.disparity_from_depth(pair.depth), pair.disparity, rtol=1e-4)
        kept = np.isfinite(seen.disparity)
        np.testing.assert_array_equal(seen.disparity[kept], pair.disparity[kept])
        left_of_the_right_image = np.arange(pair.disparity.shape[1]) < pair.disparity
        assert 0.2 < kept.mean() < 1.0 and not kept[left_of_the_right_image].any()


def test_a_matcher_finds_the_disparity_that_the_truth_claims(data_dir: Path):
    sgbm, pairs = SgbmEstimator(), open_dataset("nyuv2_pairs_seen", data_dir)
    assert len(pairs) == 100
    scores = [
        disparity_metrics(sgbm.estimate(p.frame).disparity, p.disparity) for p in (pairs[40], pairs[88])
    ]
    for score in scores:
        assert score["bad_px_1_answered"] < 0.03 and score["coverage"] > 0.9
