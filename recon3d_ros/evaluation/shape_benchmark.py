"""What it costs to complete an object: its points in the box, and the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypedDict

import numpy as np

from recon3d_ros import world
from recon3d_ros.estimation.completion import ObjectCompleter, object_points
from recon3d_ros.geometry.object_in_view import box_of

SIZES_WH = ((640, 480), (1280, 720))
MODEL = "recon3d_completion"
_WARM_UP, _SEED, _THREADS = 2, 20, 2


class ShapeRow(TypedDict):
    """One part at one size of the depth image: the time of one object, over `frames` of them."""

    part: str
    width: int
    height: int
    points: int
    median_ms: float
    p5_ms: float
    p95_ms: float
    frames: int


def benchmark_objects(sizes_wh: Sequence[tuple[int, int]] = SIZES_WH, frames: int = 30) -> list[ShapeRow]:
    """Time a sofa of the world: the search for its points in a box without a mask, and their completion.

    Args:
        sizes_wh: Columns and rows to measure.
        frames: Timed repetitions of each part and size, after a warm-up.
    """
    rows = []
    with ObjectCompleter.open(MODEL, threads=_THREADS) as completer:
        for size_wh in sizes_wh:
            one = world.object_sample(_SEED, size_wh)
            depth, camera, box = one.sample.depth, one.sample.frame.camera, box_of(one.mask)
            assert depth is not None  # the world knows it
            points = object_points(depth, camera, box)
            parts: dict[str, Callable[[], object]] = {
                "points in the box": partial(object_points, depth, camera, box),
                MODEL: partial(completer.complete, points),
            }
            for part, step in parts.items():
                rows.append(_row(part, size_wh, len(points), _times_ms(step, frames)))
    return rows


def _row(part: str, size_wh: tuple[int, int], points: int, times_ms: Sequence[float]) -> ShapeRow:
    low, middle, high = (float(value) for value in np.percentile(times_ms, (5, 50, 95)))
    return ShapeRow(
        part=part,
        width=size_wh[0],
        height=size_wh[1],
        points=points,
        median_ms=middle,
        p5_ms=low,
        p95_ms=high,
        frames=len(times_ms),
    )


def _times_ms(step: Callable[[], object], frames: int) -> list[float]:
    times = []
    for _ in range(_WARM_UP + frames):
        began = time.perf_counter()
        step()
        times.append((time.perf_counter() - began) * 1e3)
    return times[_WARM_UP:]
