"""`recon3d node`: the depth node without ros2cli or a launch file."""

from __future__ import annotations

import argparse
from pathlib import Path

from recon3d_ros.config import ModelConfig, NodeConfig
from recon3d_ros.errors import DataError

HELP = (
    "Start the depth node, which computes PointCloud2, depth and disparity from stereo pairs or single "
    "images. Every parameter can be set with -p or a parameter file. Arguments after --ros-args are "
    "passed to ROS."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb; a flag that is not given leaves the parameter to files and defaults."""
    parser.add_argument("--mode", choices=("stereo", "mono"), help=f"default {NodeConfig().mode}")
    parser.add_argument(
        "--model", help=f"name of a model, or path of a manifest (default {ModelConfig().model})"
    )
    parser.add_argument(
        "--depth-from",
        choices=("model", "motion"),
        help="motion: of one moving camera (mode mono) whose poses are in tf, see docs/mapping.md (default "
        f"{NodeConfig().depth_from})",
    )
    add_ros_arguments(parser)


def add_ros_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every verb has that starts a node."""
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="set a parameter; can be repeated",
    )
    parser.add_argument(
        "--params-file",
        action="append",
        default=[],
        metavar="FILE",
        help="parameter file (YAML); can be repeated",
    )
    parser.add_argument(
        "-r",
        "--remap",
        action="append",
        default=[],
        metavar="FROM:=TO",
        help="remap a topic, __ns or __node; can be repeated",
    )
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], help="arguments for ROS; must be last"
    )


def main(args: argparse.Namespace) -> int:
    """Run the node until somebody stops it."""
    from recon3d_ros.ros.node import depth_node

    return depth_node.main(ros_words(args))


def ros_words(
    args: argparse.Namespace, flags: tuple[str, ...] = ("mode", "model", "depth_from")
) -> list[str]:
    """The command line for ROS. Later words win, so files come first and flags last.

    Args:
        args: See `add_ros_arguments`.
        flags: Those that are parameters of the same name.

    Raises:
        DataError: a parameter file is not there (rcl's own message would show its source line).
    """
    words = ["--ros-args"]
    for file in args.params_file:
        if not Path(file).is_file():
            raise DataError(f"expected a parameter file at {file}, found none: check the path")
        words += ["--params-file", file]
    params = [*args.param, *(f"{name}:={value}" for name in flags if (value := getattr(args, name)))]
    for flag, values in (("-p", params), ("-r", args.remap)):
        for value in values:
            words += [flag, value]
    return words + args.ros_args
