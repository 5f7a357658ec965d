"""Calibration and sparsification on numbers that are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recon3d_ros.evaluation.reliability import (
    DEPTH_ERROR,
    DISPARITY_ERROR,
    REMOVED,
    ReliabilityCollector,
    ause,
    calibration_bins,
    sparsification,
    to_dict,
    to_text,
)
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, Sample, StereoRig

HEIGHT, WIDTH = 50, 80
RIG = StereoRig.simple(WIDTH, HEIGHT, 100.0, 0.2, doffs_px=-1.0)


def test_confidence_that_is_true_lies_on_the_diagonal():
    rng = np.random.default_rng(0)
    confidence = rng.random(200_000).astype(np.float32)
    errors = np.where(rng.random(confidence.size) < confidence, 0.5, 9.0).astype(np.float32)
    means, shares = calibration_bins(errors, confidence, 3.0)
    np.testing.assert_allclose(means, np.arange(0.05, 1, 0.1), atol=0.01)
    np.testing.assert_allclose(shares, means, atol=0.01)
    _, certain = calibration_bins(errors, np.sqrt(confidence), 3.0)
    assert np.abs(certain - np.sqrt(means)).max() > 0.2  # over-confident


def test_bins_of_few_pixels():
    errors, confidence = np.array([1, 5, 1], np.float32), np.array([0.9, 0.1, 0.5], np.float32)
    means, shares = calibration_bins(errors, confidence, 3.0)
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
    collector = ReliabilityCollector(DISPARITY_ERROR)
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
    assert lines[0].startswith("calibration: confidence -> share with error < 3 px")
    assert (plain["error"], plain["threshold"]) == ("px", 3.0)
    assert lines[1].startswith(f"set  ours fp32: {found.pixels} px, largest gap 0.0")
    assert lines[2].count("->") == 10


def test_sigma_alone_will_do_and_neither_gives_nothing():
    zeros = np.zeros((HEIGHT, WIDTH), np.float32)
    collector = ReliabilityCollector(DISPARITY_ERROR)
    collector.add(*_frame(None, zeros + 1, zeros + 2))
    found = collector.result("set", "ours", "fp32")
    assert found.confidence is None and found.largest_gap is None
    assert found.within_sigma == 0.0 and found.ause_sigma == pytest.approx(0.0, abs=1e-6)
    assert "largest gap" not in to_text([found])
    nothing = ReliabilityCollector(DISPARITY_ERROR)
    nothing.add(*_frame(None, None, zeros))
    assert nothing.result("set", "ours", None) is None


CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, 60.0)


def _depth_frame(error, confidence, sigma_share):
    """Depths of 1 to 5 m, answered with that relative error; a column without truth, one beyond the range."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(1, 5, (HEIGHT, WIDTH)).astype(np.float32)
    depth = (truth * (1 + error)).astype(np.float32)
    truth[:, 0], truth[:, 1] = np.nan, 300.0
    sample = Sample(Frame(0, np.zeros((HEIGHT, WIDTH), np.uint8), CAMERA), None, truth, "m")
    return sample, DepthMap(depth, CAMERA, None, confidence, (sigma_share * depth).astype(np.float32))


def test_of_one_camera_confidence_is_of_relative_depth():
    """Uniform errors up to s: a share 0.25 / s is below a quarter, and half below sigma = s z / 2."""
    rng = np.random.default_rng(4)
    spread = rng.uniform(0.25, 0.9, (HEIGHT, WIDTH)).astype(np.float32)
    confidence = np.float32(0.25) / spread
    collector = ReliabilityCollector(DEPTH_ERROR)
    for _ in range(8):
        error = rng.uniform(0, spread).astype(np.float32)
        collector.add(*_depth_frame(error, confidence, spread / 2 / (1 + error)))
    found = collector.result("set", "mono", "fp32")
    assert found.pixels == 8 * HEIGHT * (WIDTH - 2)
    assert found.largest_gap < 0.02
    assert found.within_sigma == pytest.approx(0.5, abs=0.01)
    assert 0 < found.ause_confidence < 0.35
    assert found.oracle[0] == pytest.approx(spread.mean() / 2, abs=0.01)
    plain = to_dict(found)
    assert (plain["error"], plain["threshold"]) == ("relative_depth", 0.25)
    assert "error < 25 % of the depth" in to_text([found]).splitlines()[0]


def test_sigma_of_depth_ranks_by_the_share_of_what_was_answered():
    """All answers are right but the far half, whose sigma is larger in metres and smaller as a share."""
    truth = np.full((HEIGHT, WIDTH), 1.0, np.float32)
    truth[HEIGHT // 2 :] = 40.0
    sigma = np.where(truth > 1, np.float32(0.4), np.float32(0.1)).astype(np.float32)
    depth = np.where(truth > 1, truth * np.float32(1.1), truth).astype(np.float32)
    collector = ReliabilityCollector(DEPTH_ERROR)
    sample = Sample(Frame(0, np.zeros((HEIGHT, WIDTH), np.uint8), CAMERA), None, truth, "m")
    collector.add(sample, DepthMap(depth, CAMERA, sigma_m=sigma))
    found = collector.result("set", "mono", None)
    assert found.by_sigma[-1] == pytest.approx(0.1, rel=1e-4)  # the wrong half was trusted most
    assert found.within_sigma == 0.5


def test_both_kinds_have_a_heading_of_their_own():
    zeros = np.zeros((HEIGHT, WIDTH), np.float32)
    pairs, mono = ReliabilityCollector(DISPARITY_ERROR), ReliabilityCollector(DEPTH_ERROR)
    pairs.add(*_frame(zeros + 1, None, zeros))
    mono.add(*_depth_frame(zeros, zeros + 1, zeros))
    found = [mono.result("a", "mono", None), pairs.result("a", "two", None)]
    headings = [line for line in to_text(found).splitlines() if line.startswith("calibration")]
    assert [heading.split(",")[0][-12:] for heading in headings] == ["of the depth", "error < 3 px"]
    nothing = ReliabilityCollector(DEPTH_ERROR)
    nothing.add(*_frame(zeros + 1, None, zeros))
    assert nothing.result("set", "ours", None) is None  # pairs without depth
