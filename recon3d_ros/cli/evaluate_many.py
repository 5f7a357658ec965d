"""`recon3d evaluate --out`: many methods and sets, side by side or on a cluster."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

from recon3d_ros.cli.flags import read_options, refuse
from recon3d_ros.cli.fleet import require_success, run_many, threads_of
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError, DataError
from recon3d_ros.evaluation import SetScores
from recon3d_ros.evaluation.records import from_record
from recon3d_ros.fleet import Outcome
from recon3d_ros.fleet.evaluations import FORMATS, EvaluateJob, plan_evaluations


class ManyScores(NamedTuple):
    """What was scored, and how all tasks went."""

    scores: list[SetScores]
    outcomes: Sequence[Outcome]


def evaluate_many(args: argparse.Namespace) -> ManyScores:
    """Score every method on every set; print a table of the tasks, write summary.json beside the results.

    Raises:
        ConfigError: Flags contradict each other.
        Recon3dError: All tasks failed.
    """
    refuse(args, ("pictures", "html"), "--out, which has --formats")
    formats = tuple(dict.fromkeys(("json", *args.formats.split(","))))
    if not set(formats) <= set(FORMATS):
        raise ConfigError(f"expected --formats of {', '.join(FORMATS)}, got {args.formats!r}: correct it")
    model = threads_of(read_options(args, ModelConfig, model="auto", precision="auto"), args)
    job = EvaluateJob(
        args.out, model, str(args.root or ""), args.limit, args.by, formats, args.picture_frames
    )
    told: list[str] = []
    tasks = plan_evaluations(
        [name for name in args.data.split(",") if name],
        job,
        (args.model, args.baseline, args.precision),
        (args.zoom, args.degrade, args.denoise),
        told.append,
    )
    for words in dict.fromkeys(told):
        print(f"recon3d: {words}", file=sys.stderr)
    outcomes = run_many(tasks, job.out, args)
    if all(outcome.error for outcome in outcomes):
        require_success(outcomes)
    _require_one_content(outcomes)
    found = [from_record(one.result) for one in outcomes if one.result is not None]
    names = list(dict.fromkeys(task.source for task in tasks))
    # As without tasks: the rows of a set together. Its name has what was done to its images behind it.
    found.sort(key=lambda one: next(i for i, name in enumerate(names) if one.score.data.startswith(name)))
    return ManyScores(found, outcomes)


def _require_one_content(outcomes: Sequence[Outcome]) -> None:
    """Refuse to compare methods on sets that have one name and another content on every machine."""
    content: dict[str, Outcome] = {}
    for outcome in outcomes:
        if outcome.error:
            continue
        first = content.setdefault(outcome.source, outcome)
        if first.content != outcome.content:
            raise DataError(
                f"expected the same {outcome.source} on every machine, that of {first.worker} differs from "
                f"that of {outcome.worker}: copy one of them"
            )
