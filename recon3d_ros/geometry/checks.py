"""What makes the numbers of a camera_info usable; each check raises CalibrationError."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d_ros.errors import CalibrationError

# OpenCV reads the meaning of D from its length; fisheye (equidistant) always has four terms.
DISTORTION_LENGTHS = {
    "plumb_bob": (0, 4, 5, 8, 12, 14),
    "rational_polynomial": (0, 4, 5, 8, 12, 14),
    "equidistant": (0, 4),
}

# The names that calibration tools and drivers give to what ROS calls so.
DISTORTION_MODELS = {
    "plumb_bob": "plumb_bob",
    "radial-tangential": "plumb_bob",
    "radtan": "plumb_bob",
    "brown_conrady": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
    "kannala_brandt": "equidistant",
}

# As many as an image may have that is decoded: what is computed for each pixel must not take terabytes.
MAX_PIXELS = 1 << 26
_UNDISTORTED = ("", "none", "pinhole", "perspective", "rectilinear", "undistorted")


def wh(size_wh: tuple[int, ...]) -> str:
    """Say a size as people do, 640x480."""
    return f"{size_wh[0]}x{size_wh[1]}"


def check_size(size_wh: tuple[int, int]) -> None:
    """Refuse images without pixels, and those with more than `MAX_PIXELS`."""
    if min(size_wh) < 1:
        raise CalibrationError(
            f"the camera describes an image of {wh(size_wh)} px: "
            "fill width, height, ROI and binning of camera_info"
        )
    if size_wh[0] * size_wh[1] > MAX_PIXELS:
        raise CalibrationError(
            f"expected an image of at most {MAX_PIXELS} px, the camera describes one of "
            f"{size_wh[0]:.6g}x{size_wh[1]:.6g}: correct width and height of camera_info"
        )


def checked_array(name: str, value: ArrayLike, shape: tuple[int, ...] | None) -> NDArray[np.float64]:
    """Copy `value` into a read-only float64 array of `shape` (any when None), all finite."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        got = " ".join(repr(value).split())
        raise CalibrationError(f"expected numbers in {name}, got {got:.120}: calibrate the camera") from exc
    if shape is not None and array.shape != shape:
        raise CalibrationError(f"expected {name} of shape {shape}, got {array.shape}: calibrate the camera")
    if not np.isfinite(array).all():
        raise CalibrationError(
            f"expected finite numbers in {name}, got {array.tolist()}: calibrate the camera"
        )
    array.setflags(write=False)
    return array


def checked_distortion(model: str, d: NDArray[np.float64]) -> tuple[str, NDArray[np.float64]]:
    """Return ROS's name of the distortion model and its coefficients.

    Without distortion nothing is guessed: simulators and drivers of rectified images leave the name empty, or
    write none or pinhole. Drivers with one length of D for all lenses fill it up with zeros (RealSense T265).
    """
    if not d.any() and model.lower() in _UNDISTORTED:
        return "plumb_bob", d[:0]
    model = DISTORTION_MODELS.get(model.lower(), model)
    length = DISTORTION_LENGTHS.get(model, (d.size,))[-1]
    if d.size > length and not d[length:].any():
        d = d[:length]
    if model not in DISTORTION_LENGTHS:
        raise CalibrationError(
            f"expected a distortion model of {', '.join(DISTORTION_LENGTHS)}, got {model!r}: "
            "calibrate with one of these, or publish rectified images with empty D"
        )
    if d.size not in DISTORTION_LENGTHS[model]:
        raise CalibrationError(
            f"expected {' or '.join(map(str, DISTORTION_LENGTHS[model]))} numbers in D of a {model} camera, "
            f"got {d.size}: calibrate the camera"
        )
    return model, d


def require_known_distortion(keys: Collection[str]) -> None:
    """Refuse the keys of a calibration that seem to name the distortion in another way than is known."""
    for key in keys if "distortion_coefficients" not in keys else ():
        if ("dist" in key.lower() or "coef" in key.lower()) and "model" not in key.lower():
            raise CalibrationError(
                f"expected distortion_coefficients, got {key:.60}: rename it, or leave it out for a lens "
                "without distortion"
            )


def checked_roi(
    roi: tuple[int, int, int, int] | None, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Return the region x, y, width, height, or None when it is the full image."""
    if roi is None or tuple(roi) in ((0, 0, 0, 0), (0, 0, width, height)):
        return None
    x, y, columns, rows = (int(v) for v in roi)
    if min(x, y) < 0 or min(columns, rows) < 1 or x + columns > width or y + rows > height:
        raise CalibrationError(
            f"expected a ROI inside {width}x{height}, got x={x} y={y} {columns}x{rows}: "
            "correct camera_info.roi"
        )
    return x, y, columns, rows


def is_rotation(r: NDArray[np.float64]) -> bool:
    """Whether the finite (3, 3) `r` is a rotation, up to the rounding of calibration files."""
    if np.abs(r).max() > 2.0:  # far from one, and squared it might overflow
        return False
    return bool(np.allclose(r @ r.T, np.eye(3), atol=1e-2) and np.linalg.det(r) > 0)


def checked_matrices(k: NDArray[np.float64], r: NDArray[np.float64], p: NDArray[np.float64]) -> None:
    """Refuse K and P without focal lengths, and an R that is no rotation."""
    for name, matrix in (("K", k), ("P", p)):
        if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise CalibrationError(
                f"expected positive focal lengths in {name}, got fx={matrix[0, 0]:g} fy={matrix[1, 1]:g}: "
                "give (publish) the camera_info of a calibrated camera"
            )
        if not np.array_equal(matrix[2, :3], (0, 0, 1)):
            raise CalibrationError(
                f"expected 0 0 1 in the last row of {name}, got {matrix[2, :3].tolist()}: "
                "calibrate the camera"
            )
    if not is_rotation(r):
        raise CalibrationError(
            f"expected a rotation in R, got {r.ravel().tolist()}: "
            "publish identity when nothing is to be rotated"
        )
