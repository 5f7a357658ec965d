"""How a camera of the node fares: counts, rates, latencies, image faults and the last thing that went wrong.

Needs no ROS.
"""
# long: one class, the state of a camera, with the windows and statistics it is made of

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import Frame
from recon3d_ros.ros.health.image_watch import ImageWatch
from recon3d_ros.ros.health.outcome import BINS, Cause, FrameOutcome
from recon3d_ros.ros.health.silence import Silence
from recon3d_ros.ros.health.throttle import Throttle
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.system.logs import without_numbers
from recon3d_ros.system.printable import printable

WINDOW_S = 5.0  # rates, and how long a fault shows in the state
LATENCIES_KEPT = 300
_MAPS_KEPT = 30
_KIND_LENGTH = 200


class Level(Enum):
    """State of one camera; the values are those of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


class Percentiles(NamedTuple):
    """Nearest-rank percentiles of the last values."""

    p50: float
    p95: float
    p99: float


def percentiles(values: Sequence[float]) -> Percentiles | None:
    """Nearest-rank percentiles; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return Percentiles(*(ordered[round(share * last)] for share in (0.5, 0.95, 0.99)))


@dataclass(frozen=True)
class Report:
    """A moment's state.

    Attributes:
        level: OK; WARN after a fault, 1 s without images, with a finding in the images, or when a frame takes
            longer than 5 s; ERROR when faults leave no output at all, or after 5 s without images.
        message: one sentence; the last actionable message unless OK.
        rate_in_hz: complete frames (mono images, stereo pairs) per second over the last 5 s.
        rate_out_hz: frames published per second over the last 5 s.
        received: complete frames since the start.
        published: frames published since the start.
        skipped: frames ignored because nobody subscribed.
        drops: number per cause since the start.
        latency_ms: of acquisition to publication, by the node's clock; None before the first.
        processing_ms: of the worker's time for one frame; None before the first.
        stages_ms: of each stage of the pipeline, by its name.
        valid_share: mean share of pixels with a depth in the last frames; None before the first.
        beyond_max_depth: mean share of pixels at one to four times `max_depth_m`, in the same frames.
        confidence_histogram: shares of ten equal bins from 0 to 1 in the last frames; None without a model
            that says its confidence.
        findings: what is wrong in the images, one sentence each; None before the first look at them.
        scale: of a mono model; None when nothing is asked to give it, or before the first frame.
        doubts: what is unlikely about calibration or scale of the last published frame; None before it.
    """

    level: Level
    message: str
    rate_in_hz: float
    rate_out_hz: float
    received: int
    published: int
    skipped: int
    drops: dict[Cause, int]
    latency_ms: Percentiles | None
    processing_ms: Percentiles | None
    stages_ms: dict[str, Percentiles] = field(default_factory=dict)
    valid_share: float | None = None
    beyond_max_depth: float | None = None
    confidence_histogram: tuple[float, ...] | None = None
    findings: tuple[str, ...] | None = None
    scale: ScaleState | None = None
    doubts: tuple[str, ...] | None = None


