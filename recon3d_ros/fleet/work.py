"""One task from its recording to its folder; runs in a worker and knows nothing of Ray."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np

from recon3d_ros import __version__
from recon3d_ros.config import ModelConfig
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.errors import Recon3dError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.files import write_json
from recon3d_ros.fleet.storage import DONE, drafted, fetched, publish, read_done
from recon3d_ros.fleet.tasks import Outcome, Task
from recon3d_ros.offline import BagSink, PageSink, PlySink, Processed, Sink, Summary, Window, process_bag
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.reports import write_page
from recon3d_ros.scale import ScaleRecovery


def run_task(task: Task, version: str = __version__) -> Outcome:
    """Process a recording; an error of the recording, the model or the disk is part of the outcome.

    Args:
        task: What to do.
        version: Of who asks; a worker of another version refuses.
    """
    started = time.perf_counter()
    outcome = Outcome(task.name, worker=f"{socket.gethostname()}:{os.getpid()}")
    try:
        if version != __version__:
            raise Recon3dError(
                f"expected recon3d_ros {version} on {socket.gethostname()}, found {__version__}: install the "
                "same version on every machine"
            )
        summary, shares = _process(task)
        outcome.frames, outcome.written, outcome.dropped = summary.frames, summary.written, summary.dropped
        outcome.valid_share = float(np.mean(shares)) if shares else float("nan")
    except Recon3dError as exc:
        outcome.error = str(exc)
    except OSError as exc:
        outcome.error = f"{exc}: check the path, its permissions and the disk"
    outcome.seconds = time.perf_counter() - started
    return outcome


def finished(task: Task) -> Outcome | None:
    """The outcome of a task that was done before with the same content, options, model and version."""
    data = read_done(task.folder)
    if data is None:
        return None
    try:
        done = json.loads(data)
        if done["key"] != task.key:
            return None
        fields = done["outcome"]
        share = fields["valid_share"]
        return Outcome(
            **{
                **fields,
                "name": task.name,
                "skipped": True,
                "dropped": Counter(fields["dropped"]),
                "valid_share": float("nan") if share is None else share,
            }
        )
    except (ValueError, KeyError, TypeError):
        return None  # of another version, or damaged: done again


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


def _process(task: Task) -> tuple[Summary, list[float]]:
    job, started = task.job, time.perf_counter()
    window = Window(task.from_ns, task.until_ns, round(job.warm_up_s * 1e9))
    with fetched(task.recording) as path, Bag(path) as bag, drafted(task.folder) as draft:
        pipeline = Pipeline(
            _estimator(job.model, job.process.is_stereo), job.pipeline, ScaleRecovery.of(job.scale)
        )
        shares, page = _ValidShare(), PageSink() if "html" in job.formats else None
        sinks: list[Sink] = [shares, *([] if page is None else [page]), *_sinks(task, draft)]
        summary = process_bag(bag, pipeline, job.process, sinks, window=window)
        if page is not None:
            write_page(draft / "report.html", page.page(task.name, summary))
        outcome = Outcome(
            task.name,
            frames=summary.frames,
            written=summary.written,
            dropped=summary.dropped,
            valid_share=float(np.mean(shares.shares)) if shares.shares else float("nan"),
            seconds=time.perf_counter() - started,
            worker=f"{socket.gethostname()}:{os.getpid()}",
        )
        document = {"key": task.key, "version": __version__, "recording": task.recording}
        write_json(draft / DONE, {**document, "reasons": summary.reasons, "outcome": asdict(outcome)})
        publish(draft, task.folder)
    return summary, shares.shares


def _sinks(task: Task, draft: Path) -> list[Sink]:
    sinks: list[Sink] = []
    if "bag" in task.job.formats:
        sinks.append(BagSink(draft / "points.mcap", task.job.process))
    if "ply" in task.job.formats:
        sinks.append(PlySink(draft / "ply"))
    return sinks


@lru_cache(maxsize=1)  # a worker does one task after the other, most of them with one model
def _estimator(config: ModelConfig, stereo: bool) -> Estimator:
    return Estimator.open(config, stereo=stereo)
