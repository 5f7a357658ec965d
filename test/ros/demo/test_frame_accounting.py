from __future__ import annotations

import math

import pytest

from recon3d_ros.ros.demo.frame_accounting import FrameAccounting, mean_scores

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND)


def test_frames_in_are_clouds_plus_drops_within_the_window():
    accounting = FrameAccounting(seconds=1.0)
    for i in range(20):  # 10 Hz from one second before the first cloud to one second after it
        accounting.add_frame(at(-1 + i / 10))
    for i in (0, 2, 4, 6, 8, 11):  # each 0.15 s later; the last is behind the window
        accounting.add_cloud(at(i / 10), at(i / 10 + 0.15))
    summary = accounting.summary()
    assert (summary["frames_in"], summary["clouds_out"], summary["dropped"]) == (10, 5, 5)
    assert summary["rate_hz"] == pytest.approx(5.0)
    assert summary["latency_ms_p50"] == pytest.approx(150.0)
    assert accounting.end_ns == at(1.0) and accounting.contains(at(0.99)) and not accounting.contains(at(1.0))


def test_frames_announced_before_the_late_first_cloud_count():
    accounting = FrameAccounting(seconds=1.0)
    for i in range(5):
        accounting.add_frame(at(i / 10))
    accounting.add_cloud(at(0.1), at(0.45))
    assert accounting.summary()["frames_in"] == 4


def test_percentiles_and_repeated_clouds():
    accounting = FrameAccounting(seconds=10.0)
    for i in range(100):
        accounting.add_cloud(at(i / 20), at(i / 20) + (i + 1) * 1_000_000)
    accounting.add_cloud(at(0), at(9))  # the same once more is neither a cloud nor a latency
    summary = accounting.summary()
    assert summary["clouds_out"] == accounting.clouds == 100
    assert summary["latency_ms_p50"] == pytest.approx(50.5)
    assert summary["latency_ms_p95"] == pytest.approx(95.05)


def test_nothing_measured_is_nan():
    summary = FrameAccounting(seconds=1.0).summary()
    assert summary["clouds_out"] == summary["frames_in"] == 0
    assert math.isnan(summary["latency_ms_p50"]) and math.isnan(summary["rate_hz"])


def test_scores_average_over_the_frames_that_have_them():
    rows = [{"abs_rel": 0.1, "coverage": 1.0}, {"abs_rel": math.nan, "coverage": 0.5}]
    assert mean_scores(rows, ("abs_rel", "coverage")) == {"abs_rel": 0.1, "coverage": 0.75}
    assert math.isnan(mean_scores([], ("abs_rel",))["abs_rel"])
