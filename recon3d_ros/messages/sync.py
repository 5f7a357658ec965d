"""Left and right messages to pairs, by stamp. Plain Python, bounded, needs no ROS."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from recon3d_ros.config.camera_topics import LEFT


class _Waiting(NamedTuple):
    stamp_ns: int
    item: Any


class StereoSync:
    """Pairs items whose stamps are equal, or differ by at most a tolerance.

    Items wait in the order of their arrival, not of their stamps: when time jumps back (a bag starts over)
    nothing from before the jump can hold a place. What arrived before a matched item is given up, so a pair
    never follows a newer one. A tolerance belongs below half the frame period, or neighbours get paired.

    Args:
        tolerance_ns: largest difference of stamps; 0 = equal.
        capacity: items that may wait per side; one more pushes the oldest out.

    Attributes:
        unmatched: items given up so far, both sides together.
    """

    def __init__(self, tolerance_ns: int = 0, capacity: int = 5) -> None:
        self.tolerance_ns = tolerance_ns
        self.unmatched = 0
        self._gaps_ns: deque[int] = deque(maxlen=2)
        self._capacity = capacity
        self._waiting: tuple[deque[_Waiting], deque[_Waiting]] = (deque(), deque())

    @property
    def last_gap_ns(self) -> int | None:
        """Smallest stamp difference two recent items without a partner had, None if a side has nothing."""
        return min(self._gaps_ns, default=None)

    def add(self, side: int, stamp_ns: int, item: Any) -> tuple[Any, Any] | None:
        """Add an item of one side (LEFT or RIGHT).

        Returns:
            (left item, right item) when it completes a pair, else None.
        """
        others = self._waiting[1 - side]
        best = min(range(len(others)), key=lambda i: abs(others[i].stamp_ns - stamp_ns), default=None)
        if best is None:
            self._gaps_ns.clear()
            self._wait(side, _Waiting(stamp_ns, item))
            return None
        gap_ns = abs(others[best].stamp_ns - stamp_ns)
        if gap_ns > self.tolerance_ns:
            self._gaps_ns.append(gap_ns)
            self._wait(side, _Waiting(stamp_ns, item))
            return None
        match = others[best]
        for _ in range(best + 1):
            others.popleft()
        # Whatever waits on this side came before the item that was just matched.
        self.unmatched += best + len(self._waiting[side])
        self._waiting[side].clear()
        return (item, match.item) if side == LEFT else (match.item, item)

    def clear(self) -> None:
        """Give up everything that waits."""
        for waiting in self._waiting:
            self.unmatched += len(waiting)
            waiting.clear()
        self._gaps_ns.clear()

    def _wait(self, side: int, waiting: _Waiting) -> None:
        own = self._waiting[side]
        own.append(waiting)
        if len(own) > self._capacity:
            own.popleft()
            self.unmatched += 1
