"""Scale recovery: metres for mono models, from what a robot knows beside its camera."""

from recon3d_ros.scale.anchors import Anchors, from_depth_image, from_points, from_range
from recon3d_ros.scale.mount import Mount
from recon3d_ros.scale.recovery import Observation, Scale, ScaleRecovery

__all__ = [
    "Anchors",
    "Mount",
    "Observation",
    "Scale",
    "ScaleRecovery",
    "from_depth_image",
    "from_points",
    "from_range",
]
