"""Which frames went in and which came out, by stamp. Plain Python, needs no ROS."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

NS_PER_S = 1_000_000_000


class FrameAccounting:
    """Counts over a window of stamps that the first cloud opens.

    A frame belongs to the window by its stamp, whenever it or its cloud arrives, so frames_in is always
    clouds_out + dropped. A frame of which only the cloud was heard of counts as well.

    Args:
        seconds: length of the window.
    """

    def __init__(self, seconds: float) -> None:
        self._length_ns = round(seconds * NS_PER_S)
        self._frames: set[int] = set()
        self._clouds: dict[int, int] = {}
        self._begin_ns: int | None = None

    @property
    def end_ns(self) -> int | None:
        """The first stamp behind the window; None before the first cloud."""
        return None if self._begin_ns is None else self._begin_ns + self._length_ns

    @property
    def clouds(self) -> int:
        """Clouds within the window so far."""
        return len(self._clouds)

    def contains(self, stamp_ns: int) -> bool:
        """Whether a stamp lies within the window."""
        return self._begin_ns is not None and self._begin_ns <= stamp_ns < self._begin_ns + self._length_ns

    def add_frame(self, stamp_ns: int) -> None:
        """Note a frame that the camera published. Whether it counts shows later: the first cloud is late."""
        self._frames.add(stamp_ns)

    def add_cloud(self, stamp_ns: int, received_ns: int) -> None:
        """Note a cloud, acquired at `stamp_ns` and received at `received_ns` of the same clock."""
        if self._begin_ns is None:
            self._begin_ns = stamp_ns
        if self.contains(stamp_ns):
            self._clouds.setdefault(stamp_ns, received_ns)

    def latencies_ms(self) -> list[tuple[float, float]]:
        """Of each cloud, by stamp: seconds since the first one, and ms from stamp to arrival."""
        begin_ns = self._begin_ns or 0
        return [
            ((stamp - begin_ns) / 1e9, (got - stamp) / 1e6) for stamp, got in sorted(self._clouds.items())
        ]

    def summary(self) -> dict[str, float]:
        """The counts, latency percentiles (ms) and rate (Hz, by arrival); NaN where nothing was measured."""
        latencies_ms = [latency for _, latency in self.latencies_ms()]
        p50, p95 = np.percentile(latencies_ms, (50, 95)) if latencies_ms else (math.nan, math.nan)
        frames = {stamp for stamp in self._frames if self.contains(stamp)} | self._clouds.keys()
        return {
            "frames_in": len(frames),
            "clouds_out": len(self._clouds),
            "dropped": len(frames) - len(self._clouds),
            "latency_ms_p50": float(p50),
            "latency_ms_p95": float(p95),
            "rate_hz": _rate_hz(sorted(self._clouds.values())),
        }


def mean_scores(scores: Iterable[Mapping[str, float]], keys: Iterable[str]) -> dict[str, float]:
    """Average each key over the frames that have it (a frame without a scored pixel has NaN)."""
    rows = list(scores)
    result = {}
    for key in keys:
        known = [row[key] for row in rows if math.isfinite(row[key])]
        result[key] = sum(known) / len(known) if known else math.nan
    return result


def _rate_hz(arrivals_ns: list[int]) -> float:
    if len(arrivals_ns) < 2 or arrivals_ns[-1] == arrivals_ns[0]:
        return math.nan
    return (len(arrivals_ns) - 1) * NS_PER_S / (arrivals_ns[-1] - arrivals_ns[0])
