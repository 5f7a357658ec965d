"""`recon3d reconstruct`: images in, one coloured mesh out."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recon3d_ros.cli.depth_from import add_fixed_frame
from recon3d_ros.cli.flags import add_options, read_options, refuse, user_path
from recon3d_ros.cli.fleet import add_fleet_arguments, refuse_fleet_flags
from recon3d_ros.cli.reconstruct_many import reconstruct_many
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.errors import ConfigError, PartialResultError
from recon3d_ros.estimation.kept_estimator import KeptEstimator
from recon3d_ros.mapping.fusion import ENGINES
from recon3d_ros.mapping.mesh_files import MESH_SUFFIXES
from recon3d_ros.mapping.occupancy import OccupancyGrid
from recon3d_ros.offline.given_poses import POSES_INSIDE
from recon3d_ros.offline.reconstruct_options import DEPTHS, OF_CLOUDS, ReconstructOptions, as_far_as_the_map
from recon3d_ros.offline.reconstruct_recording import reconstruct_recording

HELP = (
    "Fuse images into one coloured mesh in metres. Depth is that of the recording where it has some (RGB-D), "
    "otherwise that of a model. Without poses, the motion of the camera is estimated from images and depth "
    "first; the images must then be a sequence."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "input",
        nargs="?",
        metavar="INPUT",
        help="what recon3d evaluate accepts as --data, or FOLDER[0:100]",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--poses",
        metavar="FILE",
        help="TUM, KITTI, EuRoC CSV, transforms.json, COLMAP's images.txt or images.bin, or a folder of "
        f"matrices (default: {', '.join(POSES_INSIDE)} or NAME.pose.txt beside the images; of a bag its tf "
        "or odometry; else they are estimated)",
    )
    add_fixed_frame(parser)
    parser.add_argument(
        "--odometry",
        action="store_true",
        help="estimate the motion of the camera even where poses lie beside the images",
    )
    parser.add_argument(
        "--poses-of",
        choices=("camera", "body"),
        help="whose poses they are; of the body needs a EuRoC recording, which has T_BS (default: body for a "
        "CSV and for body_poses.txt, else camera)",
    )
    parser.add_argument(
        "--camera", type=user_path, nargs="+", metavar="FILE", help="calibration, if INPUT has none"
    )
    _add_results(parser)
    add_fleet_arguments(
        parser,
        "inputs",
        "path or URL of recordings with *, ? and **, in quotes, such as '/data/*' or 's3://fleet/*.mcap', in "
        "place of INPUT; --poses and --camera are then names inside each of them",
    )
    for config in (MappingConfig, GridConfig, MotionConfig, OdometryConfig, ModelConfig):
        add_options(parser, config)
    add_options(parser, PipelineConfig, skip=OF_CLOUDS)


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--depth",
        choices=DEPTHS,
        default="auto",
        help="auto: the recording's, where it has depth, else that of a model; motion: of one moving camera, "
        "by a stereo model from each image and an earlier one (default %(default)s)",
    )
    parser.add_argument(
        "--formats", default="", metavar="obj,glb,stl", help="mesh files beside mesh.ply (need trimesh)"
    )
    parser.add_argument("--print", action="store_true", help="also print.stl, a watertight shell in mm")
    parser.add_argument(
        "--grid",
        action="store_true",
        help="also map.yaml and map.pgm for Nav2's map_server: where the floor is free and what stands on it",
    )
    parser.add_argument(
        "--crop",
        type=_box,
        metavar="X,Y,Z,X,Y,Z",
        help="keep only this box of the world, lower and upper corner, m",
    )
    parser.add_argument(
        "--complete",
        type=_box,
        action="append",
        metavar="X,Y,Z,X,Y,Z",
        help="also completed.ply: what --completion-model makes of the object in this box of the world; it "
        "lies above what it stands on; marked as guessed, and in no other file. May be repeated",
    )
    parser.add_argument(
        "--completion-model", default="", metavar="MODEL", help="model of the task completion, for --complete"
    )
    parser.add_argument(
        "--engine", choices=("auto", *ENGINES), default="auto", help="of the fusion (default auto)"
    )


def main(args: argparse.Namespace) -> int:
    """Fuse every frame that has a pose; write the results and say in a few lines what came out."""
    options = _options(args)
    if args.inputs is not None:
        refuse(args, ("complete",), "many recordings, each of which has a world of its own")
        return reconstruct_many(args, options)
    refuse_fleet_flags(args, "inputs")
    if args.input is None:
        raise ConfigError("expected INPUT, got none: name a recording, or several with --inputs")
    out = user_path(args.out)
    with KeptEstimator() as opener:
        done = reconstruct_recording(args.input, out, options, opener, _bar)
    _say(out, done.summary, done.grid)
    if done.dropped_blocks:
        print(
            f"{done.dropped_blocks} blocks did not fit into --max-mb {options.mapping.max_mb:g} and are "
            "missing: raise it"
        )
    if options.complete and not done.no_objects:
        print(f"completed.ply: {len(options.complete)} by {options.completion_model}, guessed")
    for missing, why in (("map", done.no_grid), ("completed.ply", done.no_objects)):
        if why:
            raise PartialResultError(f"the rest is written, but no {missing}: {why}")
    if done.skipped:
        name, why = next(iter(done.skipped.items()))
        raise PartialResultError(
            f"{len(done.skipped)} of {done.frames} frames were not used, first {name}: {why}"
        )
    return 0


def _bar(count: int, what: str) -> Iterable[int]:
    return tqdm(range(count), desc=what or None, unit="frame", disable=None, leave=False)


def _options(args: argparse.Namespace) -> ReconstructOptions:
    formats = tuple(f".{word}" for word in args.formats.split(",") if word)
    if not set(formats) <= set(MESH_SUFFIXES):
        raise ConfigError(f"expected --formats of obj, glb and stl, got {args.formats!r}: correct it")
    defaults = PipelineConfig()
    limits = read_options(args, PipelineConfig, **{name: getattr(defaults, name) for name in OF_CLOUDS})
    return ReconstructOptions(
        mapping=read_options(args, MappingConfig),
        motion=read_options(args, MotionConfig),
        odometry=read_options(args, OdometryConfig),
        model=read_options(args, ModelConfig),
        limits=as_far_as_the_map(limits, args.map_max_depth_m),
        depth=args.depth,
        engine=args.engine,
        poses="" if args.poses is None else str(user_path(args.poses)),
        estimate_poses=args.odometry,
        poses_of=args.poses_of or "",
        fixed_frame=args.fixed_frame,
        camera=tuple(map(str, args.camera or ())),
        formats=formats,
        for_print=args.print,
        grid=read_options(args, GridConfig) if args.grid else None,
        crop=args.crop or (),
        complete=tuple(args.complete or ()),
        completion_model=args.completion_model,
    )


def _say(out: Path, summary: dict[str, Any], grid: OccupancyGrid | None) -> None:
    size = " x ".join(f"{metres:.2f}" for metres in summary["size_m"])
    print(
        f"{summary['frames_used']} frames along {summary['path_m']:.2f} m: {summary['faces']} faces, "
        f"{size} m, {summary['megabytes_of_voxels']:.1f} MB of voxels"
    )
    print(f"mesh.ply, cloud.ply, trajectory.txt, report.html and pictures in {out}")
    if blind := summary["without_parallax"]:
        count = len(blind) + summary["frames_used"] + summary["frames_skipped"]
        name, why = next(iter(blind.items()))
        print(f"{len(blind)} of {count} frames have no depth from motion, first {name}: {why}")
    if grid is not None:
        rows, columns = grid.cells.shape
        print(f"map.yaml and map.pgm, {columns} x {rows} cells of {grid.cell_m:g} m")


def _box(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 6 or not all(low < high for low, high in zip(numbers[:3], numbers[3:])):
        raise argparse.ArgumentTypeError(f"expected six numbers, lower and upper corner, got {text!r}")
    return numbers
