"""`recon3d reconstruct`: images in, one coloured mesh out."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from recon3d_ros.cli.flags import add_options, read_options, user_path
from recon3d_ros.cli.reconstruct_depth import OF_CLOUDS, depth_of_posed, depth_source
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.datasets import layout_of, open_dataset
from recon3d_ros.datasets.folders import image_files
from recon3d_ros.datasets.spec import parse_spec
from recon3d_ros.datasets.stereo.euroc import euroc_raw, is_euroc
from recon3d_ros.errors import ConfigError, DataError, PartialResultError
from recon3d_ros.files import read_camera
from recon3d_ros.files.camera_document import read_document
from recon3d_ros.geometry import Sample
from recon3d_ros.mapping.fusion import ENGINES, Fusion
from recon3d_ros.mapping.mesh_files import MESH_SUFFIXES, require_formats
from recon3d_ros.mapping.occupancy import OccupancyGrid
from recon3d_ros.mapping.surface import Mesh, require_mesher
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.mapping.trajectory_files import read_trajectory
from recon3d_ros.offline.camera_path import CameraPath, estimate_path
from recon3d_ros.offline.reconstruction import Reconstruction, write_reconstruction

_log = logging.getLogger(__name__)
HELP = (
    "Fuse images into one coloured mesh in metres. Depth is that of the recording where it has some (RGB-D), "
    "otherwise that of a model. Without poses, the motion of the camera is estimated from images and depth "
    "first; the images must then be a sequence."
)
_IMPRECISE = 0.3  # of the pixels: below that a model only loses its far parts
# Poses that lie beside the images of a folder.
POSES_INSIDE = ("groundtruth.txt", "poses.txt", "transforms.json", "body_poses.txt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "input", metavar="INPUT", help="what recon3d evaluate accepts as --data, or FOLDER[0:100]"
    )
    parser.add_argument("--out", type=user_path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--poses",
        type=user_path,
        metavar="FILE",
        help="TUM, KITTI, EuRoC CSV, transforms.json, COLMAP's images.txt or images.bin, or a folder of "
        f"matrices (default: {', '.join(POSES_INSIDE)} or NAME.pose.txt beside the images; else they are "
        "estimated)",
    )
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
    add_options(parser, MappingConfig)
    add_options(parser, GridConfig)
    add_options(parser, MotionConfig)
    add_options(parser, OdometryConfig)
    add_options(parser, ModelConfig)
    add_options(parser, PipelineConfig, skip=OF_CLOUDS)


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--depth",
        choices=("auto", "recorded", "model", "motion"),
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
        "--engine", choices=("auto", *ENGINES), default="auto", help="of the fusion (default auto)"
    )


def main(args: argparse.Namespace) -> int:
    """Fuse every frame that has a pose; write the results and say in a few lines what came out."""
    formats = _formats(args)
    spec = parse_spec(args.input)
    camera = None
    if args.camera:  # KITTI's calib.txt does not say how large the images are
        layout = layout_of(Path(spec.place))
        plain = layout is not None and layout.name == "images"
        camera = read_camera(*args.camera, image=image_files(Path(spec.place))[0][0] if plain else None)
    samples = open_dataset(args.input, camera=camera)
    given = _poses(args, Path(spec.place))
    path = CameraPath(given, {}, "") if given is not None else _estimated_path(args, samples, spec.first)
    fusion = Fusion(read_options(args, MappingConfig), args.engine)
    first = samples[0]
    with ExitStack() as stack:
        depth_of = depth_of_posed(args, first, stack)
        done = Reconstruction(path.trajectory, depth_of, fusion, spec.first, path.unposed)
        for i in tqdm(range(len(samples)), unit="frame", disable=None, leave=False):
            done.add(samples, i)
    _warn_of_imprecise_depth(fusion)
    mesh = _cropped(done.mesh(), args.crop)
    grid, no_grid = _grid(args, done)
    summary = write_reconstruction(args.out, done, mesh, formats, args.print, grid)
    _say(args.out, summary, grid)
    if dropped := fusion.stats.dropped_blocks:
        print(
            f"{dropped} blocks did not fit into --max-mb {fusion.config.max_mb:g} and are missing: raise it"
        )
    if no_grid is not None:
        raise PartialResultError(f"the rest is written, but no map: {no_grid}")
    if done.skipped:
        name, why = next(iter(done.skipped.items()))
        raise PartialResultError(
            f"{len(done.skipped)} of {len(samples)} frames were not used, first {name}: {why}"
        )
    return 0


def _warn_of_imprecise_depth(fusion: Fusion) -> None:
    if (share := fusion.stats.imprecise) >= _IMPRECISE:
        _log.warning(
            "expected depth about as precise as the voxels of %g m, %.0f %% of it is so uncertain that it "
            "changed nothing: raise --voxel-m, or give --depth motion for one moving camera with poses",
            fusion.config.voxel_m,
            100 * share,
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


def _formats(args: argparse.Namespace) -> list[str]:
    """The endings of further mesh files; what meshes and they need is asked for before the first frame."""
    formats = [f".{word}" for word in args.formats.split(",") if word]
    if not set(formats) <= set(MESH_SUFFIXES):
        raise ConfigError(f"expected --formats of obj, glb and stl, got {args.formats!r}: correct it")
    require_mesher()
    if formats or args.print:
        require_formats()
    return formats


def _grid(args: argparse.Namespace, done: Reconstruction) -> tuple[OccupancyGrid | None, DataError | None]:
    """The map, or why there is none: the model is not lost for that."""
    try:
        return (done.grid(read_options(args, GridConfig)) if args.grid else None), None
    except DataError as exc:
        return None, exc


def _cropped(mesh: Mesh, box: tuple[float, ...] | None) -> Mesh:
    if box is None:
        return mesh
    part = mesh.cropped(box[:3], box[3:])
    if not len(part.faces):
        raise DataError(
            f"expected a part of the model within --crop {','.join(map(str, box))}, got none: leave it out "
            "and see the size in report.html"
        )
    return part


def _estimated_path(args: argparse.Namespace, samples: Sequence[Sample], first: int) -> CameraPath:
    """The camera's motion, from a first pass over all frames."""
    config = read_options(args, OdometryConfig)
    with ExitStack() as stack:
        depth_of = depth_source(args, samples[0], stack)
        numbers = tqdm(range(len(samples)), desc="odometry", unit="frame", disable=None, leave=False)
        path = estimate_path(samples, depth_of, config, first, numbers)
    print(path.summary)
    return path


