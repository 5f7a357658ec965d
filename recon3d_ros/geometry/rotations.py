"""Rotation matrices, quaternions and rotation vectors, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def matrices_of(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices of quaternions of any length but 0.

    Args:
        quaternions: (N, 4) float64, x, y, z, w as ROS orders them.

    Returns:
        (N, 3, 3) float64.
    """
    x, y, z, w = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    matrices: NDArray[np.float64] = np.array(rows).transpose(2, 0, 1)
    return matrices


def quaternions_of(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternions of rotation matrices, w >= 0.

    The largest of the four is found first (Shepperd 1978), so that nothing is divided by a small number.

    Args:
        rotations: (N, 3, 3) float64.

    Returns:
        (N, 4) float64, x, y, z, w.
    """
    r = rotations
    xx, yy, zz = r[:, 0, 0], r[:, 1, 1], r[:, 2, 2]
    # the outer product of (x, y, z, w) with itself, times 4; each of its rows is the quaternion, scaled
    a, b, c = r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]
    d, e, f = r[:, 0, 1] + r[:, 1, 0], r[:, 0, 2] + r[:, 2, 0], r[:, 1, 2] + r[:, 2, 1]
    products = np.array(
        [
            [1 + xx - yy - zz, d, e, a],
            [d, 1 - xx + yy - zz, f, b],
            [e, f, 1 - xx - yy + zz, c],
            [a, b, c, 1 + xx + yy + zz],
        ]
    ).transpose(2, 0, 1)
    largest = np.argmax(np.einsum("nii->ni", products), axis=1)
    found: NDArray[np.float64] = products[np.arange(len(r)), largest]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found[found[:, 3] < 0] *= -1
    return found


def vectors_of(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation vectors of rotation matrices, exact for small angles too (OpenCV's are 0 below 1e-7 rad).

    Args:
        rotations: (N, 3, 3) float64.

    Returns:
        (N, 3) float64: axis times angle in rad, 0 to pi.
    """
    quaternions = quaternions_of(rotations)
    axes, w = quaternions[:, :3], quaternions[:, 3]
    sines = np.linalg.norm(axes, axis=1)
    factors = np.divide(2 * np.arctan2(sines, w), sines, out=np.full(len(w), 2.0), where=sines > 0)
    vectors: NDArray[np.float64] = axes * factors[:, None]
    return vectors
