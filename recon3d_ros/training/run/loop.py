"""The training loop: render in the background, crop, step, validate, save; resumable at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from recon3d_ros.system.allocator import keep_memory
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.run.distributed import Team, joined
from recon3d_ros.training.run.records import Records
from recon3d_ros.training.run.state import Run, resume_run, start_run
from recon3d_ros.training.samples.batches import Crops, Order, batches, wait_for_samples
from recon3d_ros.training.samples.rendering import Renderer, start_renderers
from recon3d_ros.training.samples.sources import WORLD, Sources, find_sources, import_data
from recon3d_ros.training.samples.store import SampleStore
from recon3d_ros.training.samples.validation import validate

LOG_EVERY_S = 20.0
SAVE_EVERY_S = 120.0

Report = Callable[[str], None]
Progress = Callable[[float], None]
Stop = Callable[[], bool]


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    network_settings: dict[str, Any] | None = None,
    report: Report = lambda line: None,
    progress: Progress = lambda share: None,
    stop: Stop = lambda: False,
) -> Path:
    """Train until the time or the steps of `config` are spent, and save.

    Started by `torchrun`, all processes take part; the first one saves, validates and reports.

    Args:
        config: The run. On resume its budget counts what was spent before.
        resume: Continue from the checkpoint in `config.out`.
        network_settings: Fields of the network's config that differ from the defaults; not with `resume`.
        report: Takes one line of progress at a time.
        progress: Takes the share of the budget that is spent, 0 to 1, after each step.
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
    with joined() as team:
        run = resume_run(config, team) if resume else start_run(config, network_settings, team)
        if team.leads:
            report(run.describe())
        sources = find_sources(config, run.task.channels)
        device = "" if config.renderer == "numpy" else str(run.device)
        renderer = Renderer((config.render_width, config.render_height), run.task, device)
        jobs = render_jobs(config, team, sources)
        renderers = start_renderers(jobs, config.workers if jobs else 0, renderer)

        def alive() -> bool:
            return not jobs or any(process.is_alive() for process in renderers)

        try:
            if team.leads:
                import_data(config, sources, report)
                if sources.held_out.refresh() < 1 or next(iter(config.sources)) == WORLD:
                    wait_for_samples(sources.held_out, config.validation_pairs, alive, stop)
            for store, _ in sources.training:
                wait_for_samples(store, 1, alive, stop)
            fit(run, sources.training, sources.held_out, report, progress, stop)
        finally:
            for process in renderers:
                process.terminate()
                process.join()
        return run.path


def render_jobs(config: TrainConfig, team: Team, sources: Sources) -> list[tuple[Path, range]]:
    """Which scenes this process has rendered: the first one of each machine a share of them, others nothing.

    The shares are disjoint, so that machines may have one disk together or one each.
    """
    if team.local_rank != 0 or sources.world is None:
        return []
    first = config.first_scene
    share = range(first, first + config.max_pairs)[team.machine :: team.machines]
    validates = team.leads and next(iter(config.sources)) == WORLD
    validation = [(sources.held_out.folder, range(config.validation_pairs))] if validates else []
    return [*validation, (sources.world.folder, share)]


def fit(
    run: Run,
    stores: Sequence[tuple[SampleStore, float]],
    held_out: SampleStore,
    report: Report,
    progress: Progress = lambda share: None,
    stop: Stop = lambda: False,
) -> None:
    """Step until the budget is spent; saves every two minutes, at the end, when stopped and interrupted."""
    config, team = run.config, run.team
    folders = {store.folder: share for store, share in stores}
    crops = Crops(folders, config.size_wh, config.seed, run.task)
    order = Order(run.samples + team.rank * config.batch, config.batch, team.size * config.batch)
    watch = Watch(run, [store for store, _ in stores], held_out, report) if team.leads else None
    clock = time.monotonic()
    with closing(batches(crops, order, config.loaders, run.device.type == "cuda")) as stream:
        try:
            while True:
                now = time.monotonic()
                run.seconds, stopped = team.agree(run.seconds + now - clock, float(stop()))
                clock = now
                if stopped or run.progress >= 1.0:
                    break
                loss = run.advance(stream)
                if watch:
                    watch.stepped(loss, time.monotonic())
                    progress(run.progress)
            if watch and not stopped:
                watch.validate()
        finally:
            if watch:
                watch.close()


class Watch:
    """What the first process does beside stepping: a line, a validation and a checkpoint now and then."""

    def __init__(
        self, run: Run, stores: Sequence[SampleStore], held_out: SampleStore, report: Report
    ) -> None:
        self.run, self.stores, self.held_out, self.report = run, stores, held_out, report
        self.meter = Meter(run)
        self.records = Records(run)
        self.logged = self.validated = self.saved = time.monotonic()

    def stepped(self, loss: torch.Tensor, now: float) -> None:
        """Do what is due after a step, `now` by the monotonic clock."""
        self.meter.add(loss)
        if now - self.logged >= LOG_EVERY_S:
            self.report(self.meter.line(now, sum(store.refresh() for store in self.stores)))
            self.logged = now
        if now - self.validated >= 60.0 * self.run.config.validate_minutes:
            self.validate()
            self.validated = now
        if now - self.saved >= SAVE_EVERY_S:
            self.run.save()
            self.saved = now

    def validate(self) -> None:
        """Score the averaged weights, remember it in the run's history, write the records, and report."""
        run = self.run
        metrics = validate(run.average.module, run.task, self.held_out, run.device, self.records.look)
        run.history.append({"step": run.step, "samples": run.samples, "seconds": run.seconds, **metrics})
        self.records.write(run)
        told = "  ".join(
            f"{name} {value:.3f}" if name.endswith(("_px", "_m")) else f"{name} {100 * value:.1f} %"
            for name, value in metrics.items()
        )
        self.report(f"step {run.step}  held-out: {told}")

    def close(self) -> None:
        """Save, however the run ends."""
        try:
            self.run.save()
        finally:
            self.records.close()


class Meter:
    """Mean loss and samples per second since the last line."""

    def __init__(self, run: Run) -> None:
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
