"""Processes that render pairs of the world into a store: with NumPy one by one, or with torch in batches."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recon3d_ros import world
from recon3d_ros.system.allocator import keep_memory
from recon3d_ros.system.interrupts import interrupts_held
from recon3d_ros.training.samples.store import SampleStore, pack_arrays
from recon3d_ros.training.samples.tasks import BEYOND_RANGE, StereoTask, Task

# Scenes a GPU renders at once: enough to keep it busy, and a few GB at the usual size.
BATCH = 16


@dataclass(frozen=True)
class Renderer:
    """How pairs are rendered.

    Attributes:
        size_wh: Size of the images.
        task: What a sample is.
        device: A torch device that renders batches of pairs, or "" for NumPy.
    """

    size_wh: tuple[int, int]
    task: Task = field(default_factory=StereoTask)
    device: str = ""

    def render(self, folder: Path, seeds: Sequence[int]) -> None:
        """Render the seeds that the folder does not have yet.

        Raises:
            OutputError: The disk is full or the folder not writable.
            MissingDependencyError: torch is wanted and not installed.
        """
        store = SampleStore(folder, self.task.channels)
        missing = [seed for seed in seeds if not store.path(seed).exists()]
        if self.device and isinstance(self.task, StereoTask):
            for start in range(0, len(missing), BATCH):
                self._render_batch(store, missing[start : start + BATCH], BEYOND_RANGE * self.task.largest_px)
            return
        for seed in missing:
            store.write(seed, self.task.render(seed, self.size_wh))

    def _render_batch(self, store: SampleStore, seeds: Sequence[int], largest_px: float) -> None:
        batch = world.training_batch(seeds, self.size_wh, largest_px, self.device)
        left, right = (images.permute(0, 2, 3, 1).cpu().numpy() for images in (batch.left, batch.right))
        disparity = batch.disparity[:, 0].cpu().numpy()
        for i, seed in enumerate(seeds):
            store.write(seed, pack_arrays(left[i], right[i], disparity[i]))


def start_renderers(
    jobs: list[tuple[Path, range]], workers: int, renderer: Renderer
) -> list[multiprocessing.process.BaseProcess]:
    """Start `workers` processes that share the seeds of `jobs`, in order; they end when all is rendered."""
    # spawn, as for the loaders: see batches.
    context = multiprocessing.get_context("spawn")
    processes: list[multiprocessing.process.BaseProcess] = []
    for worker in range(workers):
        share = [(folder, seeds[worker::workers]) for folder, seeds in jobs]
        process = context.Process(
            target=_render_jobs, args=(share, renderer), daemon=True, name=f"render-{worker}"
        )
        with interrupts_held():
            process.start()
        processes.append(process)
    return processes


def _render_jobs(jobs: list[tuple[Path, range]], renderer: Renderer) -> None:
    os.nice(5)  # training goes first
    keep_memory()
    for folder, seeds in jobs:
        renderer.render(folder, seeds)