class Window:
    """Moments of the last `WINDOW_S` seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """Note one more."""
        self._times.append(now)
        self.count(now)

    def count(self, now: float) -> int:
        """How many are not older than the window."""
        while self._times and now - self._times[0] > WINDOW_S:
            self._times.popleft()
        return len(self._times)


class FrameStatistics:
    """Times of the stages, and what the last depth maps looked like."""

    def __init__(self) -> None:
        self._latency_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._processing_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._stages_ms: dict[str, deque[float]] = {}
        self._valid_shares: deque[float] = deque(maxlen=_MAPS_KEPT)
        self._beyond_shares: deque[float] = deque(maxlen=_MAPS_KEPT)
        self._confidences: deque[NDArray[np.int64]] = deque(maxlen=_MAPS_KEPT)

    def add(self, outcome: FrameOutcome) -> None:
        """Note a published frame."""
        self._latency_ms.append(outcome.latency_ms)
        self._processing_ms.append(outcome.processing_ms)
        for stage, value in outcome.timings_ms.items():
            self._stages_ms.setdefault(stage, deque(maxlen=LATENCIES_KEPT)).append(value)
        if outcome.depth is None:
            return
        self._valid_shares.append(outcome.depth.valid_share)
        self._beyond_shares.append(outcome.depth.beyond_max_depth)
        if outcome.depth.confidences is None:
            self._confidences.clear()  # another model: the histogram of the old one says nothing any more
        else:
            self._confidences.append(outcome.depth.confidences)

    @property
    def latency_ms(self) -> Percentiles | None:
        """See `Report`."""
        return percentiles(self._latency_ms)

    @property
    def processing_ms(self) -> Percentiles | None:
        """See `Report`."""
        return percentiles(self._processing_ms)

    @property
    def stages_ms(self) -> dict[str, Percentiles]:
        """See `Report`."""
        found = {stage: percentiles(values) for stage, values in self._stages_ms.items()}
        return {stage: values for stage, values in found.items() if values is not None}

    @property
    def valid_share(self) -> float | None:
        """See `Report`."""
        return statistics.fmean(self._valid_shares) if self._valid_shares else None

    @property
    def beyond_max_depth(self) -> float | None:
        """See `Report`."""
        return statistics.fmean(self._beyond_shares) if self._beyond_shares else None

    @property
    def confidence_histogram(self) -> tuple[float, ...] | None:
        """See `Report`."""
        total = np.sum(self._confidences, axis=0) if self._confidences else np.zeros(BINS)
        return tuple((total / total.sum()).tolist()) if total.sum() else None


class Health:
    """Counts, safe between threads.

    Args:
        warn: receives every message that is due; the same kind of message (numbers aside) at most once per
            `throttle_s`, and few of errors from the same place.
        waiting_for: topics named when no frame comes.
        throttle_s: see `warn`.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        warn: Callable[[str], object],
        waiting_for: str = "",
        throttle_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._warn, self._waiting_for, self._clock = (lambda text: warn(printable(text))), waiting_for, clock
        self._lock = Lock()
        self._throttle = Throttle(throttle_s)
        self._drops = dict.fromkeys(Cause, 0)
        self._received = self._published = self._skipped = 0
        self._in, self._out, self._statistics = Window(), Window(), FrameStatistics()
        self._started = clock()
        self._silence = Silence(self._started)
        self._fault: tuple[float, str] | None = None
        self._lull: tuple[float, str] | None = None  # nothing came out, and nobody is to blame
        self._lull_told = ""
        self._last_skipped = float("-inf")
        self._unanswered_since: float | None = None
        self._idle = ""
        self._checks = ImageWatch()
        self._scale: ScaleState | None = None
        self._doubts: tuple[str, ...] | None = None

    def received(self) -> None:
        """Count a complete frame that came; `record` hears what becomes of it."""
        with self._lock:
            now = self._clock()
            self._received += 1
            if self._unanswered_since is None or not self._in.count(now):
                self._unanswered_since = now
            self._in.add(now)
            self._silence.heard(now)

    def unmatched(self, count: int, message: str = "") -> None:
        """Count images that lost their partner, which are no frames; with a message it is a fault."""
        with self._lock:
            self._drops[Cause.UNMATCHED] += count
            due = self._is_new_fault(Cause.UNMATCHED, message)
        if due:
            self._warn(f"frame dropped ({Cause.UNMATCHED.value}): {message}")

    def record(self, outcome: FrameOutcome) -> None:
        """Take what became of a frame that was received, once."""
        cause, due = outcome.cause, False
        with self._lock:
            if outcome.published or outcome.scale is not None:
                self._scale = outcome.scale
            if outcome.published:
                self._published += 1
                self._unanswered_since = None
                self._out.add(self._clock())
                self._statistics.add(outcome)
                self._doubts = outcome.doubts
                self._lull, self._lull_told = None, ""
            elif cause is None:
                self._skipped += 1
                self._last_skipped = self._clock()
                self._unanswered_since = None
            else:
                self._drops[cause] += 1
                note = self._is_new_lull if outcome.blameless else self._is_new_fault
                due = note(cause, outcome.message, outcome.kind)
        if due and cause is not None:
            self._warn(f"frame dropped ({cause.value}): {outcome.message}")
        self._warn_if_due(outcome.doubts)
        if outcome.frame is not None:
            self._look_at(outcome.frame)

    def idle(self, on: bool, reason: str = "nobody subscribes") -> None:
        """Say whether images are not wanted now; when they are wanted again, silence counts from then."""
        with self._lock:
            if self._idle and not on:
                self._silence.restart(self._clock())
                self._last_skipped = float("-inf")  # or the first seconds of work would be called idle
            self._idle = reason if on else ""
            self._unanswered_since = None if on else self._unanswered_since

    def report(self) -> Report:
        """Sum up."""
        with self._lock:
            now = self._clock()
            window_s = max(min(now - self._started, WINDOW_S), 1e-3)
            level, message = self._state(now)
            return Report(
                level=level,
                message=message,
                rate_in_hz=self._in.count(now) / window_s,
                rate_out_hz=self._out.count(now) / window_s,
                received=self._received,
                published=self._published,
                skipped=self._skipped,
                drops=dict(self._drops),
                latency_ms=self._statistics.latency_ms,
                processing_ms=self._statistics.processing_ms,
                stages_ms=self._statistics.stages_ms,
                valid_share=self._statistics.valid_share,
                beyond_max_depth=self._statistics.beyond_max_depth,
                confidence_histogram=self._statistics.confidence_histogram,
                findings=self._checks.messages,
                scale=self._scale,
                doubts=self._doubts,
            )

    def _is_new_fault(self, cause: Cause, message: str, kind: str = "") -> bool:
        """Note a fault; whether the log is to hear of it. The lock is held."""
        if not message:
            return False
        now = self._clock()
        self._fault = (now, printable(message))
        return self._throttle.is_due(f"{cause.value}:{without_numbers(message[:_KIND_LENGTH])}", now, kind)

    def _is_new_lull(self, cause: Cause, message: str, kind: str = "") -> bool:
        """Note why nothing comes out; whether the log is to hear of it. The lock is held."""
        now, what = self._clock(), without_numbers(message[:_KIND_LENGTH])
        self._lull, self._unanswered_since = (now, printable(message)), None
        due = what != self._lull_told and self._throttle.is_due(f"{cause.value}:{what}", now, kind)
        self._lull_told = what if due else self._lull_told
        return due

    def _look_at(self, frame: Frame) -> None:
        """Look at the images, at most once a second; a check that fails is logged and costs no frame."""
        now = self._clock()
        if not self._checks.is_due(now):
            return
        try:
            self._checks.look_at(frame, now)
        except Exception as exc:
            failed = f"cannot check the images ({type(exc).__name__}: {exc}); please report it with ~/save"
            messages: tuple[str, ...] = (failed,)
        else:
            messages = self._checks.messages or ()
        self._warn_if_due(messages)

    def _warn_if_due(self, messages: Iterable[str]) -> None:
        for message in messages:
            with self._lock:
                due = self._throttle.is_due(without_numbers(message[:_KIND_LENGTH]), self._clock())
            if due:
                self._warn(message)

    def _state(self, now: float) -> tuple[Level, str]:
        """The worst of what is wrong; of equals the first, which says most."""
        if self._idle or now - self._last_skipped < WINDOW_S:
            return Level.OK, f"idle: {self._idle or 'nobody subscribes'}"
        return max(self._states(now), key=lambda state: state[0].value)

    def _states(self, now: float) -> Iterator[tuple[Level, str]]:
        out = self._out.count(now)
        if self._fault is not None and now - self._fault[0] < WINDOW_S:
            yield (Level.WARN if out else Level.ERROR), self._fault[1]
        if self._lull is not None and now - self._lull[0] < WINDOW_S:
            yield Level.WARN, self._lull[1]
        silent_s, (warn_s, error_s) = self._silence.seconds(now), self._silence.limits_s
        if silent_s > warn_s:
            yield (
                Level.ERROR if silent_s > error_s else Level.WARN,
                f"expected frames on {self._waiting_for}, got none for {silent_s:.0f} s; check the camera, "
                "its driver and the names of the topics (recon3d doctor finds the reason)",
            )
        waited_s = 0.0 if self._unanswered_since is None else now - self._unanswered_since
        if waited_s > WINDOW_S:
            yield (
                Level.WARN,
                f"expected an output of the model within {WINDOW_S:.0f} s, got none for {waited_s:.0f} s; "
                "use a faster model or smaller images, or restart the node if there is never an output",
            )
        if self._scale is not None and self._scale.is_ageing:
            yield Level.WARN, self._scale.message
        for message in self._doubts or ():
            yield Level.WARN, message
        for message in self._checks.messages or ():
            yield Level.WARN, message
        if out:
            yield Level.OK, "publishing"
        yield Level.OK, "working on a frame" if self._in.count(now) else "waiting for images"
