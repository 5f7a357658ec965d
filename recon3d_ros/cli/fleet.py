"""What the verbs share that take many inputs, side by side or on a cluster."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from tqdm import tqdm

from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError, PartialResultError, Recon3dError
from recon3d_ros.files.text_table import aligned
from recon3d_ros.fleet import Outcome, Resources, Task, run_tasks
from recon3d_ros.fleet.storage import write_document

# Flag, type, placeholder, default and help; a default tells whether it was given.
_RESOURCES: tuple[tuple[str, type, str, Any, str], ...] = (
    (
        "cluster",
        str,
        "ADDRESS",
        "local",
        "local = processes on this computer, auto = the Ray cluster that runs here, or ray://HOST:PORT "
        "(default %(default)s)",
    ),
    ("workers", int, "N", 0, "tasks at once (default: as many as there are CPUs for)"),
    ("cpus", float, "X", 1.0, "CPUs per task (default 1)"),
    ("gpus", float, "X", 0.0, "GPUs per task (default 0)"),
)


def add_fleet_arguments(parser: argparse.ArgumentParser, flag: str, what: str) -> Any:
    """Declare the flags for many inputs.

    Args:
        parser: Of the verb.
        flag: That names the inputs, or the folder of the results.
        what: Its help.

    Returns:
        The group, for flags of the verb.
    """
    many = parser.add_argument_group("many inputs (needs the extra ray)")
    placeholder = "DIR" if flag == "out" else "PATTERN"
    many.add_argument(f"--{flag}", metavar=placeholder, help=what)
    many.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="leave out what is complete and was made from the same content, options, model and version "
        "(default: yes)",
    )
    for name, kind, placeholder, default, text in _RESOURCES:
        many.add_argument(f"--{name}", type=kind, default=default, metavar=placeholder, help=text)
    return many


def refuse_fleet_flags(args: argparse.Namespace, flag: str) -> None:
    """Refuse the flags for many inputs where there is one.

    Raises:
        ConfigError: One of them is given.
    """
    given = [name for name, _, _, default, _ in _RESOURCES if getattr(args, name) != default]
    if not args.resume:
        given.append("no-resume")
    if given:
        raise ConfigError(f"expected --{flag} with --{given[0]}, got it alone: it is for many inputs")


def threads_of(model: ModelConfig, args: argparse.Namespace) -> ModelConfig:
    """A model's options with as many threads as a task has CPUs, unless a number is given.

    Raises:
        ConfigError: The flags of resources have impossible values.
    """
    if args.workers < 0 or args.cpus <= 0 or args.gpus < 0:
        raise ConfigError("expected --workers and --gpus from 0 and --cpus above 0, got others: correct them")
    if model.threads:
        return model
    return replace(model, threads=max(1, round(args.cpus)))  # all cores for each would make all of them slow


def run_many(tasks: Sequence[Task], out: str, args: argparse.Namespace) -> list[Outcome]:
    """Do the tasks with a progress bar; print a table and write summary.json beside the results.

    Args:
        tasks: What to do.
        out: Folder or URL.
        args: With the flags of `add_fleet_arguments`.

    Returns:
        The outcomes in the order of the tasks; see `require_success`.
    """
    faulty = {task.name: Outcome(task.name, task.source, error=task.fault) for task in tasks if task.fault}
    outcomes = {**faulty, **{one.name: one for one in _run([t for t in tasks if not t.fault], args)}}
    ordered = [outcomes[task.name] for task in tasks]
    print(to_text(ordered))
    rows = [asdict(replace(outcome, result=None)) | {"error": outcome.error} for outcome in ordered]
    summary = f"{out.rstrip('/')}/summary.json"
    write_document(summary, {"tasks": rows})
    tell_written(summary)
    return ordered


def require_success(outcomes: Sequence[Outcome]) -> None:
    """Say what failed or was lost.

    Raises:
        Recon3dError: Everything failed.
        PartialResultError: Something did.
    """
    wrong = [outcome for outcome in outcomes if outcome.complaint]
    for outcome in wrong:
        print(f"recon3d: {outcome.name}: {outcome.complaint}", file=sys.stderr)
    if all(outcome.error for outcome in outcomes):
        raise Recon3dError(f"expected results, all {len(wrong)} failed, first: {wrong[0].error}")
    if failed := [outcome for outcome in wrong if outcome.error]:
        raise PartialResultError(f"{len(failed)} of {len(outcomes)} failed, first: {failed[0].name}")
    if wrong:
        raise PartialResultError(f"{len(wrong)} of {len(outcomes)} are incomplete, first: {wrong[0].name}")


def to_text(outcomes: Sequence[Outcome]) -> str:
    """A table of what became of every task."""
    rows = [["task", "frames", "written", "dropped", "unmatched", "valid %", "s", "frames/s", "worker"]]
    for outcome in outcomes:
        state = "failed" if outcome.error else "done before" if outcome.skipped else outcome.worker
        rate = outcome.frames / outcome.seconds if outcome.seconds > 0 else math.nan
        counts = (outcome.frames, outcome.written, outcome.lost, outcome.unmatched)
        shares = ["-" if math.isnan(value) else f"{value:.1f}" for value in (100 * outcome.valid_share, rate)]
        seconds = f"{outcome.seconds:.1f}"
        rows.append([outcome.name, *map(str, counts), shares[0], seconds, shares[1], state])
    return "\n".join(aligned(rows))


def _run(tasks: Sequence[Task], args: argparse.Namespace) -> list[Outcome]:
    if not tasks:
        return []
    resources = Resources(args.cpus, args.gpus, args.workers)
    outcomes = []
    with tqdm(total=len(tasks), unit="task", disable=None) as bar:
        for outcome in run_tasks(tasks, args.cluster, resources, args.resume):
            outcomes.append(outcome)
            bar.update()
    return outcomes
