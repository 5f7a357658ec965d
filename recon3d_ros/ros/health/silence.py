"""How long a camera has been silent, and whether that is long for this camera."""

from __future__ import annotations

import statistics
from collections import deque


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
