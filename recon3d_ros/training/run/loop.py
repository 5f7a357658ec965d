"""The training loop: render in the background, crop, step, validate, save; resumable at any moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from recon3d_ros.system.allocator import keep_memory
from recon3d_ros.system.progress import NO_PROGRESS, Progress
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.run.distributed import ProcessGroup, joined_processes
from recon3d_ros.training.run.records import Records
from recon3d_ros.training.run.state import TrainingRun, resume_run, start_run
from recon3d_ros.training.samples.batches import CropDataset, EndlessBatchSampler, batches, wait_for_samples
from recon3d_ros.training.samples.rendering import Renderer, start_renderers
from recon3d_ros.training.samples.sources import WORLD, DataStores, import_data, open_stores
from recon3d_ros.training.samples.store import SampleStore
from recon3d_ros.training.samples.validation import validate

LOG_EVERY_S = 20.0
SAVE_EVERY_S = 120.0

Stop = Callable[[], bool]

_LOG = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    network_settings: dict[str, Any] | None = None,
    progress: Progress = NO_PROGRESS,
    stop: Stop = lambda: False,
) -> Path:
    """Train until the time or the steps of `config` are spent, and save.

    Started by `torchrun`, all processes take part; the first one saves, validates and logs.

    Args:
        config: The run. On resume its budget counts what was spent before.
        resume: Continue from the checkpoint in `config.out`.
        network_settings: Fields of the network's config that differ from the defaults; not with `resume`.
        progress: Receives the share of the budget that is spent after each step.
        stop: Asked before each step whether to save and end early.

    Returns:
        The checkpoint.

    Raises:
        ConfigError: A device that is not there, or a run that exists and shall not be resumed.
        ArtifactError: The checkpoint to resume from is missing or corrupt.
        DataError: The world's pairs do not come or cannot be stored.
        OutputError: A checkpoint cannot be written.
    """
    keep_memory()
    with joined_processes() as processes:
        run = resume_run(config, processes) if resume else start_run(config, network_settings, processes)
        if processes.is_main:
            _LOG.info(run.describe())
        sources = open_stores(config, run.task.channels)
        device = "" if config.renderer == "numpy" else str(run.device)
        renderer = Renderer((config.render_width, config.render_height), run.task, device)
        jobs = render_jobs(config, processes, sources)
        renderers = start_renderers(jobs, config.workers if jobs else 0, renderer)

        def alive() -> bool:
            return not jobs or any(process.is_alive() for process in renderers)

        try:
            if processes.is_main:
                import_data(config, sources)
                if sources.held_out.refresh() < 1 or next(iter(config.sources)) == WORLD:
                    wait_for_samples(sources.held_out, config.validation_pairs, alive, stop)
            for store, _ in sources.training:
                wait_for_samples(store, 1, alive, stop)
            fit(run, sources.training, sources.held_out, progress, stop)
        finally:
            for process in renderers:
                process.terminate()
                process.join()
        return run.path


def render_jobs(
    config: TrainConfig, processes: ProcessGroup, sources: DataStores
) -> list[tuple[Path, range]]:
    """Which scenes this process has rendered: the first one of each machine a share of them, others nothing.

    The shares are disjoint, so that machines may have one disk together or one each.
    """
    if processes.local_rank != 0 or sources.world is None:
        return []
    first = config.first_scene
    share = range(first, first + config.max_pairs)[processes.node_rank :: processes.nodes]
    validates = processes.is_main and next(iter(config.sources)) == WORLD
    validation = [(sources.held_out.folder, range(config.validation_pairs))] if validates else []
    return [*validation, (sources.world.folder, share)]


def fit(
    run: TrainingRun,
    stores: Sequence[tuple[SampleStore, float]],
    held_out: SampleStore,
    progress: Progress = NO_PROGRESS,
    stop: Stop = lambda: False,
) -> None:
    """Step until the budget is spent; saves every two minutes, at the end, when stopped and interrupted."""
    config, processes = run.config, run.processes
    folders = {store.folder: share for store, share in stores}
    crops = CropDataset(folders, config.size_wh, config.seed, run.task)
    sampler = EndlessBatchSampler(
        run.samples + processes.rank * config.batch, config.batch, processes.world_size * config.batch
    )
    monitor = TrainingMonitor(run, [store for store, _ in stores], held_out) if processes.is_main else None
    clock = time.monotonic()
    with closing(batches(crops, sampler, config.loaders, run.device.type == "cuda")) as stream:
        try:
            while True:
                now = time.monotonic()
                run.seconds, stopped = processes.broadcast(run.seconds + now - clock, float(stop()))
                clock = now
                if stopped or run.progress >= 1.0:
                    break
                loss = run.advance(stream)
                if monitor:
                    monitor.after_step(loss, time.monotonic())
                    progress.update("training", min(run.progress, 1.0))
            if monitor and not stopped:
                monitor.validate()
        finally:
            if monitor:
                monitor.close()


class TrainingMonitor:
    """What the first process does beside stepping: a line, a validation and a checkpoint now and then."""

    def __init__(self, run: TrainingRun, stores: Sequence[SampleStore], held_out: SampleStore) -> None:
        self.run, self.stores, self.held_out = run, stores, held_out
        self.statistics = StepStatistics(run)
        self.records = Records(run)
        self.logged = self.validated = self.saved = time.monotonic()

    def after_step(self, loss: torch.Tensor, now: float) -> None:
        """Do what is due after a step, `now` by the monotonic clock."""
        self.statistics.add(loss)
        if now - self.logged >= LOG_EVERY_S:
            _LOG.info(self.statistics.line(now, sum(store.refresh() for store in self.stores)))
            self.logged = now
        if now - self.validated >= 60.0 * self.run.config.validate_minutes:
            self.validate()
            self.validated = now
        if now - self.saved >= SAVE_EVERY_S:
            self.run.save()
            self.saved = now

    def validate(self) -> None:
        """Score the averaged weights, remember it in the run's history, write the records, and log it."""
        run = self.run
        metrics = validate(run.average.module, run.task, self.held_out, run.device, self.records.look)
        run.history.append({"step": run.step, "samples": run.samples, "seconds": run.seconds, **metrics})
        self.records.write(run)
        scores = "  ".join(
            f"{name} {value:.3f}" if name.endswith(("_px", "_m")) else f"{name} {100 * value:.1f} %"
            for name, value in metrics.items()
        )
        _LOG.info("step %d  held-out: %s", run.step, scores)

    def close(self) -> None:
        """Save, however the run ends."""
        try:
            self.run.save()
        finally:
            self.records.close()


class StepStatistics:
    """Mean loss and samples per second since the last line."""

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self._restart(time.monotonic())

    def _restart(self, now: float) -> None:
        self.loss = torch.zeros((), device=self.run.device)
        self.first_step, self.first_sample, self.since = self.run.step, self.run.samples, now

    def add(self, loss: torch.Tensor) -> None:
        """Take the loss of one step; it stays on the device."""
        self.loss += loss

    def line(self, now: float, samples: int) -> str:
        """One line about the steps since the last one."""
        run = self.run
        loss = float(self.loss) / max(run.step - self.first_step, 1)
        rate = (run.samples - self.first_sample) / max(now - self.since, 1e-6)
        self._restart(now)
        minutes, steps = run.config.minutes, run.config.max_steps
        spent = f"{run.seconds / 60:.1f} of {minutes:g} min" if minutes else f"{run.seconds / 60:.1f} min"
        return (
            f"step {run.step}{f' of {steps}' if steps else ''}  {spent}  loss {loss:.3f}  "
            f"{rate:.1f} samples/s  {samples} samples  lr {run.optimizer.param_groups[0]['lr']:.1e}"
        )
