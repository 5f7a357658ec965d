"""What each filter costs on this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import PipelineConfig, ScaleConfig
from recon3d_ros.files import write_image
from recon3d_ros.filters import DepthFilters, FreeSpace, drop_outliers, voxel_grid
from recon3d_ros.geometry import XYZRGB, DepthMap, Frame, PinholeCamera, PointPacker
from recon3d_ros.geometry.cloud import NORMAL
from recon3d_ros.scale import Observation, ScaleRecovery, from_depth_image
from recon3d_ros.system.allocator import keep_memory

SIZES_WH = ((640, 480), (1280, 720))
_WARM_UP = 2
_SCENES = 3
_MIN_DEPTH_M, _MAX_DEPTH_M = 0.5, 15.0
_VOXEL_M = 0.05
_CAMERA_HEIGHT_M = 1.1


class FilterRow(TypedDict):
    """One filter at one size: the time of one frame, over `frames` of them; the spread is p95 over p5."""

    filter: str
    width: int
    height: int
    min_ms: float
    median_ms: float
    p5_ms: float
    p95_ms: float
    frames: int


@dataclass(frozen=True, eq=False)
class _Scene:
    frame: Frame
    estimate: DepthMap


def benchmark_filters(sizes_wh: Sequence[tuple[int, int]] = SIZES_WH, frames: int = 30) -> list[FilterRow]:
    """Time every filter by itself, on a room with furniture whose depth has noise, smeared edges and a sky.

    Those of the image start from the depth as it was estimated, those of the cloud from its points; the last
    rows are the clouds with more fields or fewer points, to compare with the plain one. Scale recovery, which
    comes before the filters, has a row with the floor and one with a second depth image as its source.

    Args:
        sizes_wh: Columns and rows to measure.
        frames: Timed frames of each filter and size, after a warm-up.
    """
    keep_memory()
    rows = []
    for width, height in sizes_wh:
        scenes = [_scene(width, height, seed) for seed in range(_SCENES)]
        for name, work in _works(scenes):
            rows.append(_time(name, work, (width, height), frames))
    return rows


def _time(
    name: str, work: Callable[[int], Callable[[], object]], size_wh: tuple[int, int], frames: int
) -> FilterRow:
    times_ms = []
    for i in range(_WARM_UP + frames):
        run = work(i % _SCENES)
        started = time.perf_counter()
        run()
        times_ms.append((time.perf_counter() - started) * 1e3)
    p5, median, p95 = (float(ms) for ms in np.percentile(times_ms[_WARM_UP:], (5, 50, 95)))
    return FilterRow(
        filter=name,
        width=size_wh[0],
        height=size_wh[1],
        min_ms=float(min(times_ms[_WARM_UP:])),
        median_ms=median,
        p5_ms=p5,
        p95_ms=p95,
        frames=frames,
    )


Work = Callable[[int], Callable[[], object]]


def _works(scenes: Sequence[_Scene]) -> Iterator[tuple[str, Work]]:
    """Name and work of each row; a work prepares, untimed, what it is to do with one of the scenes."""
    yield from _image_works(scenes)
    yield from _scale_works(scenes)
    yield from _cloud_works(scenes)


def _image_works(scenes: Sequence[_Scene]) -> Iterator[tuple[str, Work]]:
    with tempfile.TemporaryDirectory() as folder:
        mask = np.full(scenes[0].frame.image.shape[:2], 255, np.uint8)
        mask[-len(mask) // 4 :] = 0
        write_image(Path(folder, "mask.png"), mask)
        config = PipelineConfig(
            min_depth_m=_MIN_DEPTH_M,
            max_depth_m=_MAX_DEPTH_M,
            border_px=8,
            roi_mask=str(Path(folder, "mask.png")),
            min_confidence=0.5,
            min_texture=2.0,
            max_edge_jump=0.02,
            speckle_px=200,
            temporal_weight=0.8,
        )
        steps = DepthFilters(config).steps

    for name, step in steps:

        def work(i: int, step=step) -> Callable[[], object]:  # type: ignore[no-untyped-def]  # of DepthFilters
            depth = scenes[i].estimate.depth.copy()
            return lambda: step(depth, scenes[i].estimate, scenes[i].frame)

        yield name, work
    space = FreeSpace(3, _MAX_DEPTH_M, 0.5)
    limited = [_limited(scene) for scene in scenes]
    yield "free space", lambda i: lambda: space.update(limited[i], scenes[i].frame.image)


def _scale_works(scenes: Sequence[_Scene]) -> Iterator[tuple[str, Work]]:
    for name, config in (
        ("scale, floor", ScaleConfig(scale_sources=("floor",), camera_height_m=_CAMERA_HEIGHT_M)),
        ("scale, depth image", ScaleConfig(scale_sources=("depth_image",))),
    ):
        recoveries = [ScaleRecovery(config) for _ in scenes]

        def work(i: int, recoveries: list[ScaleRecovery] = recoveries) -> Callable[[], object]:
            estimate = scenes[i].estimate
            known: list[Observation] = [from_depth_image("depth_image", estimate.depth, estimate.camera)]
            return lambda: recoveries[i].update(0, estimate, known).apply(estimate)

        yield name, work


def _cloud_works(scenes: Sequence[_Scene]) -> Iterator[tuple[str, Work]]:
    limited = [_limited(scene) for scene in scenes]
    camera = scenes[0].frame.camera

    def packing(fields: tuple[str, ...], decimation: int = 1) -> Work:
        packer = PointPacker(camera, fields, decimation)
        out = np.empty((*packer.shape_hw, len(fields)), np.float32)
        return lambda i: (
            lambda: packer.pack(
                limited[i].depth, scenes[i].frame.image, out, limited[i].confidence, limited[i].sigma_m
            )
        )

    yield "cloud xyz, rgb", packing(XYZRGB)
    yield "cloud + confidence, sigma", packing((*XYZRGB, "confidence", "sigma"))
    yield "cloud + normals", packing((*XYZRGB, *NORMAL))
    yield "cloud, decimation 2", packing(XYZRGB, 2)
    clouds = [PointPacker(camera).pack(one.depth, scene.frame.image) for one, scene in zip(limited, scenes)]
    points = [cloud.points() for cloud in clouds]
    voxels = [voxel_grid(cloud, _VOXEL_M) for cloud in points]
    yield "voxel grid 0.05 m", lambda i: lambda: voxel_grid(clouds[i].points(), _VOXEL_M)
    yield "outliers 0.1 m", lambda i: lambda: drop_outliers(points[i], 0.1, 4)
    yield "outliers 0.1 m after voxels", lambda i: lambda: drop_outliers(voxels[i], 0.1, 4)


def _limited(scene: _Scene) -> DepthMap:
    return DepthFilters(PipelineConfig(min_depth_m=_MIN_DEPTH_M, max_depth_m=_MAX_DEPTH_M)).apply(
        scene.estimate, scene.frame
    )


def _scene(width: int, height: int, seed: int) -> _Scene:
    """A floor, a wall with a window to the sky, and boxes, as a network would see them."""
    rng = np.random.default_rng(seed)
    camera = PinholeCamera.simple(width, height, fx=0.8 * width)
    rows = np.arange(height, dtype=np.float32)[:, None] + np.zeros((1, width), np.float32)
    below = np.maximum((rows - height / 2) / camera.fy, 1e-3)
    inverse = np.maximum(below / _CAMERA_HEIGHT_M, np.float32(1 / 6))  # 6 m from the wall
    inverse[height // 8 : height // 3, width // 5 : width // 2] = 0.01
    for _ in range(6):
        x, y = rng.integers(0, (width, height))
        half = rng.integers(height // 20, height // 6)
        inverse[max(0, y - half) : y + half, max(0, x - half) : x + half] = rng.uniform(0.3, 1.2)
    inverse = cv2.GaussianBlur(inverse, (0, 0), 1.2)  # smeared edges
    # Errors of a network are smooth: here 0.1 px of disparity at a baseline of 0.12 m.
    inverse = np.maximum(inverse + _smooth(rng, inverse.shape) * (0.1 / (camera.fx * 0.12)), 0.005)
    depth: NDArray[np.float32] = (1 / inverse).astype(np.float32)
    depth[_smooth(rng, depth.shape) > 2.5] = np.nan
    confidence = np.clip(0.7 + 0.2 * _smooth(rng, depth.shape), 0, 1)
    image = np.dstack([_smooth(rng, depth.shape) for _ in range(3)]) * 40 + 120
    return _Scene(
        Frame(seed, np.clip(image, 0, 255).astype(np.uint8), camera),
        DepthMap(depth, camera, confidence=confidence, sigma_m=depth * depth * np.float32(0.003)),
    )


def _smooth(rng: np.random.Generator, shape_hw: tuple[int, ...]) -> NDArray[np.float32]:
    """Noise of variance 1 with patches of a few pixels."""
    noise = cv2.GaussianBlur(rng.standard_normal(shape_hw, np.float32), (0, 0), 3.0)
    return np.asarray(noise / noise.std(), np.float32)
