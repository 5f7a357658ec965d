"""`recon3d map`: the map node without ros2cli or a launch file."""

from __future__ import annotations

import argparse

from recon3d_ros.cli.node import add_ros_arguments, ros_words
from recon3d_ros.config.mapper import MapNodeConfig

HELP = (
    "Start the map node, which fuses images and depth, of a depth node or of an RGB-D camera, into a mesh, "
    "points and a grid for Nav2. Every parameter can be set with -p or a parameter file. Arguments after "
    "--ros-args are passed to ROS."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb; a flag that is not given leaves the parameter to files and defaults."""
    defaults = MapNodeConfig()
    parser.add_argument("--mode", choices=("stereo", "mono"), help=f"default {defaults.mode}")
    parser.add_argument("--poses", choices=("tf", "odometry"), help=f"default {defaults.poses}")
    add_ros_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run the node until somebody stops it."""
    from recon3d_ros.ros.mapper import map_node

    return map_node.main(ros_words(args, ("mode", "poses")))
