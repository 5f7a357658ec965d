"""What `Health` counts with: a window of times, silence, answers, throttled messages. Not thread-safe."""

from __future__ import annotations

import math
import re
import statistics
from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import DepthMap
from recon3d_ros.ros.health.health_report import Percentiles, percentiles

WINDOW_S = 5.0  # rates, and how long a fault shows in the state
LATENCIES_KEPT = 300
_ANSWERS_KEPT = 30
_KINDS_KEPT = 100
# About so many pixels on a grid tell a share to a percent; all of them would cost as much as the filters.
_GRID_PIXELS = 5000
BINS = 10


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


class Silence:
    """How long images have been missing, and how long is too long.

    The limits are 1 s and 5 s. A camera slower than one image in 0.3 s gets three and six of its usual
    periods (the median of the last three to five), so that a time-lapse camera is no fault.

    Args:
        now: moment from which images are expected.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._last: float | None = None
        self._periods_s: deque[float] = deque(maxlen=5)

    def restart(self, now: float) -> None:
        """Expect images from now on; the pause before was wanted."""
        self._since, self._last = now, None

    def heard(self, now: float) -> None:
        """An image came."""
        if self._last is not None:
            self._periods_s.append(now - self._last)
        self._since = self._last = now

    def seconds(self, now: float) -> float:
        """Since the last image, or since they are expected."""
        return now - self._since

    @property
    def limits_s(self) -> tuple[float, float]:
        """The silence that is worth a warning, and the one that is an error."""
        usual_s = statistics.median(self._periods_s) if len(self._periods_s) >= 3 else 0.0
        return max(1.0, 3.0 * usual_s), max(5.0, 6.0 * usual_s)


class Answers:
    """Times of the stages, and what the last depth maps looked like."""

    def __init__(self) -> None:
        self._latency_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._processing_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._stages_ms: dict[str, deque[float]] = {}
        self._valid_shares: deque[float] = deque(maxlen=_ANSWERS_KEPT)
        self._confidences: deque[NDArray[np.int64]] = deque(maxlen=_ANSWERS_KEPT)

    def add(self, latency_ms: float, processing_ms: float, timings_ms: Mapping[str, float]) -> None:
        """Note the times of one frame."""
        self._latency_ms.append(latency_ms)
        self._processing_ms.append(processing_ms)
        for stage, value in timings_ms.items():
            self._stages_ms.setdefault(stage, deque(maxlen=LATENCIES_KEPT)).append(value)

    def look_at(self, depth_map: DepthMap) -> None:
        """Note the valid share and the confidences of one answer, from a grid of its pixels."""
        step = max(1, math.isqrt(depth_map.depth.size // _GRID_PIXELS))
        depth = depth_map.depth[::step, ::step]
        self._valid_shares.append(float(np.mean(np.isfinite(depth) & (depth > 0))))
        if depth_map.confidence is None:
            self._confidences.clear()  # another model: the histogram of the old one says nothing any more
            return
        confidence = depth_map.confidence[::step, ::step]
        known = np.clip(confidence[np.isfinite(confidence)], 0.0, 1.0)
        bins = np.minimum((known * BINS).astype(np.int64), BINS - 1)
        self._confidences.append(np.bincount(bins, minlength=BINS))

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
    def confidence_histogram(self) -> tuple[float, ...] | None:
        """See `Report`."""
        total = np.sum(self._confidences, axis=0) if self._confidences else np.zeros(BINS)
        return tuple((total / total.sum()).tolist()) if total.sum() else None


class Throttle:
    """Lets each kind of message (numbers aside) through at most once per `period_s`."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last: dict[str, float] = {}

    def is_due(self, message: str, now: float) -> bool:
        """Whether the message may be said now; if so it counts as said."""
        kind = re.sub(r"[0-9.e+-]+", "#", message)
        last = self._last.get(kind)
        if last is not None and now - last < self._period_s:
            return False
        if len(self._last) >= _KINDS_KEPT:
            self._last.clear()
        self._last[kind] = now
        return True
