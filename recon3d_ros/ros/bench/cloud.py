"""How long the node's own work takes on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import PinholeCamera, PointPacker
from recon3d_ros.ros.output.cloud_message import CloudMessages
from recon3d_ros.system.allocator import keep_memory

SIZES_WH = ((640, 480), (1280, 720))
_WARM_UP = 20
_SCENES = 3


class CloudRow(TypedDict):
    """One size: the time of one frame, over `frames` of them."""

    width: int
    height: int
    median_ms: float
    p95_ms: float
    frames: int


def benchmark_cloud(sizes_wh: Sequence[tuple[int, int]] = SIZES_WH, frames: int = 300) -> list[CloudRow]:
    """Time depth + colour image -> complete PointCloud2 (organized, xyz + rgb, 16 bytes a point).

    The same calls as in the node, message header and choice of the buffer included; the depth holds NaN,
    +Inf and finite metres, and changes from frame to frame.

    Args:
        sizes_wh: Columns and rows to measure.
        frames: Timed frames of each size, after a warm-up.
    """
    keep_memory()
    return [_time_size(size_wh, frames) for size_wh in sizes_wh]


def _time_size(size_wh: tuple[int, int], frames: int) -> CloudRow:
    width, height = size_wh
    packer = PointPacker(PinholeCamera.simple(width, height, fx=0.8 * width))
    messages = CloudMessages()
    scenes = [_scene((height, width), seed) for seed in range(_SCENES)]
    times_ms = []
    for i in range(_WARM_UP + frames):
        depth, image = scenes[i % _SCENES]
        started = time.perf_counter()
        _, points = messages.take((height, width), stamp_ns=i, frame_id="camera_left_optical_frame")
        packer.pack(depth, image, out=points)
        times_ms.append((time.perf_counter() - started) * 1e3)
    median_ms, p95_ms = np.percentile(times_ms[_WARM_UP:], (50, 95))
    return CloudRow(
        width=width, height=height, median_ms=float(median_ms), p95_ms=float(p95_ms), frames=frames
    )


def _scene(shape_hw: tuple[int, int], seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Depth (H, W) float32 m with 10 % holes and a sky of +Inf, and an image (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 20, shape_hw).astype(np.float32)
    depth[rng.random(shape_hw) < 0.1] = np.nan
    depth[: shape_hw[0] // 8] = np.inf
    return depth, rng.integers(0, 256, (*shape_hw, 3), np.uint8)
