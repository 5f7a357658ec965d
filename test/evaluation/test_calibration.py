"""Calibration and sparsification on numbers that are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recon3d_ros.evaluation.calibration import (
    REMOVED,
    Collector,
    ause,
    calibration_bins,
    sparsification,
    to_dict,
    to_text,
)
from recon3d_ros.geometry import DepthMap, Frame, Sample, StereoRig

HEIGHT, WIDTH = 50, 80
RIG = StereoRig.simple(WIDTH, HEIGHT, 100.0, 0.2, doffs_px=-1.0)


def test_confidence_that_is_true_lies_on_the_diagonal():
    rng = np.random.default_rng(0)
    confidence = rng.random(200_000).astype(np.float32)
    errors = np.where(rng.random(confidence.size) < confidence, 0.5, 9.0).astype(np.float32)
    means, shares = calibration_bins(errors, confidence)
    np.testing.assert_allclose(means, np.arange(0.05, 1, 0.1), atol=0.01)
    np.testing.assert_allclose(shares, means, atol=0.01)
    _, certain = calibration_bins(errors, np.sqrt(confidence))
    assert np.abs(certain - np.sqrt(means)).max() > 0.2  # over-confident


def test_bins_of_few_pixels():
    means, shares = calibration_bins(np.array([1, 5, 1], np.float32), np.array([0.9, 0.1, 0.5], np.float32))
    np.testing.assert_allclose(means, [0.1, 0.5, 0.9])
    np.testing.assert_array_equal(shares, [0, 1, 1])


def test_sparsification_takes_the_least_trusted_away():
    errors = np.arange(100, dtype=np.float32)
    oracle = sparsification(errors, -errors)
    np.testing.assert_allclose(oracle, [np.arange(n).mean() for n in range(100, 0, -5)])
    wrong_way = sparsification(errors, errors)
    assert wrong_way[0] == oracle[0] == pytest.approx(49.5) and wrong_way[-1] == pytest.approx(97.0)
    assert ause(oracle, oracle) == 0.0
    none = sparsification(np.ones(100, np.float32), np.zeros(100))
    np.testing.assert_array_equal(none, np.ones(len(REMOVED)))
    assert ause(wrong_way, oracle) == pytest.approx(0.9, abs=0.02)  # both are lines: 1 to 2 and 1 to 0
    assert np.isnan(ause(np.zeros(20), np.zeros(20)))


def _frame(confidence, sigma_px, error, name="f"):
    rng = np.random.default_rng(1)
    truth = rng.uniform(2, 30, (HEIGHT, WIDTH)).astype(np.float32)
    got = truth + error
    truth[:, :7] = np.nan
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    sample = Sample(Frame(0, image, RIG.left, image, RIG, name), truth, None, name)
    depth = RIG.depth_from_disparity(got)
    sigma_m = None if sigma_px is None else (sigma_px * depth**2 / (100.0 * 0.2)).astype(np.float32)
    return sample, DepthMap(depth, RIG.left, got, confidence, sigma_m)


def test_a_set_is_gathered_over_its_frames():
    rng = np.random.default_rng(2)
    scale = rng.uniform(0.2, 6.0, (HEIGHT, WIDTH)).astype(np.float32)
    error = rng.laplace(0, scale).astype(np.float32)
    confidence = 1 - np.exp(-3.0 / scale)
    collector = Collector()
    for _ in range(2):
        collector.add(*_frame(confidence, np.sqrt(2) * scale, np.abs(error)))
    found = collector.result("set", "ours", "fp32")
    assert found.pixels == 2 * HEIGHT * (WIDTH - 7)
    assert found.largest_gap < 0.06
    assert found.within_sigma == pytest.approx(0.757, abs=0.02)
    assert 0 < found.ause_sigma == pytest.approx(found.ause_confidence, abs=0.01)  # they rank alike
    plain = json.loads(json.dumps(to_dict(found), allow_nan=False))
    assert (plain["set"], plain["model"], plain["precision"]) == ("set", "ours", "fp32")
    assert len(plain["confidence"]) == 10 and len(plain["oracle"]) == len(plain["removed"]) == 20
    lines = to_text([found]).splitlines()
    assert lines[1].startswith(f"set  ours fp32: {found.pixels} px, largest gap 0.0")
    assert lines[2].count("->") == 10


def test_sigma_alone_will_do_and_neither_gives_nothing():
    zeros = np.zeros((HEIGHT, WIDTH), np.float32)
    collector = Collector()
    collector.add(*_frame(None, zeros + 1, zeros + 2))
    found = collector.result("set", "ours", "fp32")
    assert found.confidence is None and found.largest_gap is None
    assert found.within_sigma == 0.0 and found.ause_sigma == pytest.approx(0.0, abs=1e-6)
    assert "largest gap" not in to_text([found])
    nothing = Collector()
    nothing.add(*_frame(None, None, zeros))
    assert nothing.result("set", "ours", None) is None
