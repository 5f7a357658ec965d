"""Scores on answers that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recon3d_ros.errors import BackendError
from recon3d_ros.evaluation import evaluate, score
from recon3d_ros.evaluation.scoring import DEPTH_RANGE_M, FrameScore, SetScore
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, Sample, StereoRig

WIDTH, HEIGHT = 10, 4
RIG = StereoRig.simple(WIDTH, HEIGHT, 100.0, 0.2)
IMAGE = np.zeros((HEIGHT, WIDTH), np.uint8)


def _stereo_sample(disparity, with_depth=True, name="s"):
    truth = np.full((HEIGHT, WIDTH), disparity, np.float32)
    frame = Frame(stamp_ns=0, image=IMAGE, camera=RIG.left, right=IMAGE, rig=RIG, name=name)
    depth = RIG.depth_from_disparity(truth) if with_depth else None
    return Sample(frame=frame, disparity=truth, depth=depth, name=name)


def _answer(disparity):
    plane = np.broadcast_to(np.float32(disparity), (HEIGHT, WIDTH)).copy()
    return DepthMap(depth=RIG.depth_from_disparity(plane), camera=RIG.left, disparity=plane)


class _FixedEstimator:
    """Gives the same answer to every frame."""

    def __init__(self, depth_map, is_stereo=True):
        self.depth_map, self.is_stereo, self.asked = depth_map, is_stereo, []

    def estimate(self, frame):
        self.asked.append(frame.name)
        return self.depth_map


def test_a_missing_answer_is_bad_but_has_no_error():
    disparity = np.full((HEIGHT, WIDTH), 10.0, np.float32)
    disparity[:, 0] = np.nan
    disparity[:, 1] = 12.5
    metrics = score(_answer(disparity), _stereo_sample(10.0), is_stereo=True)
    assert metrics["bad_px_1"] == pytest.approx(0.2)
    assert metrics["bad_px_2"] == pytest.approx(0.2)
    assert metrics["bad_px_3"] == pytest.approx(0.1)
    assert metrics["epe_px"] == pytest.approx(2.5 / 9)
    assert metrics["coverage"] == pytest.approx(0.9)
    assert metrics["pixels"] == WIDTH * HEIGHT
    assert metrics["abs_rel"] == pytest.approx(0.2 / 9)  # 1.6 m instead of 2 m in one of nine columns
    assert "abs_rel_scaled" not in metrics


def test_without_metric_truth_there_are_no_metres():
    metrics = score(_answer(10.0), _stereo_sample(10.0, with_depth=False), is_stereo=True)
    assert metrics["epe_px"] == 0.0
    assert not {"abs_rel", "rmse_m", "delta_1"} & metrics.keys()


def _mono_sample(truth):
    camera = PinholeCamera.simple(WIDTH, HEIGHT, 100.0)
    frame = Frame(stamp_ns=0, image=IMAGE, camera=camera, name="m")
    return Sample(frame=frame, disparity=None, depth=truth, name="m")


def test_one_camera_is_scored_raw_and_scaled_by_the_median():
    truth = np.linspace(1, 5, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)
    sample = _mono_sample(truth)
    answer = DepthMap(depth=truth / np.float32(2), camera=sample.frame.camera)
    metrics = score(answer, sample, is_stereo=False)
    assert metrics["abs_rel"] == pytest.approx(0.5)
    assert metrics["delta_1"] == 0.0
    assert metrics["scale"] == pytest.approx(2.0)
    assert metrics["abs_rel_scaled"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["delta_1_scaled"] == 1.0
    assert metrics["coverage"] == 1.0
    assert "bad_px_1" not in metrics


def test_depth_is_capped_to_the_range_and_infinity_is_no_answer():
    low, high = DEPTH_RANGE_M
    truth = np.full((HEIGHT, WIDTH), 40.0, np.float32)
    truth[0] = 2 * high  # not scored
    depth = np.full((HEIGHT, WIDTH), 40.0, np.float32)
    depth[1] = 1e6  # scored as 80 m
    depth[2, :5] = np.inf
    sample = _mono_sample(truth)
    metrics = score(DepthMap(depth=depth, camera=sample.frame.camera), sample, is_stereo=True)
    assert metrics["depth_pixels"] == 30
    assert metrics["coverage"] == pytest.approx(25 / 30)
    assert metrics["abs_rel"] == pytest.approx((high - 40.0) / 40.0 * 10 / 25)
    assert low < 40.0 < high


def test_no_answer_at_all_gives_nan_and_full_bad():
    metrics = score(_answer(np.nan), _stereo_sample(10.0), is_stereo=True)
    assert metrics["bad_px_3"] == 1.0 and metrics["coverage"] == 0.0
    assert math.isnan(metrics["epe_px"]) and math.isnan(metrics["abs_rel"])
    mono = _mono_sample(np.full((HEIGHT, WIDTH), 2.0, np.float32))
    nothing = DepthMap(depth=np.full((HEIGHT, WIDTH), np.nan, np.float32), camera=mono.frame.camera)
    metrics = score(nothing, mono, is_stereo=False)
    assert math.isnan(metrics["abs_rel_scaled"]) and metrics["coverage"] == 0.0


def test_without_truth_only_the_coverage_is_known():
    sample = _mono_sample(None)
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    depth[0, :4] = np.inf
    metrics = score(DepthMap(depth=depth, camera=sample.frame.camera), sample, is_stereo=False)
    assert metrics == {"coverage": pytest.approx(0.9)}


def test_a_set_is_the_mean_over_frames_that_have_the_metric():
    frames = (
        FrameScore("a", 10.0, {"epe_px": 1.0, "coverage": 0.5}),
        FrameScore("b", 30.0, {"epe_px": math.nan, "coverage": 0.0}),
        FrameScore("c", 11.0, {"epe_px": 3.0, "coverage": 1.0, "abs_rel": 0.25}),
    )
    scores = SetScore("set", "method", frames)
    assert scores.metrics == {"epe_px": 2.0, "coverage": 0.5, "abs_rel": 0.25}
    assert scores.time_ms_median == 11.0
    assert math.isnan(SetScore("set", "method", ()).time_ms_median)


def test_evaluate_asks_for_every_frame_once_and_shows_each_answer():
    estimator = _FixedEstimator(_answer(11.0))
    seen = []
    samples = [_stereo_sample(10.0, name="a"), _stereo_sample(13.5, name="b")]
    scores = evaluate(
        estimator, iter(samples), "d", "m", "fp16", lambda sample, answer: seen.append((sample.name, answer))
    )
    assert estimator.asked == ["a", "b"]
    assert seen == [("a", estimator.depth_map), ("b", estimator.depth_map)]
    assert (scores.data, scores.method, scores.precision, scores.is_stereo) == ("d", "m", "fp16", True)
    assert [frame.name for frame in scores.frames] == ["a", "b"]
    assert scores.metrics["epe_px"] == pytest.approx((1.0 + 2.5) / 2)
    assert all(frame.time_ms >= 0 for frame in scores.frames)


def test_pairs_without_any_truth_are_asked_twice_for_their_consistency():
    sample = _stereo_sample(3.0)
    blind = Sample(frame=sample.frame, disparity=None, depth=None, name="blind")
    estimator = _FixedEstimator(_answer(3.0))
    scores = evaluate(estimator, [blind])
    assert len(estimator.asked) == 2
    assert scores.metrics["consistent_px_1"] == pytest.approx((WIDTH - 3) / WIDTH)
    assert "epe_px" not in scores.metrics


def test_a_failing_frame_fails_the_set():
    class Broken:
        is_stereo = True

        def estimate(self, frame):
            raise BackendError("expected an answer, got none: try again")

    with pytest.raises(BackendError):
        evaluate(Broken(), [_stereo_sample(10.0)])
