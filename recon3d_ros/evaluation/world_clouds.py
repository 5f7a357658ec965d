"""Labelled clouds of the world, made of what our depth networks see of it.

A stored cloud is (1 + N, 1, 13) uint8: x, y, z as little-endian float32 in m, and the label. Its frame is
level by the truth: x ahead, y left, z up, its origin on the ground near the camera. The first row is the
camera.
"""

from __future__ import annotations

import math
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.estimation import Estimator
from recon3d_ros.filters import DepthFilters
from recon3d_ros.geometry import Frame, Sample
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.geometry.level import assumed_level, find_level, level_transform

CLOUD_CHANNELS = 13
STORED_POINTS = 24_000
# What makes the depth of a cloud, and of how many: a network that labels is to know the noise of each.
# Without a
# name it is exact, as of a depth camera.
DEPTH_SOURCES = (("recon3d_stereo_light", 0.4), ("recon3d_stereo", 0.25), ("recon3d_mono", 0.25), ("", 0.1))
# Of the clouds whose level frame comes from a transform, and from the floor that they show; the others
# are taken
# to be level.
TRANSFORM_SHARE, FLOOR_SHARE = 0.45, 0.45
_LEAST_GROUND = 0.005  # of the pixels


def pack_cloud(camera_height_m: float, xyz: NDArray[np.float32], labels: NDArray[np.uint8]) -> np.ndarray:
    """Pack (N, 3) float32 m and (N,) uint8 labels as they are stored."""
    points = np.concatenate([np.array([[0.0, 0.0, camera_height_m]], np.float32), xyz]).astype("<f4")
    tags = np.concatenate([np.array([PointLabel.UNKNOWN], np.uint8), labels])
    return np.concatenate([points.view(np.uint8), tags[:, None]], axis=1)[:, None]


def unpack_cloud(packed: np.ndarray) -> tuple[float, NDArray[np.float32], NDArray[np.uint8]]:
    """The inverse: height of the camera (m), (N, 3) float32 m, (N,) uint8."""
    rows = np.ascontiguousarray(packed[:, 0])
    points = np.ascontiguousarray(rows[:, :12]).view("<f4").astype(np.float32)
    return float(points[0, 2]), points[1:], rows[1:, 12]


def render_cloud(seed: int, size_wh: tuple[int, int], source: str | None = None) -> np.ndarray:
    """A scene of the world as a packed cloud, the same for the same arguments.

    Args:
        seed: Of the scene.
        size_wh: Of the images, px.
        source: The model that makes its depth, "" = exact depth; None draws one of `DEPTH_SOURCES`.
    """
    sample, pose = world.ground_sample(seed, size_wh)
    rng = np.random.default_rng([seed, 17])
    drawn = DEPTH_SOURCES[rng.choice(len(DEPTH_SOURCES), p=[share for _, share in DEPTH_SOURCES])][0]
    source = drawn if source is None else source
    assert sample.labels is not None and sample.depth is not None
    if "mono" in source and np.isinf(sample.depth).any():
        source = DEPTH_SOURCES[0][0]  # our mono network knows rooms, and makes nothing of streets
    depth = estimated_depth(source, sample.frame) if source else sample.depth
    if "mono" in source:
        depth = depth * _recovered_scale(depth, sample.depth, rng)
    T_level_optical = level_transform(pose[2, :3], _height_m(sample, pose))
    xyz, at = levelled(depth, sample.frame, T_level_optical, STORED_POINTS)
    return pack_cloud(float(T_level_optical[2, 3]), xyz, sample.labels[at])


