"""Options of visual odometry: the camera's own motion from its images and their depth."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option


@dataclass(frozen=True)
class OdometryConfig(Config):
    """How the pose of each frame is found, and what a map keeps; see docs/odometry.md."""

    odometry_points: int = option(350, "points to track per keyframe", minimum=50, maximum=5000)
    odometry_min_inliers: int = option(
        20, "a pose with fewer agreeing points is not believed", minimum=8, maximum=1000
    )
    odometry_min_confidence: float = option(
        0.5,
        "depth of lower confidence is not used for poses; for models with a confidence output",
        minimum=0.0,
        maximum=1.0,
    )
    odometry_window: int = option(
        3, "number of earlier keyframes that a new one is aligned with", minimum=1, maximum=20
    )
    odometry_features: int = option(
        600, "SIFT features per keyframe, to find places again", minimum=100, maximum=5000
    )
