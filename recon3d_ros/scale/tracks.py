"""The scale over time: Kalman filters whose uncertainty grows while nothing tells it anew.

The errors of a network are those of a scene, and stay while it looks at the same one: measurements that
follow each other within CORRELATION_S tell little new. For first-order correlated errors sampled every dt the
information is that of independent ones whose variance is larger by (1 + r) / (1 - r) = coth(dt / (2 tau)),
with r = exp(-dt / tau) (Gelb, Applied Optimal Estimation, 4.5, for slow states).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

CORRELATION_S = 0.5
GATE = 3.0  # standard deviations; what is farther from what is expected is not believed
_LEAST_STEP_S = 1e-3


class FactorTrack:
    """log(scale) as a random walk.

    Args:
        drift: Standard deviation of its change within a second.
    """

    def __init__(self, drift: float) -> None:
        self._drift = drift
        self._state: tuple[float, float] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was measured yet."""
        return self._state is None

    def predicted(self, since_s: float) -> tuple[float, float]:
        """log(scale) and its variance, so long after the last measurement."""
        assert self._state is not None
        mean, variance = self._state
        return mean, variance + self._drift**2 * since_s

    def update(self, mean: float, variance: float, since_s: float) -> None:
        """Take in a measurement of log(scale)."""
        if self._state is None:
            self._state = mean, variance
            return
        before, uncertain = self.predicted(since_s)
        gain = uncertain / (uncertain + variance * inflation(since_s))
        self._state = before + gain * (mean - before), (1 - gain) * uncertain


class AffineTrack:
    """[t, p] of 1/depth = t + p x, x = (prediction - middle) / spread, as a random walk relative to t.

    Middle and spread are those of the first image, so that a model which predicts in other numbers is tracked
    the same.

    Args:
        drift: Standard deviation of the relative change of t and of p / t within a second.
        values: (N,) finite predictions of the first image.
    """

    def __init__(self, drift: float, values: NDArray[np.float64]) -> None:
        self._drift = drift
        self.middle = float(np.median(values))
        self.spread = float(np.abs(values - self.middle).mean())
        self._state: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was measured yet."""
        return self._state is None

    def normalized(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return x of predictions, of any shape."""
        return (values - self.middle) / self.spread

    def predicted(self, since_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(2,) [t, p] in 1/m and its (2, 2) covariance, so long after the last measurement."""
        assert self._state is not None
        theta, covariance = self._state
        return theta, covariance + np.eye(2) * (self._drift * theta[0]) ** 2 * since_s

    def distance(self, theta: NDArray[np.float64], covariance: NDArray[np.float64], since_s: float) -> float:
        """Squared Mahalanobis distance of a measurement from what was expected."""
        before, uncertain = self.predicted(since_s)
        return float((theta - before) @ np.linalg.solve(uncertain + covariance, theta - before))

    def update(self, theta: NDArray[np.float64], covariance: NDArray[np.float64], since_s: float) -> None:
        """Take in a measurement of [t, p]."""
        if self._state is None:
            self._state = theta, covariance
            return
        before, uncertain = self.predicted(since_s)
        gain = uncertain @ np.linalg.inv(uncertain + covariance * inflation(since_s))
        after = (np.eye(2) - gain) @ uncertain
        self._state = before + gain @ (theta - before), (after + after.T) / 2

    def scale_and_shift(self, theta: NDArray[np.float64]) -> tuple[float, float]:
        """Return a and b in 1/m of 1/depth = a prediction + b."""
        return float(theta[1] / self.spread), float(theta[0] - theta[1] * self.middle / self.spread)

    def relative_sigma(
        self, theta: NDArray[np.float64], covariance: NDArray[np.float64], values: NDArray[np.float64]
    ) -> float:
        """The greatest relative standard deviation of depth over these predictions, (N,)."""
        design = np.stack([np.ones_like(values), self.normalized(values)], axis=1)
        inverse = design @ theta
        sigma = np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", design, covariance, design), 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(inverse > 0, sigma / inverse, math.inf)
        return float(relative.max())


def inflation(since_s: float) -> float:
    """How much more variance a measurement has that comes so soon after another one."""
    return 1 / math.tanh(max(since_s, _LEAST_STEP_S) / (2 * CORRELATION_S))
