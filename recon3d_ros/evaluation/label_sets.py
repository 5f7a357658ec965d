"""Clouds whose classes are known: held-out scenes of the world, and real frames with hand-marked ground."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.datasets import open_dataset
from recon3d_ros.errors import DataError
from recon3d_ros.estimation import Estimator
from recon3d_ros.estimation.point_labels import grid_step
from recon3d_ros.evaluation.world_clouds import held_out_rng, misplaced, render_cloud, unpack_cloud
from recon3d_ros.filters import DepthFilters
from recon3d_ros.geometry import Frame
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.geometry.level import assumed_level, find_level
from recon3d_ros.system.share import share_path

# Name -> whether outdoors, the model that makes the depth.
WORLD_SETS = {
    "world_indoor": (False, "recon3d_stereo_light"),
    "world_outdoor": (True, "recon3d_stereo_light"),
    "world_mono": (False, "recon3d_mono"),
}
MARKED = "marked"
WORLD_CLOUDS, WORLD_SIZE_WH = 60, (480, 320)
#: Points of a cloud.
COUNT = 16384


@dataclass(frozen=True, eq=False)
class LabelledCloud:
    """One cloud.

    Attributes:
        data: Of which set.
        name: Of the cloud.
        points: (N, 3) float32 m, N up to `COUNT`, in the level frame that a robot would take for it.
        camera_height_m: Of the camera over its origin.
        truth: (N,) uint8, `PointLabel`; of marked frames `GROUND`, `OBSTACLE` for all else, or `UNKNOWN`.
        image: (H, W, 3) or (H, W) uint8; None for scenes of the world.
        pixels: (2, N) rows and columns in that image.
    """

    data: str
    name: str
    points: NDArray[np.float32]
    camera_height_m: float
    truth: NDArray[np.uint8]
    image: NDArray[np.uint8] | None = None
    pixels: NDArray[np.intp] | None = None


def world_clouds(data: str, count: int = WORLD_CLOUDS) -> Iterator[LabelledCloud]:
    """The first scenes of the world that are held out from training.

    Args:
        data: A key of `WORLD_SETS`.
        count: How many.
    """
    seed = made = 0
    outdoors, source = WORLD_SETS[data]
    while made < count:
        if world.is_outdoor(seed) == outdoors:
            packed = render_cloud(seed, WORLD_SIZE_WH, source)
            height_m, xyz, labels = unpack_cloud(packed)
            points, height_m = misplaced(xyz, height_m, held_out_rng(packed))
            chosen = np.linspace(0, len(points) - 1, min(COUNT, len(points))).astype(int)
            yield LabelledCloud(data, f"scene {seed}", points[chosen], height_m, labels[chosen])
            made += 1
        seed += 1


def marked_clouds(
    file: Path | None = None, root: Path | None = None, limit: int | None = None
) -> Iterator[LabelledCloud]:
    """Real frames with the depth of our networks, level by the floor that they show.

    Args:
        file: Their polygons; None = the included ones.
        root: Folder with INDEX.json; None = $RECON3D_DATA.
        limit: How many at most.

    Raises:
        DataError: The file or a data set cannot be read.
    """
    path = file or share_path("config", "ground_frames.json")
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
    except (OSError, ValueError, KeyError) as exc:
        raise DataError(f"expected frames with polygons in {path}, got {exc}: copy the file again") from exc
    estimators: dict[bool, Estimator] = {}
    try:
        for mark in frames[:limit]:
            frame = open_dataset(mark["data"], root)[mark["frame"]].frame
            if frame.is_stereo not in estimators:
                estimators[frame.is_stereo] = Estimator.open(ModelConfig(), stereo=frame.is_stereo)
            depth_map = estimators[frame.is_stereo].estimate(frame)
            depth = DepthFilters(PipelineConfig()).apply(depth_map, frame).depth
            yield _marked(mark, frame, depth)
    finally:
        for estimator in estimators.values():
            estimator.close()


def _marked(mark: dict[str, Any], frame: Frame, depth: NDArray[np.float32]) -> LabelledCloud:
    truth = np.full(depth.shape, PointLabel.OBSTACLE, np.uint8)
    for key, label in (("ground", PointLabel.GROUND), ("ignore", PointLabel.UNKNOWN)):
        for polygon in mark[key]:
            cv2.fillPoly(truth, [np.array(polygon, np.int32)], int(label))
    step = grid_step(depth.shape, COUNT)
    pixels = np.array(np.nonzero(np.isfinite(depth[::step, ::step]))) * step
    v, u = pixels
    optical = back_project(frame.camera, u, v, depth[v, u])
    found = find_level(optical)
    level = assumed_level(optical) if found is None else found
    points = (optical @ level[:3, :3].T + level[:3, 3]).astype(np.float32)
    name = f"{mark['data']} {mark['frame']}"
    return LabelledCloud(MARKED, name, points, float(level[2, 3]), truth[v, u], frame.image, pixels)
