"""`recon3d play`: the node `image_source` without ros2cli."""

from __future__ import annotations

import argparse

from recon3d_ros.cli.flags import add_options, read_options
from recon3d_ros.config import options
from recon3d_ros.config.source import SourceConfig

HELP = (
    "Publish a folder, a video, a webcam or the procedural world like a camera driver: Image (raw or "
    "compressed) and CameraInfo; the two images of a pair have equal stamps. Arguments after --ros-args "
    "are passed to ROS, for example -r __ns:=/front."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    source = next(spec for spec in options(SourceConfig) if spec.name == "source")
    parser.add_argument("source", nargs="?", default=source.default, help=source.description)
    add_options(parser, SourceConfig, skip=("source",))
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], help="arguments for ROS; must be last"
    )


def main(args: argparse.Namespace) -> int:
    """Run the node until its source ends or somebody stops it."""
    from recon3d_ros.ros.player import image_source

    ros_args = ["--ros-args", *args.ros_args] if args.ros_args else []
    return image_source.main(ros_args, read_options(args, SourceConfig))
