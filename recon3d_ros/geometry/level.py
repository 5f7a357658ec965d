"""The level frame of a camera: x ahead, y left, z up (REP 103), its origin on the ground below the camera.

Without a transform that tells where up is, the floor itself tells: the largest plane below which hardly any
point lies (RANSAC, Fischler and Bolles, 1981).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32] | NDArray[np.float64]

_POINTS, _HYPOTHESES, _SEED = 1500, 300, 0
_RANGE_M = (0.2, 15.0)  # of the points that are looked at
_MOST_TILT_DEG = 45.0  # of a camera
_BAND_M, _BAND_SHARE = 0.02, 0.02  # half width of a floor, and its growth with the range
_BELOW_WEIGHT = 3.0  # a point below a plane speaks against it so many times as one in it speaks for it
_LEAST_SHARE = 0.08  # of the points that are floor
_LEAST_SPREAD = 3.0  # of these points in both directions, in half widths: a stripe of a wall has about one
_LEAST_HEIGHT_M = 0.05


def level_transform(up: NDArray[np.float64], height_m: float) -> NDArray[np.float64]:
    """The transform from the optical to the level frame.

    Args:
        up: (3,) direction against gravity in the optical frame (x right, y down, z ahead), of any length.
        height_m: Of the optical centre over the ground.

    Returns:
        (4, 4) float64 T_level_optical.
    """
    z = np.asarray(up, float) / np.linalg.norm(up)
    ahead = np.array([0.0, 0.0, 1.0]) if abs(z[2]) < 0.98 else np.array([0.0, -1.0, 0.0])
    x = ahead - (ahead @ z) * z
    x /= np.linalg.norm(x)
    T_level_optical = np.eye(4)
    T_level_optical[:3, :3] = np.stack([x, np.cross(z, x), z])
    T_level_optical[2, 3] = height_m
    return T_level_optical


def find_level(points: Points) -> NDArray[np.float64] | None:
    """Find the level frame of a camera from the floor that it sees.

    Args:
        points: (N, 3) m in the optical frame of a camera that is tilted and rolled by 45 degrees at most;
            finite. The same points give the same frame.

    Returns:
        (4, 4) float64 T_level_optical; None when no plane is a floor.
    """
    ranges = np.linalg.norm(points, axis=1)
    near = np.flatnonzero((ranges > _RANGE_M[0]) & (ranges < _RANGE_M[1]))
    if near.size < 50:
        return None
    chosen = near[np.linspace(0, near.size - 1, min(_POINTS, near.size)).astype(int)]
    p, band = points[chosen].astype(np.float64), _BAND_M + _BAND_SHARE * ranges[chosen]
    planes = _hypotheses(p)
    if not len(planes):
        return None
    scores = _scores(planes, p, band)
    best = planes[int(scores.argmax())]
    for _ in range(2):
        at = np.abs(p @ best[:3] + best[3]) < band
        refined = _fitted(p[at], 1 / band[at])
        if refined is None:  # through its points goes a wall, of which the floor would be a stripe
            return None
        if _scores(refined[None], p, band)[0] < 0.8 * scores.max():
            break
        best = refined
    at = np.abs(p @ best[:3] + best[3]) < band
    if _scores(best[None], p, band)[0] < _LEAST_SHARE * len(p):
        return None
    if _spread_m(p[at]) < _LEAST_SPREAD * np.median(band[at]):
        return None
    return level_transform(best[:3], float(best[3]))


def assumed_level(points: Points) -> NDArray[np.float64]:
    """The level frame of a camera that looks at the horizon, over ground where the lowest points are.

    Args:
        points: (N, 3) m in its optical frame, finite.

    Returns:
        (4, 4) float64 T_level_optical; the height is between 0.1 and 2 m.
    """
    lowest = float(np.quantile(points[:, 1], 0.98)) if len(points) else 1.0
    return level_transform(np.array([0.0, -1.0, 0.0]), min(max(lowest, 0.1), 2.0))


def _hypotheses(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 4) planes through three points each: normal (3), which points up, and height of the camera."""
    rng = np.random.default_rng(_SEED)
    a, b, c = p[rng.integers(0, len(p), (3, _HYPOTHESES * 4))]
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    good = length > 1e-6
    normal = normal[good] / length[good, None]
    normal *= np.where(normal[:, 1] > 0, -1.0, 1.0)[:, None]
    height = -(normal * a[good]).sum(axis=1)
    level = (-normal[:, 1] > math.cos(math.radians(_MOST_TILT_DEG))) & (height > _LEAST_HEIGHT_M)
    planes: NDArray[np.float64] = np.column_stack([normal, height])[level][:_HYPOTHESES]
    return planes


def _scores(
    planes: NDArray[np.float64], p: NDArray[np.float64], band: NDArray[np.float64]
) -> NDArray[np.float64]:
    above = (p @ planes[:, :3].T + planes[:, 3]) / band[:, None]
    scores: NDArray[np.float64] = (np.abs(above) < 1).sum(axis=0) - _BELOW_WEIGHT * (above < -2).sum(axis=0)
    return scores


def _spread_m(p: NDArray[np.float64]) -> float:
    """Standard deviation of points in the direction in their plane in which they spread less, m."""
    apart = p - p.mean(axis=0)
    return math.sqrt(max(float(np.linalg.eigvalsh(apart.T @ apart / len(p))[1]), 0.0))


def _fitted(p: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The plane of least squares, (4,); None when it is none that a camera can stand on."""
    if len(p) < 3:
        return None
    middle = np.average(p, axis=0, weights=weight)
    apart = (p - middle) * weight[:, None]
    normal = np.linalg.eigh(apart.T @ apart)[1][:, 0]
    normal = -normal if normal[1] > 0 else normal
    height = -float(normal @ middle)
    level = -normal[1] > math.cos(math.radians(_MOST_TILT_DEG)) and height > _LEAST_HEIGHT_M
    return np.array([*normal, height]) if level else None
