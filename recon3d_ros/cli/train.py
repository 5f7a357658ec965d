"""`recon3d train`: train a network on pairs of the procedural world."""

from __future__ import annotations

import argparse
import time

from recon3d_ros import lazy
from recon3d_ros.cli.flags import add_options, read_options
from recon3d_ros.training.config import TrainConfig

HELP = (
    "Train a network on pairs of the procedural world, rendered meanwhile; stop and --resume at any moment."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    add_options(parser, TrainConfig, skip=("width", "height"))
    default = TrainConfig()
    parser.add_argument(
        "--size",
        nargs=2,
        type=int,
        metavar=("W", "H"),
        default=(default.width, default.height),
        help=f"size of the crops, multiples of 32 (default {default.width} {default.height} px)",
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")


def main(args: argparse.Namespace) -> int:
    """Train, with a line of progress every twenty seconds."""
    width, height = args.size
    config = read_options(args, TrainConfig, width=width, height=height)
    lazy.require("torch", extra="train")
    train = lazy.load("recon3d_ros.training.loop:train")
    checkpoint = train(config, resume=args.resume, report=_print_line)
    print(f"checkpoint: {checkpoint}")
    return 0


def _print_line(line: str) -> None:
    # Flushed: the line is there to be watched, also through a pipe.
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
