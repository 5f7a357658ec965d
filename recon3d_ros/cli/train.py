"""`recon3d train`: train a network on the procedural world or on data sets, alone or under torchrun."""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recon3d_ros.cli.flags import add_options, read_options, user_path
from recon3d_ros.cli.progress_bar import show_share
from recon3d_ros.cli.terminal import TerminalHandler
from recon3d_ros.config import options
from recon3d_ros.errors import ConfigError
from recon3d_ros.model_zoo.registry import find_weights
from recon3d_ros.networks import NETWORKS, task_of
from recon3d_ros.system import lazy
from recon3d_ros.system.logs import logs_sent_to
from recon3d_ros.training.config import HERE, SIZES_TEXT, TrainConfig

HELP = (
    "Train a stereo network on images of the procedural world, rendered during the training, or a mono "
    "network also on other images with depth. Stop at any time and continue with --resume."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    add_options(parser, TrainConfig, skip=("width", "height", "network", "init"))
    # A flag that is not given is None: --resume takes it from the checkpoint.
    parser.set_defaults(**{spec.name: None for spec in options(TrainConfig)})
    default = TrainConfig()
    parser.add_argument(
        "--network",
        metavar="NAME",
        help=f"network to train: {', '.join(NETWORKS)} (default: that of --from or of the resumed run, "
        f"otherwise {default.network})",
    )
    parser.add_argument(
        "--from",
        dest="init",
        metavar="MODEL",
        help="initial weights, used where name and shape match: one of our models, or a checkpoint (.pt)",
    )
    parser.add_argument(
        "--size",
        nargs=2,
        type=int,
        metavar=("W", "H"),
        help="size of the crops, multiples of 32; for mono also the input size of the model "
        f"(default {SIZES_TEXT} px)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --out, with its options unless given again",
    )
    parser.add_argument(
        "--export",
        type=user_path,
        metavar="DIR",
        help="export the model to this folder at the end, as 'recon3d export' does",
    )
    parser.add_argument("--name", help="name of the exported model (default recon3d_<network>)")
    parser.add_argument(
        "--force", action="store_true", help="let --export replace an existing model of this name"
    )


def main(args: argparse.Namespace) -> int:
    """Train, with a line of progress every twenty seconds, and a bar where a person looks on."""
    lazy.require("torch", extra="train")
    config = _config(args)
    if args.export:
        name_model = lazy.load("recon3d_ros.training.export.export:name_model")
        name_model(args.export, args.name, config.network, force=args.force)  # refused now, not after hours
    train = lazy.load("recon3d_ros.training.run.loop:train")
    is_main = lazy.load("recon3d_ros.training.run.distributed:find_process_group")().is_main
    stop = _Stop()
    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    lines = TerminalHandler()
    lines.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    try:
        with show_share(is_main) as progress, logs_sent_to(lines):
            checkpoint = train(config, resume=args.resume, progress=progress, stop=lambda: stop.asked)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if stop.asked:
        raise KeyboardInterrupt  # all is saved; the exit code says so
    if is_main:
        print(f"checkpoint: {checkpoint}")
        if args.export:
            export = lazy.load("recon3d_ros.training.export.export:export")
            done = export(checkpoint, args.export, name=args.name, force=args.force)
            print(f"model: {done.manifest.path}")
    return 0


def _config(args: argparse.Namespace) -> TrainConfig:
    """The options; what no flag says is as in the run to resume, or fits the model to start from."""
    init = str(find_weights(args.init)) if args.init else ""
    start = Path(args.out or TrainConfig().out) / "checkpoint.pt" if args.resume else Path(init)
    load_checkpoint = lazy.load("recon3d_ros.training.run.checkpoint:load_checkpoint")
    saved = load_checkpoint(start, resume=args.resume) if args.resume or init else None
    network = args.network or (saved["network"] if saved else TrainConfig().network)
    former = _kept(saved["run"], args.resume) if saved and network == saved["network"] else {}
    if args.resume and init and init != former.get("init", init):
        raise ConfigError(
            f"expected the initial weights of the run in {start.parent}, got --from {args.init}: omit "
            "--from, or start a new run with another --out"
        )
    given: dict[str, Any] = {"network": network} | ({"init": init} if init else {})
    if args.size:
        given |= zip(("width", "height"), args.size)
    return read_options(args, TrainConfig, former, **given)


def _kept(run: Mapping[str, Any], resume: bool) -> dict[str, Any]:
    """The options of a run that another one keeps: all when it goes on, else the size of a mono network."""
    if not resume:
        return {name: run[name] for name in ("width", "height") if task_of(run["network"]) == "mono"}
    return {spec.name: run[spec.name] for spec in options(TrainConfig) if spec.name in run.keys() - HERE}


class _Stop:
    """What Ctrl-C does, and SIGTERM of torchrun, batch systems, shutdown: the first ends after the step."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, *_: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
