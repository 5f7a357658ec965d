"""Counting what happens to frames."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import (
    BackendError,
    CalibrationError,
    ContractError,
    DataError,
    FrameError,
    ImageError,
    NoParallaxError,
    ParallaxError,
)
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, StereoRig
from recon3d_ros.ros.health.health import Health, Level
from recon3d_ros.ros.health.outcome import SKIPPED, Cause, DepthStatistics, FrameOutcome, cause_of
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.scale import Scale


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
        (FrameError("x"), Cause.NO_TRANSFORM),
        (DataError("x"), Cause.INTERNAL),
        (ParallaxError("x"), Cause.NO_DEPTH),
        (NoParallaxError("x"), Cause.NO_DEPTH),
        (ZeroDivisionError("x"), Cause.INTERNAL),
    ],
)
def test_cause_of(error, cause):
    assert cause_of(error) is cause


def publish(health, latency_ms=1.0, processing_ms=1.0, timings_ms=None, depth_map=None, frame=None):
    """Record a frame that went out."""
    depth = None if depth_map is None else DepthStatistics.of(depth_map)
    health.record(
        FrameOutcome(
            published=True,
            latency_ms=latency_ms,
            processing_ms=processing_ms,
            timings_ms=timings_ms or {},
            depth=depth,
            frame=frame,
        )
    )


def test_rates_and_percentiles(health, clock):
    for i in range(101):
        clock.now = 100.0 + i * 0.1
        health.received()
        if i % 2 == 0:
            publish(health, latency_ms=float(i), processing_ms=i / 10)
    report = health.report()
    assert report.rate_in_hz == pytest.approx(10, rel=0.05)
    assert report.rate_out_hz == pytest.approx(5, rel=0.05)
    assert report.latency_ms == (50.0, 96.0, 100.0)  # of 0, 2 ... 100, nearest rank
    assert report.processing_ms == (5.0, 9.6, 10.0)
    assert (report.received, report.published) == (101, 51)
    assert (report.level, report.message) == (Level.OK, "publishing")


def levels_after(health, clock, *seconds):
    start, levels = clock.now, []
    for second in seconds:
        clock.now = start + second
        levels.append(health.report().level)
    return levels


STALL = [Level.OK, Level.WARN, Level.WARN, Level.ERROR]


def test_images_that_never_come_are_a_warning_then_an_error(health, clock):
    assert (health.report().level, health.report().message) == (Level.OK, "waiting for images")
    assert levels_after(health, clock, 0.9, 1.1, 4.9, 5.1) == STALL
    report = health.report()
    assert "/left and /right" in report.message and "for 5 s" in report.message
    assert report.latency_ms is None and report.valid_share is None


def feed(health, clock, period_s, count=10):
    for _ in range(count):
        health.received()
        publish(health)
        clock.now += period_s


def test_a_stalled_camera_comes_back_by_itself(health, clock):
    feed(health, clock, 0.1)
    clock.now -= 0.1
    assert levels_after(health, clock, 0.9, 1.1, 4.9, 5.1) == STALL
    health.received()
    publish(health)
    assert (health.report().level, health.report().message) == (Level.OK, "publishing")


def test_a_slow_camera_is_given_its_own_time(health, clock):
    feed(health, clock, 2.0)
    clock.now -= 2.0
    assert levels_after(health, clock, 5.9, 6.1, 12.1) == [Level.OK, Level.WARN, Level.ERROR]


def test_one_long_pause_does_not_make_a_camera_slow(health, clock):
    feed(health, clock, 60.0, 2)
    clock.now -= 60.0
    assert levels_after(health, clock, 1.1, 5.1) == [Level.WARN, Level.ERROR]


def test_silence_does_not_count_while_nobody_wants_images(health, clock):
    feed(health, clock, 0.1)
    health.idle(True)
    clock.now += 100.0
    assert (health.report().level, health.report().message) == (Level.OK, "idle: nobody subscribes")
    health.idle(False)
    assert levels_after(health, clock, 0.9, 1.1, 4.9, 5.1) == STALL
    health.idle(True, "inactive")
    assert health.report().message == "idle: inactive"


def answer(share_valid, confidence=None):
    camera = PinholeCamera.simple(64, 48, fx=50.0)
    depth = np.full((48, 64), np.nan, np.float32)
    depth[: round(48 * share_valid)] = 2.0
    return DepthMap(depth, camera, confidence=confidence)


def test_stages_valid_share_and_confidence(health):
    confidence = np.full((48, 64), 0.95, np.float32)
    confidence[:12] = 0.31
    confidence[12:24] = np.nan
    for stage_ms in (1.0, 2.0, 3.0):
        publish(health, 9.0, 8.0, {"estimate": stage_ms, "filter": 0.5}, answer(0.5, confidence))
    report = health.report()
    assert report.stages_ms["estimate"] == (2.0, 3.0, 3.0)
    assert set(report.stages_ms) == {"estimate", "filter"}
    assert report.valid_share == pytest.approx(0.5)
    histogram = np.zeros(10)
    histogram[3], histogram[9] = 1 / 3, 2 / 3  # of the finite ones; +-1 row of the grid
    np.testing.assert_allclose(report.confidence_histogram, histogram, atol=0.1)
    outcome = FrameOutcome(published=True, depth=DepthStatistics.of(answer(0.5, confidence), 0.2))
    health.record(outcome)
    assert health.report().beyond_max_depth == pytest.approx(0.05)  # of four frames
    publish(health, 9.0, 8.0, {}, answer(1.0))  # a model without confidence came instead
    assert health.report().confidence_histogram is None
    publish(health, 9.0, 8.0, {}, answer(1.0, np.full((48, 64), np.nan, np.float32)))
    assert health.report().confidence_histogram is None


def picture(seed=0, size_hw=(240, 320)):
    return np.random.default_rng(seed).integers(60, 200, size_hw).astype(np.uint8)


def test_images_are_looked_at_once_a_second_and_believed_at_the_second_look(health, clock, warnings):
    camera = PinholeCamera.simple(320, 240, fx=300.0)
    dark = Frame(0, np.zeros((240, 320), np.uint8), camera)
    assert health.report().findings is None
    for _ in range(9):  # within one second: one look
        health.received()
        publish(health, frame=dark)
        clock.now += 0.1
    assert health.report().findings == () and health.report().level is Level.OK
    clock.now += 0.2
    health.received()
    publish(health, frame=dark)
    report = health.report()
    assert report.level is Level.WARN and "dark" in report.message and "dark" in warnings[0]
    clock.now += 1.1
    health.received()
    publish(health, frame=Frame(0, picture(), camera))
    assert health.report().findings == () and health.report().level is Level.OK


def test_an_unlikely_calibration_is_a_warning_for_as_long_as_frames_have_it(health, clock, warnings):
    assert health.report().doubts is None
    for baseline in (537, 538):  # one kind of message: numbers aside it is the same
        health.received()
        health.record(FrameOutcome(published=True, doubts=(f"expected a baseline, got {baseline} m",)))
        report = health.report()
        assert report.level is Level.WARN and report.doubts == (f"expected a baseline, got {baseline} m",)
        assert report.message == report.doubts[0]
    assert len(warnings) == 1 and "got 537 m" in warnings[0]
    health.record(FrameOutcome(cause=Cause.BUSY))
    assert health.report().level is Level.WARN
    health.received()
    health.record(FrameOutcome(published=True))
    assert health.report().level is Level.OK and health.report().doubts == ()


def test_a_pair_is_looked_at_again_soon_when_something_is_seen(health, clock):
    rig = StereoRig.simple(320, 240, fx=300.0, baseline_m=0.1)
    same = Frame(0, picture(), rig.left, picture(), rig)
    for _ in range(2):
        publish(health, frame=same)
        clock.now += 1.1
    (message,) = health.report().findings
    assert "same image" in message


def test_faults_are_errors_without_output_and_warnings_with(health, clock):
    health.received()
    health.record(FrameOutcome.failed(CalibrationError("expected fx > 0, got 0")))
    assert (health.report().level, health.report().message) == (Level.ERROR, "expected fx > 0, got 0")
    publish(health)
    assert health.report().level is Level.WARN
    clock.now += 4.0
    clock.now += 1.5
    health.received()  # the fault is older than the window now
    assert health.report().level is Level.OK
    assert health.report().drops[Cause.CAMERA_INFO] == 1


def test_busy_is_counted_but_no_fault(health, warnings):
    health.received()
    publish(health)
    health.record(FrameOutcome(cause=Cause.BUSY))
    assert health.report().level is Level.OK
    assert health.report().drops[Cause.BUSY] == 1
    assert warnings == []


def test_a_model_that_hangs_is_a_warning(health, clock):
    for _ in range(20):
        health.received()
        publish(health)
        clock.now += 1.0
    for _ in range(30):  # images go on, nothing comes out
        health.received()
        health.record(FrameOutcome(cause=Cause.BUSY))
        clock.now += 1.0
    report = health.report()
    assert report.level is Level.WARN and "for 30 s" in report.message
    publish(health)
    assert (health.report().level, health.report().message) == (Level.OK, "publishing")


def test_a_first_frame_after_a_pause_is_no_hanging_model(health, clock):
    health.received()  # ... whose fault is over
    clock.now += 60.0
    health.received()
    clock.now += 1.0
    assert (health.report().level, health.report().message) == (Level.OK, "working on a frame")


def test_idle_is_ok_and_says_so(health):
    health.received()
    health.record(SKIPPED)
    assert health.report().level is Level.OK
    assert "nobody subscribes" in health.report().message


def test_warnings_are_throttled_by_kind_not_by_number(health, clock, warnings):
    for i in range(50):
        health.record(FrameOutcome(cause=Cause.TOO_OLD, message=f"got {i}.5 ms"))
        health.record(FrameOutcome(cause=Cause.IMAGE, message="unknown encoding 'foo'"))
    assert len(warnings) == 2
    clock.now += 5.0
    health.record(FrameOutcome(cause=Cause.TOO_OLD, message="got 99 ms"))
    assert len(warnings) == 3
    assert "too_old" in warnings[2] and "got 99 ms" in warnings[2]
    assert health.report().drops[Cause.TOO_OLD] == 51


def unreadable(text):
    try:
        raise ImageError(f"unknown encoding {text!r}")
    except ImageError as exc:
        return FrameOutcome.failed(exc)


def test_what_a_sender_writes_neither_floods_nor_fills_the_log(health, clock, warnings):
    for i in range(500):
        health.record(unreadable(f"encoding {chr(97 + i % 26) * (i + 1)}"))
    assert len(warnings) == 3
    clock.now += 5.0
    health.record(unreadable("\x1b[2J" + "x" * 2_000_000))
    assert len(warnings) == 4 and len(warnings[3]) < 1000 and "\x1b" not in warnings[3]
    assert len(health.report().message) < 1000 and "\x1b" not in health.report().message
    for i in range(500):  # and where kinds come from a text after all
        letters = "".join(chr(97 + int(digit)) for digit in str(i))
        health.record(FrameOutcome(cause=Cause.TOO_OLD, message=f"camera {letters} is late"))
    assert len(warnings) <= 24


def test_images_without_a_partner_are_no_frames(health, warnings):
    health.unmatched(2)
    assert health.report().drops[Cause.UNMATCHED] == 2 and health.report().received == 0 and not warnings
    health.unmatched(1, "expected both, got one")
    report = health.report()
    assert report.drops[Cause.UNMATCHED] == 3 and report.message == "expected both, got one"
    assert warnings == ["frame dropped (unmatched): expected both, got one"]


def test_unexpected_errors_name_their_type(health, warnings):
    health.record(FrameOutcome.failed(KeyError("left")))
    assert "KeyError" in warnings[0]
    assert health.report().drops[Cause.INTERNAL] == 1


def test_a_look_at_the_images_that_fails_is_told_and_costs_no_frame(health, clock, warnings, monkeypatch):
    def fails(*args):
        raise ZeroDivisionError("a bug of this test")

    monkeypatch.setattr("recon3d_ros.ros.health.image_watch.check_images", fails)
    camera = PinholeCamera.simple(200, 150, fx=100.0)
    publish(health, frame=Frame(0, np.zeros((150, 200), np.uint8), camera))
    assert len(warnings) == 1 and "a bug of this test" in warnings[0]
    assert sum(health.report().drops.values()) == 0


def test_frames_that_were_skipped_do_not_hide_the_work_that_follows(health, clock):
    health.record(SKIPPED)
    health.idle(True)
    clock.now += 1.0
    health.idle(False)
    health.received()
    publish(health)
    assert health.report().message == "publishing"


def scale_of(age_s, sources=(), trusted=True):
    return Scale(2.0, 0.0, 0.1, sources, dict.fromkeys(sources, 1), age_s, trusted, "range: nothing in reach")


def tell(health, scale, asked=("range",), unused=None):
    """Record a frame that went out with this scale."""
    state = ScaleState.after(health.report().scale, scale, asked, unused or {})
    health.record(FrameOutcome(published=True, scale=state))


def test_a_scale_that_ages_warns_and_a_fresh_one_does_not(health):
    health.received()
    tell(health, scale_of(0.0, ("range",)))
    assert health.report().level is Level.OK
    tell(health, scale_of(0.9))  # a sensor may be slower than the camera
    assert health.report().level is Level.OK
    tell(health, scale_of(3.2), unused={"range": "expected messages on /sonar, got none"})
    report = health.report()
    assert report.level is Level.WARN
    assert "got none for 3 s" in report.message and "/sonar" in report.message
    tell(health, scale_of(0.0, ("range",)))
    assert health.report().level is Level.OK


def test_frames_are_counted_for_every_source(health):
    for sources in (("range",), ("range", "floor"), ("floor",)):
        tell(health, scale_of(0.0, sources), ("range", "floor", "scan"))
    state = health.report().scale
    assert (state.frames_used, state.frames_unused) == (
        {"range": 2, "floor": 2},
        {"floor": 1, "range": 1, "scan": 3},
    )
    health.record(FrameOutcome(cause=Cause.BUSY))  # it came not so far that a scale was asked for
    assert health.report().scale is state
    publish(health)
    assert health.report().scale is None  # switched off
    tell(health, scale_of(0.0))
    assert health.report().scale.frames_unused == {"range": 1}


def test_without_a_trusted_scale_nothing_comes_out_and_that_is_an_error(health):
    state = ScaleState.after(None, scale_of(9.0, trusted=False), ("range",), {})
    health.record(FrameOutcome(cause=Cause.NO_SCALE, message=state.message, scale=state))
    report = health.report()
    assert report.level is Level.ERROR and report.drops[Cause.NO_SCALE] == 1 and report.scale is state
    assert report.message.startswith("expected a scale that can be trusted") and "in reach" in report.message


def test_a_lull_is_a_warning_however_long_it_lasts_and_logged_when_it_begins(health, clock, warnings):
    still = "expected a shift of 40 px, got {} px: the camera did not move far enough"
    for i in range(600):
        clock.now += 0.1
        health.received()
        health.record(FrameOutcome.failed(NoParallaxError(still.format(i / 100))))
    report = health.report()
    assert (report.level, report.message) == (Level.WARN, still.format(5.99))
    assert report.drops[Cause.NO_DEPTH] == 600
    assert warnings == [f"frame dropped (no_depth): {still.format('0.0')}"]
    health.received()
    health.record(FrameOutcome(published=True))
    assert health.report().level is Level.OK
    clock.now += 6.0
    health.received()
    health.record(FrameOutcome.failed(NoParallaxError(still.format(0))))
    assert len(warnings) == 2
    health.record(FrameOutcome.failed(NoParallaxError("expected a shift, got none: it turned away")))
    assert len(warnings) == 3 and "turned away" in warnings[-1]


def test_poses_that_do_not_fit_are_a_fault(health, clock, warnings):
    for _ in range(60):
        clock.now += 0.1
        health.received()
        health.record(FrameOutcome.failed(ParallaxError("expected images that fit the poses, got none")))
    assert health.report().level is Level.ERROR
    assert len(warnings) == 2  # every 5 s
