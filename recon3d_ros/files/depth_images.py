"""Depth as others store it: 16-bit images of a stated unit, or metres as float TIFF, PFM, NumPy, EXR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError, ImageError
from recon3d_ros.files.arrays import read_npy
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.files.images import decode_whole, read_pfm

DEPTH_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".pgm", ".pfm", ".npy", ".exr"})
MM_PER_M = 1000.0  # of 16-bit images (REP 118)
# What 16 bits cannot hold, and what some sensors write for "nothing seen".
_SATURATED = 65535


def read_depth(path: Path | str, units_per_m: float | None = None) -> NDArray[np.float32]:
    """Read a depth image.

    Args:
        path: `.png`, `.tif`, `.pgm` of 16 bits; `.tif`, `.pfm`, `.npy`, `.exr` of floats.
        units_per_m: How many stored units are a metre; None is 1000 of 16 bits (mm), 1 of floats.

    Returns:
        (H, W) float32 m along the optical axis. NaN = unknown: 0 and 65535 of 16 bits, NaN and what is not
        above 0 of floats. +Inf of floats stays (sky).

    Raises:
        DataError: The file cannot be read, or is a damaged PFM.
        ImageError: It is no depth image: damaged, of 8 bits, in colour.
    """
    stored = _stored(Path(path))
    if stored.ndim != 2 or stored.size == 0:
        raise ImageError(
            f"expected depth of one channel in {path}, got an array {stored.shape}: a colour-coded depth "
            "image has no metric values, store the depth itself"
        )
    return metres(stored, units_per_m, str(path))


def metres(stored: NDArray[Any], units_per_m: float | None, source: str) -> NDArray[np.float32]:
    """Turn (H, W) uint16 or floats into depth by the rule of `read_depth`; `source` is for the error.

    Raises:
        ImageError: Another dtype.
    """
    if stored.dtype == np.uint16:
        known = (stored > 0) & (stored < _SATURATED)
        scale = MM_PER_M if units_per_m is None else units_per_m
    elif stored.dtype.kind == "f":
        known = stored > 0  # False of NaN
        scale = 1.0 if units_per_m is None else units_per_m
    else:
        raise ImageError(
            f"expected depth of 16-bit integers or of floats in {source}, got {stored.dtype}: "
            "8 bits are too coarse for depth, export it as 16-bit PNG in mm"
        )
    # Divided, not multiplied by 1 / scale: 1234 mm and 6170 / 5000 are the same float then.
    with np.errstate(all="ignore"):  # signalling NaN, of damaged files
        depth: NDArray[np.float32] = np.where(
            known, stored.astype(np.float32) / np.float32(scale), np.float32(np.nan)
        )
    return depth


def _stored(path: Path) -> NDArray[Any]:
    suffix = path.suffix.lower()
    if suffix == ".pfm":
        return read_pfm(path)
    encoded = read_bytes(path)
    if suffix == ".npy":
        try:
            return read_npy(encoded, path)
        except DataError as exc:
            raise ImageError(str(exc)) from exc
    image = decode_whole(encoded, path)
    if image is None:
        hint = (
            "OpenCV reads EXR only where the environment variable OPENCV_IO_ENABLE_OPENEXR is 1, set it for "
            "files you trust or convert to float TIFF"
            if suffix == ".exr"
            else "it is damaged or cut off, export or copy it again"
        )
        raise ImageError(f"expected a whole depth image in {path}, it does not decode: {hint}")
    return image
