"""What is unlikely about a calibration that can be used: numbers in another unit, or of another image.

Such a calibration gives depth, but hardly the right one. Each doubt is one sentence: what was expected, what
came, and what it looks like.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.checks import wh
from recon3d_ros.geometry.rig import StereoRig

# Between an endoscope and cameras at the two sides of a lorry.
BASELINES_M = (0.005, 3.0)
# Of the longer side of the image: fields of view of 147 and 7 degrees.
FOCAL_LENGTHS = (0.15, 8.0)
PIXEL_ASPECT = 1.25
SKEW = 2e-3  # of fx
# From the middle, of the size: along one side, as of a cropped image, and along both.
OFF_CENTRE, OFF_CENTRE_BOTH = 0.3, 0.2
OUT_OF_RANGE = 0.95  # of the pixels with depth
BEYOND = 4.0
_LEAST_KNOWN = 0.1  # of all pixels: fewer say nothing about the rest
_GRID_PIXELS = 5000
# What a baseline in another unit would be, m: only such a one makes the unit a likely explanation.
_USUAL_BASELINES_M = (0.02, 0.8)
_UNITS_M = {"millimetres": 1e-3, "centimetres": 1e-2}


def calibration_doubts(camera: PinholeCamera | StereoRig) -> tuple[str, ...]:
    """Say what is unlikely about a camera or a rig, raw or rectified; nothing for a likely one.

    Cropped images have their principal point off the middle, and pass as far as `OFF_CENTRE`.
    """
    found: list[str] = []
    cameras: tuple[PinholeCamera, ...]
    if isinstance(camera, StereoRig):
        found += _baseline_doubts(camera)
        cameras = camera.left, camera.right
    else:
        cameras = (camera,)
    for raw in cameras:
        folded = raw.folded()
        matrices = {"P": folded.p} if folded.rectified else {"P": folded.p, "K": folded.k}
        for name, matrix in matrices.items():
            found += _matrix_doubts(name, matrix, folded.image_size_wh)
    return tuple(dict.fromkeys(found))


def range_doubts(depth: NDArray[np.float32], min_m: float, max_m: float) -> tuple[str, ...]:
    """Say when nearly all of what has a depth lies on one side of the limits.

    Args:
        depth: (H, W) m before the limits, NaN = invalid, +Inf = farther than measurable.
        min_m: The smaller limit.
        max_m: The larger limit.
    """
    some = _grid(depth)
    known = some[some > 0]  # not NaN either
    if known.size < _LEAST_KNOWN * some.size:
        return ()
    sides = {
        f"nearer than min_depth_m ({min_m:g} m)": np.count_nonzero(known < min_m) / known.size,
        f"farther than max_depth_m ({max_m:g} m)": np.count_nonzero(known > max_m) / known.size,
    }
    return tuple(
        f"expected depth within the limits, got {OUT_OF_RANGE:.0%} or more of it {side}: is the scale wrong, "
        "or the limit?"
        for side, share in sides.items()
        if share >= OUT_OF_RANGE
    )


def share_beyond(depth: NDArray[np.float32], max_m: float) -> float:
    """The share of pixels from a limit to `BEYOND` times that, from a grid of about 5000 pixels.

    What is farther still is hardly missed: networks place a sky there.

    Args:
        depth: (H, W) m before the limits, NaN = invalid, +Inf = farther than measurable.
        max_m: The limit.
    """
    some = _grid(depth)
    return np.count_nonzero((some > max_m) & (some <= BEYOND * max_m)) / some.size


def _grid(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    step = max(1, math.isqrt(depth.size // _GRID_PIXELS))
    return depth[::step, ::step]


def _baseline_doubts(rig: StereoRig) -> list[str]:
    baseline_m, (least_m, most_m) = rig.baseline_m, BASELINES_M
    if least_m <= baseline_m <= most_m:
        return []
    tx = baseline_m * rig.fx
    guess = "P[0, 3] in another unit than metres?"
    units = [unit for unit, size_m in _UNITS_M.items() if _is_usual(baseline_m * size_m)]
    if baseline_m > most_m and units:
        guess = f"P[0, 3] in {' or '.join(units)}?"
    elif baseline_m < least_m and _is_usual(tx):
        guess = f"P[0, 3] = {-tx:.3g} without fx?"
    return [f"expected a baseline of {least_m:g} to {most_m:g} m, got {baseline_m:.3g} m: {guess}"]


def _is_usual(baseline_m: float) -> bool:
    least_m, most_m = _USUAL_BASELINES_M
    return least_m <= baseline_m <= most_m


def _matrix_doubts(name: str, matrix: NDArray[np.float64], size_wh: tuple[int, int]) -> list[str]:
    """Look at K or P of an image of `size_wh`."""
    fx, fy, skew = float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 1])
    found, longer = [], max(size_wh)
    least, most = (share * longer for share in FOCAL_LENGTHS)
    if not least <= fx <= most:
        guess = "in millimetres, or of another image size?" if fx < least else "of another image size?"
        found.append(
            f"expected a focal length of {least:.0f} to {most:.0f} px in {name} for {wh(size_wh)}, got "
            f"{fx:.4g} px: {guess}"
        )
    if max(fx / fy, fy / fx) > PIXEL_ASPECT:
        found.append(
            f"expected fx and fy of about the same size in {name}, got {fx:.4g} and {fy:.4g} px: of an image "
            "that was binned or resized in one direction?"
        )
    if abs(skew) > SKEW * fx:
        found.append(f"expected {name}[0, 1] = 0 (no skew), got {skew:.4g} px: are the numbers in order?")
    return found + _centre_doubts(name, matrix, size_wh)


def _centre_doubts(name: str, matrix: NDArray[np.float64], size_wh: tuple[int, int]) -> list[str]:
    cx, cy = float(matrix[0, 2]), float(matrix[1, 2])
    shares = [(c + 0.5) / size for c, size in zip((cx, cy), size_wh)]
    off = sorted(abs(share - 0.5) for share in shares)
    if off[1] <= OFF_CENTRE and off[0] <= OFF_CENTRE_BOTH:
        return []
    guess = "of another image?"
    if (
        off[0] > OFF_CENTRE_BOTH and max(shares) - min(shares) < 0.15
    ):  # by the same factor: the middle of another size
        factor = sum(shares)  # twice their mean
        guess = f"of an image {factor:.2g} times the size ({'binned?' if factor < 1 else 'this one binned?'})"
    return [
        f"expected the principal point near the middle of {wh(size_wh)} in {name}, got {cx:.4g}, {cy:.4g}: "
        f"{guess}"
    ]
