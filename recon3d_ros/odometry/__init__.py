"""Where the camera was: visual odometry on estimated depth, loop closure, and the graph of poses."""

from recon3d_ros.odometry.graph import Map, close_loops, require_solver
from recon3d_ros.odometry.keyframe import Edge, Keyframe
from recon3d_ros.odometry.visual import Status, Step, VisualOdometry

__all__ = [
    "Edge",
    "Keyframe",
    "Map",
    "Status",
    "Step",
    "VisualOdometry",
    "close_loops",
    "require_solver",
]
