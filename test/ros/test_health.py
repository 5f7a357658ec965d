"""Counting what happens to frames."""

from __future__ import annotations

import pytest

from recon3d_ros.errors import BackendError, CalibrationError, ContractError, DataError, ImageError
from recon3d_ros.ros.health import Cause, Health, Level, cause_of


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def health(clock, warnings):
    return Health(warnings.append, "/left and /right", clock=clock)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (CalibrationError("x"), Cause.CAMERA_INFO),
        (ImageError("x"), Cause.IMAGE),
        (ContractError("x"), Cause.MODEL),
        (BackendError("x"), Cause.MODEL),
        (DataError("x"), Cause.INTERNAL),
        (ZeroDivisionError("x"), Cause.INTERNAL),
    ],
)
def test_cause_of(error, cause):
    assert cause_of(error) is cause


def test_rates_and_percentiles(health, clock):
    for i in range(101):
        clock.now = 100.0 + i * 0.1
        health.count_received()
        if i % 2 == 0:
            health.count_published(latency_ms=float(i), processing_ms=i / 10)
    report = health.report()
    assert report.rate_in_hz == pytest.approx(10, rel=0.05)
    assert report.rate_out_hz == pytest.approx(5, rel=0.05)
    assert report.latency_ms == (50.0, 96.0)  # of 0, 2 ... 100, nearest rank
    assert report.processing_ms == (5.0, 9.6)
    assert (report.received, report.published) == (101, 51)
    assert (report.level, report.message) == (Level.OK, "publishing")


def test_no_input_is_a_warning_that_names_topics(health):
    report = health.report()
    assert report.level is Level.WARN
    assert "/left and /right" in report.message
    assert report.latency_ms is None


def test_faults_are_errors_without_output_and_warnings_with(health, clock):
    health.count_received()
    health.count_error(CalibrationError("expected fx > 0, got 0"))
    assert (health.report().level, health.report().message) == (Level.ERROR, "expected fx > 0, got 0")
    health.count_published(1.0, 1.0)
    assert health.report().level is Level.WARN
    clock.now += 4.0
    health.count_received()
    clock.now += 2.0  # the fault is older than the window now
    assert health.report().level is Level.OK
    assert health.report().drops[Cause.CAMERA_INFO] == 1


def test_busy_is_counted_but_no_fault(health, warnings):
    health.count_received()
    health.count_published(1.0, 1.0)
    health.count_dropped(Cause.BUSY)
    assert health.report().level is Level.OK
    assert health.report().drops[Cause.BUSY] == 1
    assert warnings == []


def test_a_model_that_hangs_is_a_warning(health, clock):
    for _ in range(20):
        health.count_received()
        health.count_published(1.0, 1.0)
        clock.now += 1.0
    for _ in range(30):  # images go on, nothing comes out
        health.count_received()
        health.count_dropped(Cause.BUSY)
        clock.now += 1.0
    report = health.report()
    assert report.level is Level.WARN and "for 30 s" in report.message
    health.count_published(1.0, 1.0)
    assert (health.report().level, health.report().message) == (Level.OK, "publishing")


def test_a_first_frame_after_a_pause_is_no_hanging_model(health, clock):
    health.count_received()  # ... whose fault is over
    clock.now += 60.0
    health.count_received()
    clock.now += 1.0
    assert (health.report().level, health.report().message) == (Level.OK, "working on a frame")


def test_idle_is_ok_and_says_so(health):
    health.count_received()
    health.count_skipped()
    assert health.report().level is Level.OK
    assert "nobody subscribes" in health.report().message


def test_warnings_are_throttled_by_kind_not_by_number(health, clock, warnings):
    for i in range(50):
        health.count_dropped(Cause.TOO_OLD, f"got {i}.5 ms")
        health.count_dropped(Cause.IMAGE, "unknown encoding 'foo'")
    assert len(warnings) == 2
    clock.now += 5.0
    health.count_dropped(Cause.TOO_OLD, "got 99 ms")
    assert len(warnings) == 3
    assert "too_old" in warnings[2] and "got 99 ms" in warnings[2]
    assert health.report().drops[Cause.TOO_OLD] == 51


def test_unexpected_errors_name_their_type(health, warnings):
    health.count_error(KeyError("left"))
    assert "KeyError" in warnings[0]
    assert health.report().drops[Cause.INTERNAL] == 1
