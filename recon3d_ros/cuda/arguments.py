"""What the kernels take: the structs of kernels.cu, and the tables that say how an axis is resized.

The same structs go to the GPU, by value, and to the host loops of the tests.
"""

from __future__ import annotations

from ctypes import Structure, c_float, c_int, c_void_p

import numpy as np
from numpy.typing import NDArray

DTYPES = {"float32": 0, "float16": 1, "uint8": 2}
# A row of such a table makes one output column (or row) out of input columns first..last; see kernels.cu.
TAP = np.dtype([("first", "i4"), ("last", "i4"), ("w_first", "f4"), ("w_inner", "f4"), ("w_last", "f4")])
Taps = NDArray[np.void]


class Pixels(Structure):
    """An image of uint8: grey, or red, green and blue."""

    _fields_ = [("data", c_void_p), *((name, c_int) for name in ("width", "channels"))]


class Prepare(Structure):
    """Images to tensors."""

    _fields_ = [
        ("image", Pixels * 2),
        ("target", c_void_p * 2),
        ("columns", c_void_p),
        ("rows", c_void_p),
        *((name, c_int) for name in ("content_w", "content_h", "network_w", "network_h", "channels")),
        ("source", c_int * 3),
        *((name, c_int) for name in ("channel_stride", "row_stride", "pixel_stride", "dtype")),
        ("gain", c_float * 3),
        ("offset", c_float * 3),
    ]


class Output(Structure):
    """One output tensor of a network."""

    _fields_ = [
        ("data", c_void_p),
        ("columns", c_void_p),
        ("rows", c_void_p),
        *((name, c_int) for name in ("row_stride", "pixel_stride", "dtype", "clips")),
        *((name, c_float) for name in ("factor", "low", "high")),
    ]


class Restore(Structure):
    """Outputs to the grid of the image."""

    _fields_ = [
        *((name, Output) for name in ("value", "confidence", "sigma")),
        *((name, c_void_p) for name in ("values", "depth", "out_confidence", "out_sigma")),
        *((name, c_void_p) for name in ("valid", "right_valid")),
        *((name, c_int) for name in ("width", "height", "stereo")),
        *((name, c_float) for name in ("doffs", "focal_baseline")),
    ]


class Finish(Structure):
    """Depth to filtered depth and cloud."""

    _fields_ = [
        ("image", Pixels),
        *((name, c_void_p) for name in ("depth", "disparity", "confidence", "out_depth", "out_disparity")),
        *((name, c_void_p) for name in ("cloud", "rays_x", "rays_y")),
        *((name, c_int) for name in ("width", "height", "border", "decimation", "intensity")),
        *((name, c_float) for name in ("min_depth", "max_depth", "min_confidence", "max_slope")),
    ]


def tensor_source(color: str) -> tuple[int, int, int]:
    """Which channel of the image each channel of a tensor is; -1 is the grey of all three.

    Args:
        color: Of the tensor: rgb, bgr or mono.
    """
    return {"rgb": (0, 1, 2), "bgr": (2, 1, 0), "mono": (-1, -1, -1)}[color]


def linear_taps(count: int, step: float, size: int, spread: bool = False) -> Taps:
    """Blend linearly between pixel centres: output i lies at (i + 0.5) step - 0.5 of the input.

    Beyond the outermost centres the outermost pixel alone counts.

    Args:
        count: Output pixels.
        step: Input pixels for one output pixel.
        size: Input pixels.
        spread: Before the first centre the second pixel counts with weight 0, so that its NaN spreads.
    """
    at = (np.arange(count) + 0.5) * step - 0.5
    low = np.floor(at).astype(np.int64)
    part = (at - low).astype(np.float32)
    outside = (low < 0) | (low >= size - 1)
    taps = np.zeros(count, TAP)
    taps["first"] = np.clip(low, 0, size - 1)
    taps["last"] = np.where(outside, taps["first"], taps["first"] + 1)
    if spread:
        taps["last"][low < 0] = min(1, size - 1)
    taps["w_last"] = np.where(outside, 0, part)
    taps["w_first"] = np.float32(1) - taps["w_last"]
    return taps


def area_taps(count: int, size: int) -> Taps:
    """Average what an output pixel covers of the input, as cv2.INTER_AREA does; for shrinking.

    Args:
        count: Output pixels, at most `size`.
        size: Input pixels.
    """
    step = size / count
    begin = np.arange(count) * step
    end = np.minimum(begin + step, size)
    taps = np.zeros(count, TAP)
    taps["first"] = np.floor(begin + 1e-9)
    taps["last"] = np.clip(np.ceil(end - 1e-9) - 1, taps["first"], size - 1)
    taps["w_first"] = np.minimum(taps["first"] + 1 - begin, end - begin) / step
    taps["w_inner"] = 1 / step
    taps["w_last"] = np.minimum(end - taps["last"], 1) / step
    return taps
