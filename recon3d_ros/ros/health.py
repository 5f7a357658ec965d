"""What happened to the frames: counts, rates, latencies and the last thing that went wrong. Needs no ROS."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from threading import Lock

from recon3d_ros.errors import BackendError, CalibrationError, ImageError, ModelError

WINDOW_S = 5.0  # rates, and how long a fault shows in the state
_LATENCIES_KEPT = 300
_KINDS_KEPT = 100


class Cause(str, Enum):
    """Why a frame (or for UNMATCHED one image) gave no output."""

    BUSY = "busy"  # a newer frame came before the worker was free: normal when the model is slower
    UNMATCHED = "unmatched"
    TOO_OLD = "too_old"
    CAMERA_INFO = "camera_info"
    IMAGE = "image"
    MODEL = "model"
    INTERNAL = "internal"


class Level(Enum):
    """State of the node; the values are those of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Report:
    """A moment's state.

    Attributes:
        level: OK; WARN after a fault, without input, or when a frame takes longer than 5 s; ERROR when
            faults leave no output at all.
        message: one sentence; the last actionable message unless OK.
        rate_in_hz: complete frames (mono images, stereo pairs) per second over the last 5 s.
        rate_out_hz: frames published per second over the last 5 s.
        received: complete frames since the start.
        published: frames published since the start.
        skipped: frames ignored because nobody subscribed.
        drops: number per cause since the start.
        latency_ms: p50 and p95 of acquisition to publication, by the node's clock; None before the first.
        processing_ms: p50 and p95 of the worker's time for one frame; None before the first.
    """

    level: Level
    message: str
    rate_in_hz: float
    rate_out_hz: float
    received: int
    published: int
    skipped: int
    drops: dict[Cause, int]
    latency_ms: tuple[float, float] | None
    processing_ms: tuple[float, float] | None


class Health:
    """Counts, safe between threads.

    Args:
        warn: receives every message that is due; the same kind of message (numbers aside) at most once per
            `throttle_s`.
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
        self._warn, self._waiting_for, self._throttle_s, self._clock = warn, waiting_for, throttle_s, clock
        self._lock = Lock()
        self._drops = dict.fromkeys(Cause, 0)
        self._received = self._published = self._skipped = 0
        self._in: deque[float] = deque()
        self._out: deque[float] = deque()
        self._latency_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._processing_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._fault: tuple[float, str] | None = None
        self._last_warned: dict[str, float] = {}
        self._last_skipped = float("-inf")
        self._unanswered_since: float | None = None
        self._started = clock()

    def count_received(self) -> None:
        """Count a complete frame, whatever becomes of it."""
        with self._lock:
            now = self._clock()
            self._received += 1
            _forget(self._in, now)
            if self._unanswered_since is None or not self._in:
                self._unanswered_since = now
            self._in.append(now)

    def count_skipped(self) -> None:
        """Count a frame that nobody wanted."""
        with self._lock:
            self._skipped += 1
            self._last_skipped = self._clock()
            self._unanswered_since = None

    def count_published(self, latency_ms: float, processing_ms: float) -> None:
        """Count a frame that went out."""
        with self._lock:
            self._published += 1
            self._unanswered_since = None
            self._out.append(self._clock())
            _forget(self._out, self._clock())
            self._latency_ms.append(latency_ms)
            self._processing_ms.append(processing_ms)

    def count_dropped(self, cause: Cause, message: str = "", count: int = 1) -> None:
        """Count dropped frames; with a message it is a fault: the state shows it and the log gets it."""
        with self._lock:
            self._drops[cause] += count
            if not message:
                return
            now = self._clock()
            self._fault = (now, message)
            due = self._is_due(f"{cause.value}:{re.sub(r'[0-9.e+-]+', '#', message)}", now)
        if due:
            self._warn(f"frame dropped ({cause.value}): {message}")

    def count_error(self, error: Exception) -> None:
        """Count a frame dropped by an exception, under the cause its type tells."""
        cause = cause_of(error)
        text = str(error) if cause is not Cause.INTERNAL else f"{type(error).__name__}: {error}"
        self.count_dropped(cause, text)

    def report(self) -> Report:
        """Sum up."""
        with self._lock:
            now = self._clock()
            for times in (self._in, self._out):
                _forget(times, now)
            window = max(min(now - self._started, WINDOW_S), 1e-3)
            level, message = self._state(now)
            return Report(
                level,
                message,
                len(self._in) / window,
                len(self._out) / window,
                self._received,
                self._published,
                self._skipped,
                dict(self._drops),
                _p50_p95(self._latency_ms),
                _p50_p95(self._processing_ms),
            )

    def _state(self, now: float) -> tuple[Level, str]:
        if self._fault is not None and now - self._fault[0] < WINDOW_S:
            return (Level.WARN if self._out else Level.ERROR), self._fault[1]
        if not self._in:
            return (
                Level.WARN,
                f"expected frames on {self._waiting_for}, got none; check the camera and topics",
            )
        if now - self._last_skipped < WINDOW_S:
            return Level.OK, "idle: nobody subscribes to an output"
        if self._unanswered_since is not None and now - self._unanswered_since > WINDOW_S:
            waited_s = now - self._unanswered_since
            return (
                Level.WARN,
                f"expected an answer of the model within {WINDOW_S:.0f} s, got none for {waited_s:.0f} s; "
                "take a faster model or smaller images, or restart the node if it never answers",
            )
        return Level.OK, "publishing" if self._out else "working on a frame"

    def _is_due(self, kind: str, now: float) -> bool:
        last = self._last_warned.get(kind)
        if last is not None and now - last < self._throttle_s:
            return False
        if len(self._last_warned) >= _KINDS_KEPT:
            self._last_warned.clear()
        self._last_warned[kind] = now
        return True


def cause_of(error: Exception) -> Cause:
    """Map an exception to the cause it is counted under."""
    if isinstance(error, CalibrationError):
        return Cause.CAMERA_INFO
    if isinstance(error, ImageError):
        return Cause.IMAGE
    if isinstance(error, (ModelError, BackendError)):
        return Cause.MODEL
    return Cause.INTERNAL


def _forget(times: deque[float], now: float) -> None:
    while times and now - times[0] > WINDOW_S:
        times.popleft()


def _p50_p95(values: Sequence[float]) -> tuple[float, float] | None:
    """Nearest-rank percentiles."""
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(0.5 * last)], ordered[round(0.95 * last)]
