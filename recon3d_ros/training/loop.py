"""The training loop: render in the background, crop, step, validate, save; resumable at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from recon3d_ros.allocator import keep_memory
from recon3d_ros.training.batches import Crops, batches, wait_for_pairs
from recon3d_ros.training.config import FIRST_TRAINING_SEED, TrainConfig
from recon3d_ros.training.rendering import Renderer, start_renderers
from recon3d_ros.training.run import Run, resume_run, start_run
from recon3d_ros.training.store import PairStore
from recon3d_ros.training.validation import validate

LOG_EVERY_S = 20.0
SAVE_EVERY_S = 120.0

Report = Callable[[str], None]


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    network_settings: dict[str, Any] | None = None,
    report: Report = lambda line: None,
) -> Path:
    """Train until the time or the steps of `config` are spent, and save.

    Args:
        config: The run. On resume its budget counts what was spent before.
        resume: Continue from the checkpoint in `config.out`.
        network_settings: Fields of the network's config that differ from the defaults; not with `resume`.
        report: Takes one line of progress at a time.

    Returns:
        The checkpoint.

    Raises:
        ConfigError: A device that is not there, or a run that exists and shall not be resumed.
        ArtifactError: The checkpoint to resume from is missing or corrupt.
        DataError: The world's pairs do not come or cannot be stored.
        OutputError: A checkpoint cannot be written.
    """
    keep_memory()
    run = resume_run(config) if resume else start_run(config, network_settings)
    report(run.describe())
    held_out = PairStore(Path(config.out) / "validation")
    pairs = PairStore(Path(config.pairs) if config.pairs else Path(config.out) / "pairs")
    first = FIRST_TRAINING_SEED * (1 + config.seed)
    jobs = [
        (held_out.folder, range(config.validation_pairs)),
        (pairs.folder, range(first, first + config.max_pairs)),
    ]
    largest_px = run.network.config.largest_px
    device = "" if config.renderer == "numpy" else str(run.device)
    renderer = Renderer((config.render_width, config.render_height), largest_px, device)
    renderers = start_renderers(jobs, config.workers, renderer)
    try:
        for store, count in ((held_out, config.validation_pairs), (pairs, 1)):
            wait_for_pairs(store, count, alive=lambda: any(process.is_alive() for process in renderers))
        fit(run, pairs, held_out, report)
    finally:
        for process in renderers:
            process.terminate()
            process.join()
    return run.path


def fit(run: Run, pairs: PairStore, held_out: PairStore, report: Report) -> None:
    """Step until the budget is spent; saves every two minutes, at the end, and when interrupted."""
    config = run.config
    # The step is part of the seed: a resumed run goes on with crops it has not seen.
    crops = Crops(pairs.folder, (config.width, config.height), config.seed + 7919 * run.step)
    stream = batches(crops, config.batch, config.loaders, run.device.type == "cuda")
    meter = Meter(run)
    logged = validated = saved = clock = time.monotonic()
    try:
        while run.progress < 1.0:
            meter.add(run.advance(stream))
            now = time.monotonic()
            run.seconds += now - clock
            if now - logged >= LOG_EVERY_S:
                report(meter.line(now, pairs.refresh()))
                logged = now
            if now - validated >= 60.0 * config.validate_minutes:
                report(score(run, held_out))
                validated = now
            if now - saved >= SAVE_EVERY_S:
                run.save()
                saved = now
            clock = now
        report(score(run, held_out))
    finally:
        run.save()


def score(run: Run, held_out: PairStore) -> str:
    """Validate the averaged weights, remember the result in the run's history, and put it into a line."""
    metrics = validate(run.average.module, held_out, run.device)
    run.history.append({"step": run.step, "samples": run.samples, "seconds": run.seconds, **metrics})
    return (
        f"step {run.step}  held-out: bad_px_1 {100 * metrics['bad_px_1']:.1f} %  bad_px_3 "
        f"{100 * metrics['bad_px_3']:.1f} %  epe {metrics['epe_px']:.2f} px"
    )


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

    def line(self, now: float, pairs: int) -> str:
        """One line about the steps since the last one."""
        run = self.run
        loss = float(self.loss) / max(run.step - self.first_step, 1)
        rate = (run.samples - self.first_sample) / max(now - self.since, 1e-6)
        self._restart(now)
        return (
            f"step {run.step}  {run.seconds / 60:.1f} of {run.config.minutes:g} min  loss {loss:.3f}  "
            f"{rate:.1f} samples/s  {pairs} pairs  lr {run.optimizer.param_groups[0]['lr']:.1e}"
        )
