"""`--depth-from motion`: depth from one moving camera with poses, not from each frame alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from recon3d_ros.cli.flags import add_options, read_options, user_path
from recon3d_ros.config import ModelConfig
from recon3d_ros.config.motion import DepthFromConfig, MotionConfig
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.spec import DatasetSpec, parse_spec
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.motion_source import MotionEstimator
from recon3d_ros.geometry import Frame
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.offline.bag_poses import poses_in_bag
from recon3d_ros.offline.given_poses import POSES_INSIDE, given_poses


def add_depth_from(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the source of depth."""
    add_options(parser, DepthFromConfig)
    parser.add_argument(
        "--poses",
        type=user_path,
        metavar="FILE",
        help="for motion: TUM, KITTI, EuRoC CSV, transforms.json, COLMAP's images.txt or images.bin, or a "
        f"folder of matrices (default: {', '.join(POSES_INSIDE)} or NAME.pose.txt beside the images; of a "
        "bag its tf or odometry)",
    )
    add_fixed_frame(parser)
    parser.add_argument(
        "--poses-of",
        choices=("camera", "body"),
        help="whose poses they are; of the body needs a EuRoC recording, which has T_BS (default: body for "
        "a CSV and for body_poses.txt, else camera)",
    )
    add_options(parser, MotionConfig)


def add_fixed_frame(parser: argparse.ArgumentParser) -> None:
    """Declare the frame in which a bag's own poses are wanted."""
    parser.add_argument(
        "--fixed-frame",
        default="",
        metavar="FRAME",
        help="of a bag without --poses: frame in which its tf tells the poses of the camera; one that jumps, "
        "such as map, tears depth and model (default: odom, else the topmost above the camera)",
    )


def from_motion(args: argparse.Namespace) -> bool:
    """Whether depth is that of motion.

    Raises:
        ConfigError: Poses without it, or it with many bags or with sources of scale.
    """
    if args.depth_from == "motion":
        if getattr(args, "bags", None) is not None:
            raise ConfigError("expected one bag with --depth-from motion, got --bags: process one by one")
        if getattr(args, "scale_sources", ()):
            raise ConfigError(
                "expected no --scale-sources with --depth-from motion, whose scale is that of the poses"
            )
        return True
    if args.poses is not None or args.poses_of is not None or args.fixed_frame:
        raise ConfigError(
            "expected --depth-from motion with --poses and --fixed-frame, got a model's depth: "
            "give both or none"
        )
    return False


def poses_of_bag(args: argparse.Namespace, bag: Bag, topic: str) -> Trajectory:
    """The poses of the camera whose images are on a topic: of --poses, else the bag's own.

    Raises:
        ConfigError: There are none.
        DataError: The file is no file of poses, or the bag has no such frame.
    """
    if args.poses is not None or args.poses_of is not None:
        return required_poses(args, DatasetSpec(str(bag.path)))
    poses = poses_in_bag(bag, topic, args.fixed_frame)
    if poses is None:
        raise ConfigError(
            f"expected poses for depth from motion, tf and odometry of {bag.path} tell of no motion of the "
            f"camera of {topic}: give --poses"
        )
    return poses


def required_poses(args: argparse.Namespace, spec: DatasetSpec) -> Trajectory:
    """The poses of the images of a data set.

    Raises:
        ConfigError: There are none.
        DataError: The file is no file of poses.
    """
    file, of = str(args.poses or ""), args.poses_of or ""
    poses = given_poses(Path(spec.place), file, of, args.fixed_frame, spec.topics)
    if poses is None:
        raise ConfigError(f"expected poses beside {spec.place} for depth from motion, got none: give --poses")
    return poses


def poses_of_set(args: argparse.Namespace) -> Trajectory | None:
    """The poses of the set that is evaluated; None = depth is a model's.

    Raises:
        ConfigError: Several sets, or none have poses.
    """
    if not from_motion(args):
        return None
    if args.out is not None or "," in args.data:
        raise ConfigError("expected one set with --depth-from motion, got more, or --out: give one")
    return required_poses(args, parse_spec(args.data))


def open_motion(args: argparse.Namespace, model: ModelConfig) -> MotionEstimator:
    """Open the models; see `MotionEstimator.open`."""
    return MotionEstimator.open(model, read_options(args, MotionConfig))


def single_posed(frames: Sequence[Frame], poses: Trajectory, first: int) -> LazySequence[Frame]:
    """The (left) images with their poses; the first frame is number `first` of its recording."""
    return LazySequence(range(len(frames)), lambda i: poses.posed(frames[i].single, first + i))


def tell_blind(estimator: Estimator | MotionEstimator) -> None:
    """Print which frames have no depth from motion."""
    if isinstance(estimator, MotionEstimator) and estimator.summary:
        print(estimator.summary)
