"""`recon3d export`: a checkpoint as an ONNX model with manifest and golden output."""

from __future__ import annotations

import argparse
from pathlib import Path

from recon3d_ros.cli.flags import user_path
from recon3d_ros.model_zoo.registry import find_weights
from recon3d_ros.system import lazy

HELP = "Write a checkpoint of 'recon3d train' as an ONNX model with its manifest, and compare it with torch."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "checkpoint",
        nargs="+",
        help="checkpoint.pt of a training run, or one of our models; for several the mean of their "
        "weights is exported",
    )
    parser.add_argument(
        "--out",
        type=user_path,
        default=Path("models"),
        metavar="DIR",
        help="output folder (default %(default)s)",
    )
    parser.add_argument("--name", help="name of the model and its files (default recon3d_<network>)")
    parser.add_argument("--force", action="store_true", help="replace an existing model of this name")
    parser.add_argument(
        "--calibration-pairs",
        type=int,
        default=32,
        metavar="N",
        help="number of scenes for the calibration of confidence and sigma, 0 = no calibration (default "
        "%(default)s)",
    )
    parser.add_argument(
        "--accuracy",
        type=user_path,
        metavar="FILE",
        help="JSON of 'recon3d evaluate' for this model, to be included in the manifest",
    )


def main(args: argparse.Namespace) -> int:
    """Export, and say how far ONNX Runtime and torch are apart."""
    lazy.require("torch", extra="train")
    export = lazy.load("recon3d_ros.training.export.export:export")
    first, *others = map(find_weights, args.checkpoint)
    done = export(
        first,
        args.out,
        name=args.name,
        force=args.force,
        accuracy_file=args.accuracy,
        calibration_pairs=args.calibration_pairs,
        others=others,
    )
    unit = done.manifest.output.unit
    print(
        f"{done.manifest.path}: ONNX Runtime and torch differ by at most {done.largest:.2g} {unit}, by more "
        f"than 0.01 {unit} on {100 * done.share_apart:.3g} % of the pixels"
    )
    return 0
