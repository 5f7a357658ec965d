"""`recon3d process --bags`: many bags, side by side or on a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

from recon3d_ros.cli.flags import read_options
from recon3d_ros.cli.fleet import add_fleet_arguments, require_success, run_many, threads_of
from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig, ScaleConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.fleet import Outcome, find_recordings
from recon3d_ros.fleet.bags import FORMATS, BagJob, plan_bags


def add_many_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags for many bags."""
    many = add_fleet_arguments(
        parser,
        "bags",
        "path or URL of bags with *, ? and **, in quotes, such as '/data/**/*.mcap' or 's3://fleet/*'",
    )
    many.add_argument("--out", metavar="DIR", help="folder or URL; every bag gets a folder in it")
    many.add_argument(
        "--formats",
        default="bag",
        metavar="NAME,NAME",
        help=f"what to write for each bag: {', '.join(FORMATS)} (default %(default)s)",
    )
    many.add_argument(
        "--piece-s", type=float, default=0.0, metavar="S", help="cut long bags into pieces (default 0 = no)"
    )
    many.add_argument(
        "--warm-up-s",
        type=float,
        default=1.0,
        metavar="S",
        help="time before a piece that is processed but not written (default 1)",
    )


def process_many(args: argparse.Namespace) -> int:
    """Process all bags that match; print a table, write summary.json beside the results."""
    job = _job(args)
    tasks = list(plan_bags(find_recordings(args.bags), job))
    outcomes = run_many(tasks, job.out, args)
    require_success(list(_with_empty_bags(outcomes)))
    return 0


def _with_empty_bags(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    """A piece may lie in a pause; a bag none of whose pieces has a frame has failed."""
    written = {outcome.source: 0 for outcome in outcomes}
    for outcome in outcomes:
        written[outcome.source] += outcome.written
    for outcome in outcomes:
        if outcome.error or written[outcome.source]:
            yield outcome
        else:
            images = f"of its {outcome.images} images, {outcome.unmatched} have no partner"
            yield replace(outcome, error=f"expected a frame in the pieces of the bag, got none: {images}")


def _job(args: argparse.Namespace) -> BagJob:
    others = (args.bag, args.out_bag, args.out_ply, args.out_json, args.out_html)
    if args.out is None or others != (None,) * len(others):
        raise ConfigError(
            "expected --out with --bags, and none of BAG and --out-...: give --out and --formats"
        )
    formats = tuple(dict.fromkeys(args.formats.split(",")))
    if not set(formats) <= set(FORMATS):
        raise ConfigError(f"expected --formats of {', '.join(FORMATS)}, got {args.formats!r}: correct it")
    if args.piece_s < 0 or args.warm_up_s < 0:
        raise ConfigError("expected --piece-s and --warm-up-s from 0, got less: correct them")
    scale = read_options(args, ScaleConfig)
    scale.require_offline()
    model = threads_of(read_options(args, ModelConfig), args)
    process, limits = read_options(args, ProcessConfig), read_options(args, PipelineConfig)
    return BagJob(args.out, process, model, limits, scale, formats, args.piece_s, args.warm_up_s)
