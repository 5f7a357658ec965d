"""The path of a camera whose poses nobody gave: odometry over a recording, then its loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.errors import CalibrationError, DataError, ImageError
from recon3d_ros.geometry import DepthMap, Sample
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.odometry import Map, Status, VisualOdometry, close_loops, require_solver


@dataclass(frozen=True)
class CameraPath:
    """What odometry found in a recording.

    Attributes:
        trajectory: Poses by the order of the images.
        unposed: Number of each sample without a pose, from 0, and why it has none.
        summary: One line.
    """

    trajectory: Trajectory
    unposed: dict[int, str]
    summary: str


def estimate_path(
    samples: Sequence[Sample],
    depth_of: Callable[[Sample], DepthMap],
    config: OdometryConfig,
    first: int,
    numbers: Iterable[int] | None = None,
) -> CameraPath:
    """Estimate the poses of a recording.

    Args:
        samples: In order of time. One that cannot be read has no pose.
        depth_of: Metric depth of a sample.
        config: Of the odometry.
        first: Number of the first sample in its recording.
        numbers: 0 to the number of samples, e.g. with a progress bar around it.

    Returns:
        The path. Frames that could not be connected with the largest part of the recording have no pose.

    Raises:
        DataError: Not even two frames could be connected.
        MissingDependencyError: GTSAM is not installed.
    """
    require_solver()
    odometry, read = VisualOdometry(config), []
    for index in range(len(samples)) if numbers is None else numbers:
        try:
            sample = samples[index]
        except (ImageError, DataError, CalibrationError):
            continue  # told by who reads it for the model
        odometry.track(sample.frame, depth_of(sample))
        read.append(first + index)
    found = close_loops(odometry)
    if len(found.frame_numbers) < 2:
        lost = next((step.reason for step in odometry.steps if step.status is Status.LOST), "no overlap")
        raise DataError(
            f"expected frames whose motion can be estimated, connected {len(found.frame_numbers)} of "
            f"{len(samples)} ({lost}): give --poses"
        )
    path = Trajectory(
        np.array([read[i] for i in found.frame_numbers], np.int64), found.T_world_camera, key="order"
    )
    posed = set(found.frame_numbers.tolist())
    unposed = {
        read[i] - first: step.reason
        if step.status is Status.LOST
        else f"odometry cannot connect it with most of the other frames (submap {step.submap})"
        for i, step in enumerate(odometry.steps)
        if i not in posed
    }
    return CameraPath(path, unposed, _summary(found, len(samples), path.length_m))


def _summary(found: Map, count: int, length_m: float) -> str:
    """One line about a path."""
    parts = [
        f"odometry: {len(found.frame_numbers)} of {count} frames along {length_m:.2f} m",
        f"{len(found.loops)} loop closures",
    ]
    if len(found.joined) > 1:
        parts.append(f"{len(found.joined)} submaps joined")
    if found.separate:
        parts.append(f"{len(found.separate)} submaps left out, because nothing connects them with the others")
    if found.lost:
        parts.append(f"lost in {found.lost} frames")
    return ", ".join(parts)