def _poses(args: argparse.Namespace, place: Path) -> Trajectory | None:
    """The poses that are given or lie beside the images; None = there are none."""
    path: Path | None = args.poses
    if args.odometry:
        if path is not None or args.poses_of:
            raise ConfigError("expected --odometry or --poses, got both: give one of them")
        return None
    if path is None:
        inside = [place / name for name in POSES_INSIDE if (place / name).is_file()]
        if not inside and place.is_dir() and any(place.glob("*.pose.txt")):
            inside = [place]
        if not inside:
            return None
        path = inside[0]
    trajectory = read_trajectory(path)
    of_body = args.poses_of == "body" or (
        args.poses_of is None and (path.suffix == ".csv" or path.name == "body_poses.txt")
    )
    if is_euroc(place):
        rig, _ = euroc_raw(place)
        turned = np.eye(4)
        turned[:3, :3] = rig.left.r.T  # from the rectified to the raw camera
        return trajectory.of_sensor((_body_from_camera(place) if of_body else np.eye(4)) @ turned)
    if of_body:
        raise ConfigError(
            "expected poses of the camera, got those of a body without a EuRoC recording that has T_BS: "
            "convert them, or give --poses-of camera"
        )
    return trajectory


def _body_from_camera(place: Path) -> np.ndarray:
    files = (place / "cam0.yaml", place / "cam0" / "sensor.yaml", place / "mav0" / "cam0" / "sensor.yaml")
    document = read_document(next(file for file in files if file.is_file()))
    return np.array(document["T_BS"]["data"], np.float64).reshape(4, 4)


def _box(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 6 or not all(low < high for low, high in zip(numbers[:3], numbers[3:])):
        raise argparse.ArgumentTypeError(f"expected six numbers, lower and upper corner, got {text!r}")
    return numbers
