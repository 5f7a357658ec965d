"""The part of `recon3d process` that takes many bags, side by side or on a cluster."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from tqdm import tqdm

from recon3d_ros.cli.flags import read_options
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig, ScaleConfig
from recon3d_ros.errors import ConfigError, PartialResultError, Recon3dError
from recon3d_ros.files.text_table import aligned
from recon3d_ros.fleet import Job, Outcome, Task, find_recordings, plan, run_tasks
from recon3d_ros.fleet.engine import Resources
from recon3d_ros.fleet.storage import write_document
from recon3d_ros.fleet.tasks import FORMATS
from recon3d_ros.fleet.work import finished


def add_fleet_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags for many bags."""
    many = parser.add_argument_group("many bags (needs the extra ray)")
    many.add_argument(
        "--bags",
        metavar="PATTERN",
        help="path or URL with *, ? and **, in quotes, such as '/data/**/*.mcap' or 's3://fleet/*'",
    )
    many.add_argument("--out", metavar="DIR", help="folder or URL; every bag gets a folder in it")
    many.add_argument(
        "--formats",
        default="bag",
        metavar="NAME,NAME",
        help=f"what to write for each bag: {', '.join(FORMATS)} (default %(default)s)",
    )
    many.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="leave out bags whose results are complete and were made from the same content, options, model "
        "and version (default: yes)",
    )
    _add_resources(many)


def _add_resources(many: Any) -> None:
    many.add_argument(
        "--cluster",
        default="local",
        metavar="ADDRESS",
        help="local = processes on this computer, auto = the Ray cluster that runs here, or ray://HOST:PORT "
        "(default %(default)s)",
    )
    many.add_argument("--workers", type=int, default=0, metavar="N", help="bags at once (default: all CPUs)")
    many.add_argument("--cpus", type=float, default=1.0, metavar="X", help="CPUs per bag (default 1)")
    many.add_argument("--gpus", type=float, default=0.0, metavar="X", help="GPUs per bag (default 0)")
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
    tasks = list(plan(find_recordings(args.bags), job))
    done = [outcome for task in tasks if args.resume and (outcome := finished(task)) is not None]
    names = {outcome.name for outcome in done}
    waiting = [task for task in tasks if task.name not in names]
    outcomes = [*done, *_run(waiting, args)] if waiting else done
    outcomes.sort(key=lambda outcome: outcome.name)
    print(to_text(outcomes))
    document = {"recordings": [asdict(outcome) for outcome in outcomes]}
    write_document(f"{job.out.rstrip('/')}/summary.json", document)
    tell_written(f"{job.out.rstrip('/')}/summary.json")
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        print(f"recon3d: {outcome.name}: {outcome.error}", file=sys.stderr)
    if len(failed) == len(outcomes):
        raise Recon3dError(f"expected results, all {len(failed)} failed, first: {failed[0].error}")
    if failed:
        raise PartialResultError(f"{len(failed)} of {len(outcomes)} failed, first: {failed[0].name}")
    return 0


def to_text(outcomes: Sequence[Outcome]) -> str:
    """A table of what became of every recording."""
    rows = [["recording", "frames", "written", "dropped", "valid %", "s", "frames/s", "worker"]]
    for outcome in outcomes:
        state = "failed" if outcome.error else "done before" if outcome.skipped else outcome.worker
        rate = outcome.frames / outcome.seconds if outcome.seconds > 0 else math.nan
        numbers = [str(outcome.frames), str(outcome.written), str(outcome.dropped.total())]
        shares = ["-" if math.isnan(value) else f"{value:.1f}" for value in (100 * outcome.valid_share, rate)]
        rows.append([outcome.name, *numbers, shares[0], f"{outcome.seconds:.1f}", shares[1], state])
    return "\n".join(aligned(rows))


def _job(args: argparse.Namespace) -> Job:
    others = (args.bag, args.out_bag, args.out_ply, args.out_json, args.out_html)
    if args.out is None or others != (None,) * len(others):
        raise ConfigError(
            "expected --out with --bags, and none of BAG and --out-...: give --out and --formats"
        )
    formats = tuple(dict.fromkeys(args.formats.split(",")))
    if not set(formats) <= set(FORMATS):
        raise ConfigError(f"expected --formats of {', '.join(FORMATS)}, got {args.formats!r}: correct it")
    if args.workers < 0 or args.piece_s < 0 or args.warm_up_s < 0 or args.cpus <= 0 or args.gpus < 0:
        raise ConfigError("expected --workers, --piece-s, --warm-up-s and --gpus from 0 and --cpus above 0")
    model, scale = read_options(args, ModelConfig), read_options(args, ScaleConfig)
    scale.require_offline()
    if model.threads == 0:  # all cores for each of them would make all of them slow
        model = replace(model, threads=max(1, round(args.cpus)))
    process, limits = read_options(args, ProcessConfig), read_options(args, PipelineConfig)
    return Job(args.out, process, model, limits, scale, formats, args.piece_s, args.warm_up_s)


def _run(tasks: Sequence[Task], args: argparse.Namespace) -> list[Outcome]:
    resources = Resources(args.cpus, args.gpus, args.workers)
    outcomes = []
    with tqdm(total=len(tasks), unit="bag", disable=None) as bar:
        for outcome in run_tasks(tasks, args.cluster, resources):
            outcomes.append(outcome)
            bar.update()
    return outcomes
