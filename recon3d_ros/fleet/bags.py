"""Recorded bags, or pieces of them, through the pipeline: what `recon3d process --bags` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig, ScaleConfig
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.errors import DataError
from recon3d_ros.estimation.kept_estimator import KeptEstimator
from recon3d_ros.fleet.storage import fetched, fingerprint
from recon3d_ros.fleet.tasks import Outcome, Task, key_of, model_identity, names_of, opened, pinned
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.offline import BagSink, PageSink, PlySink, Processed, Sink, Window, process_bag
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.reports import write_page
from recon3d_ros.scale import ScaleRecovery

FORMATS = ("bag", "ply", "html")
#: When a piece was recorded: from then on, ns, and before then; None = no limit.
Part = tuple["int | None", "int | None"]
WHOLE: Part = (None, None)


@dataclass(frozen=True)
class BagJob:
    """What holds for all bags.

    Attributes:
        out: Folder or URL; every bag gets a folder of its name in it.
        process: Which topics, and how.
        model: The model.
        pipeline: Limits and filters.
        scale: What gives the scale of a mono model.
        formats: Of `FORMATS`: clouds and depth as a bag, clouds as PLY, a report page.
        piece_s: Bags are cut into pieces of this length; 0 = not at all.
        warm_up_s: A piece reads this much before its beginning, for filters with a memory and late partners.
        identity: Of the model; `plan_bags` fills it in.
    """

    out: str
    process: ProcessConfig
    model: ModelConfig
    pipeline: PipelineConfig
    scale: ScaleConfig
    formats: tuple[str, ...] = ("bag",)
    piece_s: float = 0.0
    warm_up_s: float = 1.0
    identity: str = ""

    def fingerprint(self, task: Task) -> str:
        """Of the files of the bag."""
        return fingerprint(task.source)

    def work(self, task: Task, draft: Path, outcome: Outcome, opener: KeptEstimator) -> None:
        """Process a bag, or the part of it that was recorded in [from_ns, until_ns) = `task.part`."""
        from_ns, until_ns = task.part
        window = Window(from_ns, until_ns, round(self.warm_up_s * 1e9))
        with fetched(task.source) as path, Bag(path) as bag:
            estimator = opened(self.model, self.identity, self.process.is_stereo, opener)
            pipeline = Pipeline(estimator, self.pipeline, ScaleRecovery.of(self.scale))
            shares, page = _ValidShare(), PageSink() if "html" in self.formats else None
            sinks: list[Sink] = [shares, *([] if page is None else [page]), *self._sinks(draft)]
            summary = process_bag(bag, pipeline, self.process, sinks, window=window)
            if page is not None:
                write_page(draft / "report.html", page.page(task.name, summary))
        outcome.images, outcome.unmatched = summary.images, summary.unmatched
        outcome.frames, outcome.written = summary.frames, summary.written
        outcome.dropped, outcome.reasons = dict(summary.dropped), summary.reasons
        if summary.written and summary.empty == summary.written:
            outcome.missing = (
                f"expected depth in the frames, got none in {summary.written}: check the calibration, which "
                "topic is left, and the limits (--min-depth-m, --max-depth-m)"
            )
        outcome.valid_share = float(np.mean(shares.shares)) if shares.shares else float("nan")

    def _sinks(self, draft: Path) -> list[Sink]:
        sinks: list[Sink] = []
        if "bag" in self.formats:
            sinks.append(BagSink(draft / "points.mcap", self.process))
        if "ply" in self.formats:
            sinks.append(PlySink(draft / "ply"))
        return sinks


class _ValidShare:
    """The share of pixels with depth, frame by frame."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def write(self, processed: Processed) -> None:
        self.shares.append(float(np.isfinite(processed.result.depth_map.depth).mean()))

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def plan_bags(bags: Sequence[str], job: BagJob) -> Iterator[Task]:
    """The tasks of bags, in their order; one that cannot be cut is a task with a fault.

    Raises:
        Recon3dError: There is no such model; nobody has to wait for hours to hear it.
    """
    model, identity = pinned(job.model, job.process.is_stereo)
    job = replace(job, model=model, identity=identity)
    labels = job.pipeline.point_labels
    labeller = model_identity(find_model(labels)) if labels else ""
    options = [job.process, job.model, job.pipeline, job.scale, job.formats, job.warm_up_s]
    for bag, name in zip(bags, names_of(bags)):
        try:
            pieces, fault = list(_pieces(bag, job.piece_s)), ""
        except DataError as exc:
            pieces, fault = [WHOLE], str(exc)
        for number, part in enumerate(pieces):
            own = f"{name}/piece_{number:04d}" if len(pieces) > 1 else name
            yield Task(job, bag, own, key_of("bag", identity, labeller, options, part), part, fault)


def _pieces(bag: str, piece_s: float) -> Iterator[Part]:
    if piece_s <= 0:
        yield WHOLE
        return
    with fetched(bag) as path, Bag(path) as whole:
        first_ns, last_ns = whole.span_ns
    step_ns = round(piece_s * 1e9)
    starts = range(first_ns, max(last_ns, first_ns + 1), step_ns)
    for start in starts:
        # The first and the last piece are open, as nothing must fall between them.
        yield (
            None if start == starts[0] else start,
            None if start == starts[-1] else start + step_ns,
        )
