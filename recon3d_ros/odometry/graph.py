"""All keyframes together: the poses that fit all edges best, and the submaps that loops join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.odometry.alignment import Array, inverse, motion
from recon3d_ros.odometry.keyframe import Edge, Keyframe
from recon3d_ros.odometry.loops import find_loops
from recon3d_ros.odometry.visual import Status, VisualOdometry
from recon3d_ros.system.lazy import require

_CORRELATED = 50.0  # points share the errors of one depth map: so much less is known than if each had its own
_CAUCHY = 1.0  # standard deviations at which a loop counts half
_JOINING = 2  # loops that must agree on how two submaps lie, within
_JOINING_M, _JOINING_RAD = 0.3, 0.1


@dataclass(frozen=True, eq=False)
class Map:
    """The poses of all frames that are known in one common frame.

    Attributes:
        frame_numbers: (N,) int64, which frames have a pose, rising.
        stamps_ns: (N,) int64.
        T_world_camera: (N, 4, 4) float64, m; the world is the camera of the first keyframe of the map.
        loops: The loop closures that were found.
        joined: Numbers of the submaps in the map.
        separate: Numbers of those that no loop joins with it; their frames have no pose.
        lost: Number of frames that had no pose at all.
    """

    frame_numbers: NDArray[np.int64]
    stamps_ns: NDArray[np.int64]
    T_world_camera: Array
    loops: tuple[Edge, ...]
    joined: tuple[int, ...]
    separate: tuple[int, ...]
    lost: int


def require_solver() -> None:
    """Ask for what `close_loops` needs, before hours of odometry.

    Raises:
        MissingDependencyError: GTSAM is not installed.
    """
    require("gtsam", extra="mapping")


def close_loops(odometry: VisualOdometry) -> Map:
    """Find loops, join submaps and optimize the poses of all keyframes (GTSAM, Cauchy loss).

    The odometry is not changed, so that it can go on. Needs the extra ``mapping``.

    Raises:
        MissingDependencyError: GTSAM is not installed.
    """
    gtsam = require("gtsam", extra="mapping")
    keyframes, camera = odometry.keyframes, odometry.camera
    if camera is None or not keyframes:
        return _map(odometry, {}, (), (), ())
    loops = find_loops(keyframes, odometry.edges, camera, odometry.config)
    placed = _placed(keyframes, loops)
    submaps = tuple(sorted(placed))
    separate = tuple(sorted({keyframe.submap for keyframe in keyframes} - set(submaps)))
    start = {
        i: placed[keyframe.submap] @ keyframe.T_map_camera
        for i, keyframe in enumerate(keyframes)
        if keyframe.submap in placed
    }
    edges = [edge for edge in [*odometry.edges, *loops] if edge.source in start and edge.target in start]
    poses = _optimized(gtsam, start, edges)
    used = tuple(edge for edge in edges if edge.loop)
    return _map(odometry, poses, used, submaps, separate)


def _placed(keyframes: Sequence[Keyframe], loops: Sequence[Edge]) -> dict[int, Array]:
    """T_world_map of every submap that is joined with the largest group; loops must agree on it."""
    links: dict[tuple[int, int], list[Array]] = {}
    for edge in loops:
        source, target = keyframes[edge.source], keyframes[edge.target]
        if source.submap != target.submap:
            relative = source.T_map_camera @ edge.T_source_target @ inverse(target.T_map_camera)
            links.setdefault((source.submap, target.submap), []).append(relative)
    joints: dict[int, dict[int, Array]] = {}
    for (source_map, target_map), candidates in links.items():
        pose = _agreed(candidates)
        if pose is not None:
            joints.setdefault(source_map, {})[target_map] = pose
            joints.setdefault(target_map, {})[source_map] = inverse(pose)
    weights: dict[int, int] = {}
    for keyframe in keyframes:
        weights[keyframe.submap] = weights.get(keyframe.submap, 0) + 1
    groups: list[dict[int, Array]] = []
    for submap in sorted(weights):
        if any(submap in group for group in groups):
            continue
        group, waiting = {submap: np.eye(4)}, [submap]
        while waiting:
            here = waiting.pop(0)
            for there, relative in sorted(joints.get(here, {}).items()):
                if there not in group:
                    group[there] = group[here] @ relative
                    waiting.append(there)
        groups.append(group)
    return max(groups, key=lambda group: sum(weights[submap] for submap in group))


def _agreed(candidates: Sequence[Array]) -> Array | None:
    """The pose that most candidates agree with; None when fewer than two do."""
    best: tuple[int, Array | None] = (_JOINING - 1, None)
    for pose in candidates:
        agreeing = 0
        for other in candidates:
            shift_m, turn_rad = motion(inverse(pose) @ other)
            agreeing += shift_m < _JOINING_M and turn_rad < _JOINING_RAD
        if agreeing > best[0]:
            best = agreeing, pose
    return best[1]


def _optimized(gtsam: Any, start: dict[int, Array], edges: Sequence[Edge]) -> dict[int, Array]:
    """The poses that minimize the errors of all edges, with the first one fixed."""
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    for i, pose in start.items():
        values.insert(i, gtsam.Pose3(pose))
    first = min(start)
    fixed = gtsam.noiseModel.Isotropic.Sigma(6, 1e-6)
    graph.add(gtsam.PriorFactorPose3(first, gtsam.Pose3(start[first]), fixed))
    for edge in edges:
        noise = gtsam.noiseModel.Gaussian.Information(edge.information / _CORRELATED + 1e-6 * np.eye(6))
        if edge.loop:
            loss = gtsam.noiseModel.mEstimator.Cauchy.Create(_CAUCHY)
            noise = gtsam.noiseModel.Robust.Create(loss, noise)
        measured = gtsam.Pose3(edge.T_source_target)
        graph.add(gtsam.BetweenFactorPose3(edge.source, edge.target, measured, noise))
    result = gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
    return {i: result.atPose3(i).matrix() for i in start}


def _map(
    odometry: VisualOdometry,
    poses: dict[int, Array],
    loops: tuple[Edge, ...],
    joined: tuple[int, ...],
    separate: tuple[int, ...],
) -> Map:
    numbers, stamps, matrices, lost = [], [], [], 0
    world = inverse(poses[min(poses)]) if poses else np.eye(4)
    for number, step in enumerate(odometry.steps):
        lost += step.status is Status.LOST
        if step.T_keyframe_camera is not None and step.keyframe in poses:
            numbers.append(number)
            stamps.append(step.stamp_ns)
            matrices.append(world @ poses[step.keyframe] @ step.T_keyframe_camera)
    return Map(
        np.array(numbers, np.int64),
        np.array(stamps, np.int64),
        np.array(matrices, np.float64).reshape(-1, 4, 4),
        loops,
        joined,
        separate,
        lost,
    )