def levelled(
    depth: NDArray[np.float32], frame: Frame, T_level_optical: NDArray[np.float64], most: int
) -> tuple[NDArray[np.float32], tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Points of a regular grid over a depth image in the level frame.

    Returns:
        (N, 3) float32 m, N about `most` or fewer; rows and columns of their pixels.
    """
    step = max(1, math.ceil(math.sqrt(np.count_nonzero(np.isfinite(depth)) / most)))
    v, u = np.nonzero(np.isfinite(depth[::step, ::step]))
    v, u = v * step, u * step
    optical = back_project(frame.camera, u, v, depth[v, u])
    xyz = optical @ T_level_optical[:3, :3].T + T_level_optical[:3, 3]
    return xyz.astype(np.float32), (v, u)


@lru_cache(maxsize=8)
def _source(name: str) -> tuple[Estimator, DepthFilters]:
    estimator = Estimator.open(ModelConfig(model=name, threads=1), stereo="mono" not in name)
    return estimator, DepthFilters(PipelineConfig())


def estimated_depth(name: str, frame: Frame) -> NDArray[np.float32]:
    """(H, W) float32 m of one of our models, filtered as in the node."""
    estimator, filters = _source(name)
    filters.reset()
    return filters.apply(estimator.estimate(frame), frame).depth


def _recovered_scale(
    depth: NDArray[np.float32], truth: NDArray[np.float32], rng: np.random.Generator
) -> np.float32:
    """The factor that scale recovery finds for depth of one image, with an error of 10 percent."""
    known = np.isfinite(depth) & np.isfinite(truth)
    factor = float(np.median(truth[known] / depth[known])) if known.any() else 1.0
    return np.float32(factor * math.exp(rng.normal(0, 0.1)))


def _height_m(sample: Sample, pose: NDArray[np.float64]) -> float:
    """Of the camera over the ground that it sees, the nearer half of it."""
    depth, labels, camera = sample.depth, sample.labels, sample.frame.camera
    assert depth is not None and labels is not None
    v, u = np.nonzero((labels == PointLabel.GROUND) & np.isfinite(depth))
    if v.size < _LEAST_GROUND * labels.size:
        return float(pose[2, 3]) if pose[2, 3] > 0.1 else 1.0
    z = depth[v, u]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.size)], axis=1)
    height = -(rays @ pose[2, :3]) * z
    return float(max(np.median(height[z <= np.median(z)]), 0.05))


def misplaced(
    xyz: NDArray[np.float32], camera_height_m: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """The cloud in the level frame that a robot would take for it: of its transforms, or of the floor.

    Args:
        xyz: (N, 3) float32 m in the true one.
        camera_height_m: Of the camera, which is above the origin.
        rng: Where all chance comes from.

    Returns:
        (N, 3) float32 m, and the height of the camera there.
    """
    kind = rng.random()
    camera = np.array([0.0, 0.0, camera_height_m])
    if kind < TRANSFORM_SHARE:
        tilt = _rotation(rng.normal(0, np.radians(1.5)), rng.normal(0, np.radians(1.5)))
        off = rng.uniform(-0.3, 0.3) if rng.random() < 0.15 else rng.normal(0, 0.03)
        moved = (xyz - camera) @ tilt.T + camera + [0, 0, off]
        return moved.astype(np.float32), camera_height_m + off
    level = kind >= TRANSFORM_SHARE + FLOOR_SHARE
    pitch = rng.normal(0, np.radians(4)) if level else np.radians(rng.uniform(-10, 35))
    tilt = _rotation(rng.normal(0, np.radians(3)), pitch)
    optical = to_optical((xyz - camera) @ tilt.T, 0.0)
    found = None if level else find_level(optical)
    T_level_optical = assumed_level(optical) if found is None else found
    moved = optical @ T_level_optical[:3, :3].T + T_level_optical[:3, 3]
    return moved.astype(np.float32), float(T_level_optical[2, 3])


def to_optical(xyz: NDArray[np.floating], camera_height_m: float) -> NDArray[np.float64]:
    """Points (N, 3) of a level frame in that of a camera at this height over its origin, looking along x."""
    return np.stack([-xyz[:, 1], camera_height_m - xyz[:, 2], xyz[:, 0]], axis=1).astype(np.float64)


def held_out_rng(packed: np.ndarray) -> np.random.Generator:
    """What misplaces a stored cloud always alike."""
    return np.random.default_rng(crc32(np.ascontiguousarray(packed[:200]).tobytes()))


def _rotation(roll: float, pitch: float) -> NDArray[np.float64]:
    """Rotation about x, then about y, rad."""
    (cr, sr), (cp, sp) = ((math.cos(angle), math.sin(angle)) for angle in (roll, pitch))
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    return about_y @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
