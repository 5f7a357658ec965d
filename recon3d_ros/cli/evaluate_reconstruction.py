"""`recon3d evaluate --reconstruction` and `--trajectory`: a mesh or poses against the truth."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

import numpy as np

from recon3d_ros.cli.flags import numbers_from, refuse, user_path
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.errors import ConfigError
from recon3d_ros.files import write_json
from recon3d_ros.files.text_table import aligned
from recon3d_ros.mapping.accuracy import sample_surface, score_surface, score_trajectory
from recon3d_ros.mapping.mesh_files import read_mesh
from recon3d_ros.mapping.trajectory_files import read_trajectory

_SPACINGS = 4.0  # points along the smallest threshold


def add_reconstruction_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    group = parser.add_argument_group("reconstructions and trajectories (instead of --data)")
    group.add_argument(
        "--reconstruction",
        type=user_path,
        metavar="FILE",
        help="mesh or cloud to score, in the frame of --truth",
    )
    group.add_argument(
        "--trajectory",
        type=user_path,
        metavar="FILE",
        help="poses to score: absolute (ATE) and relative (RPE) trajectory error",
    )
    group.add_argument(
        "--truth", type=user_path, metavar="FILE", help="mesh or cloud, or poses, of the truth"
    )
    group.add_argument(
        "--thresholds-m",
        type=numbers_from(1e-4),
        default=(0.02, 0.05, 0.1),
        metavar="M,M",
        help="distances at which a reconstruction agrees (default 0.02,0.05,0.1)",
    )
    group.add_argument(
        "--no-align", action="store_true", help="do not move the trajectory onto the truth before scoring it"
    )


def evaluate_reconstruction(args: argparse.Namespace) -> int:
    """Score what the flags name, print a table and write the JSON.

    Raises:
        ConfigError: Without truth, or together with data sets.
        DataError: A file cannot be read.
        MissingDependencyError: SciPy or trimesh is not installed.
    """
    refuse(args, ("html", "pictures", "by", "out"), "--reconstruction and --trajectory")
    if args.truth is None or args.data is not None:
        raise ConfigError(
            "expected --truth, and no --data, with --reconstruction or --trajectory, got another "
            "combination: correct it"
        )
    document: dict[str, Any] = {}
    if args.reconstruction is not None:
        spacing = min(args.thresholds_m) / _SPACINGS
        result, truth = (
            sample_surface(read_mesh(path), spacing) for path in (args.reconstruction, args.truth)
        )
        scores = score_surface(result, truth, args.thresholds_m)
        rows = [["threshold_m", "precision", "recall", "f_score"]]
        rows += [[f"{value:.4g}" for value in asdict(score).values()] for score in scores]
        print("\n".join(aligned(rows, left=0)))
        document["surface"] = [asdict(score) for score in scores]
    if args.trajectory is not None:
        found = score_trajectory(
            read_trajectory(args.trajectory), read_trajectory(args.truth), aligned=not args.no_align
        )
        print(
            "\n".join(aligned([[name, f"{np.round(value, 4):g}"] for name, value in asdict(found).items()]))
        )
        document["trajectory"] = asdict(found)
    if args.json is not None:
        write_json(args.json, document)
    tell_written(args.json)
    return 0
