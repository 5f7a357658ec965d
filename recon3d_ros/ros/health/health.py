"""What happened to the frames: counts, rates, latencies and the last thing that went wrong. Needs no ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.ros.health.health_parts import WINDOW_S, Answers, Silence, Throttle, Window
from recon3d_ros.ros.health.health_report import Cause, Level, Report, cause_of
from recon3d_ros.ros.health.image_watch import ImageWatch
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.scale import Scale

__all__ = ["Cause", "Health", "Level", "Report", "cause_of"]

_NO_TIMINGS: Mapping[str, float] = {}
_NO_REASONS: Mapping[str, str] = {}


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
        self._warn, self._waiting_for, self._clock = warn, waiting_for, clock
        self._lock = Lock()
        self._throttle = Throttle(throttle_s)
        self._drops = dict.fromkeys(Cause, 0)
        self._received = self._published = self._skipped = 0
        self._in, self._out, self._answers = Window(), Window(), Answers()
        self._started = clock()
        self._silence = Silence(self._started)
        self._fault: tuple[float, str] | None = None
        self._last_skipped = float("-inf")
        self._unanswered_since: float | None = None
        self._idle = ""
        self._checks = ImageWatch()
        self._scale: ScaleState | None = None

    def count_received(self) -> None:
        """Count a complete frame, whatever becomes of it."""
        with self._lock:
            now = self._clock()
            self._received += 1
            if self._unanswered_since is None or not self._in.count(now):
                self._unanswered_since = now
            self._in.add(now)
            self._silence.heard(now)

    def count_skipped(self, count: int = 1) -> None:
        """Count frames that nobody wanted."""
        with self._lock:
            self._skipped += count
            self._last_skipped = self._clock()
            self._unanswered_since = None

    def count_published(
        self,
        latency_ms: float,
        processing_ms: float,
        timings_ms: Mapping[str, float] = _NO_TIMINGS,
        depth_map: DepthMap | None = None,
    ) -> None:
        """Count a frame that went out.

        Args:
            latency_ms: acquisition to publication, by the node's clock.
            processing_ms: the worker's time.
            timings_ms: time of each stage of the pipeline.
            depth_map: the answer; a grid of its pixels is looked at, and nothing of it is kept.
        """
        with self._lock:
            self._published += 1
            self._unanswered_since = None
            self._out.add(self._clock())
            self._answers.add(latency_ms, processing_ms, timings_ms)
            if depth_map is not None:
                self._answers.look_at(depth_map)

    def count_dropped(self, cause: Cause, message: str = "", count: int = 1) -> None:
        """Count dropped frames; with a message it is a fault: the state shows it and the log gets it."""
        with self._lock:
            self._drops[cause] += count
            if not message:
                return
            now = self._clock()
            self._fault = (now, message)
            due = self._throttle.is_due(f"{cause.value}:{message}", now)
        if due:
            self._warn(f"frame dropped ({cause.value}): {message}")

    def count_scale(
        self, scale: Scale | None, asked: Sequence[str] = (), unused: Mapping[str, str] = _NO_REASONS
    ) -> ScaleState | None:
        """Note the scale of a frame; return the state with it.

        Args:
            scale: None where nothing is asked to tell it; what was noted before is of no interest then.
            asked: the sources.
            unused: why some of them said nothing of the frame.
        """
        with self._lock:
            self._scale = None if scale is None else ScaleState.after(self._scale, scale, asked, unused)
            return self._scale

    def count_error(self, error: Exception) -> None:
        """Count a frame dropped by an exception, under the cause its type tells."""
        cause = cause_of(error)
        text = str(error) if cause is not Cause.INTERNAL else f"{type(error).__name__}: {error}"
        self.count_dropped(cause, text)

    def idle(self, on: bool, reason: str = "nobody subscribes") -> None:
        """Say whether images are not wanted now; when they are wanted again, silence counts from then."""
        with self._lock:
            if self._idle and not on:
                self._silence.restart(self._clock())
                self._last_skipped = float("-inf")  # or the first seconds of work would be called idle
            self._idle = reason if on else ""
            self._unanswered_since = None if on else self._unanswered_since

    def check(self, frame: Frame) -> None:
        """Look at the images, at most once a second: dark, blurred, blocked, swapped and so on.

        Cheap when it is not due, so it may be called with every frame; it belongs behind the publication. A
        check that fails is told and costs no frame: this one was counted as published.

        Args:
            frame: the rectified image or pair.
        """
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
        for message in messages:
            with self._lock:
                due = self._throttle.is_due(message, now)
            if due:
                self._warn(message)

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
                latency_ms=self._answers.latency_ms,
                processing_ms=self._answers.processing_ms,
                stages_ms=self._answers.stages_ms,
                valid_share=self._answers.valid_share,
                confidence_histogram=self._answers.confidence_histogram,
                findings=self._checks.messages,
                scale=self._scale,
            )

    def _state(self, now: float) -> tuple[Level, str]:
        """The worst of what is wrong; of equals the first, which says most."""
        if self._idle or now - self._last_skipped < WINDOW_S:
            return Level.OK, f"idle: {self._idle or 'nobody subscribes'}"
        return max(self._states(now), key=lambda state: state[0].value)

    def _states(self, now: float) -> Iterator[tuple[Level, str]]:
        out = self._out.count(now)
        if self._fault is not None and now - self._fault[0] < WINDOW_S:
            yield (Level.WARN if out else Level.ERROR), self._fault[1]
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
        for message in self._checks.messages or ():
            yield Level.WARN, message
        if out:
            yield Level.OK, "publishing"
        yield Level.OK, "working on a frame" if self._in.count(now) else "waiting for images"
