"""Batches of random crops from everything that there is so far."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from recon3d_ros.errors import DataError
from recon3d_ros.system.allocator import keep_memory
from recon3d_ros.system.interrupts import interrupts_held
from recon3d_ros.training.samples.store import SampleStore
from recon3d_ros.training.samples.tasks import StereoTask, Task

STEREO = StereoTask()
# What a step, and the checkpoint after it, may take once a run is asked to end.
LAST_STEP_S = 60


class CropDataset(Dataset[tuple[np.ndarray, ...]]):
    """An endless row of crops out of folders with at least one sample each.

    Crop `index` comes from the seed and its index alone, whoever makes it: a resumed run goes on with the
    crops that an uninterrupted one would have seen, once all samples are rendered. As many in a row as the
    task has variants show one view.

    Args:
        folders: How often each is drawn from; the sum is 1.
        size_wh: Of the crops.
        seed: Where all chance comes from, with the index.
        task: What a crop is.
    """

    def __init__(
        self, folders: Mapping[Path, float], size_wh: tuple[int, int], seed: int, task: Task = STEREO
    ) -> None:
        self.stores = [SampleStore(folder, task.channels) for folder in folders]
        self.shares = list(folders.values())
        self.size_wh = size_wh
        self.seed = seed
        self.task = task
        self._last: tuple[int, tuple[np.ndarray, ...]] = -1, ()

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        crop, variant = divmod(index, self.task.variants)
        rng = np.random.default_rng((self.seed, crop))
        if self._last[0] != crop:
            self._last = crop, self._crop(rng)
        return self.task.augment(self._last[1], np.random.default_rng((self.seed, crop, variant)))

    def _crop(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        one = len(self.stores) == 1
        store = self.stores[0] if one else self.stores[int(rng.choice(len(self.stores), p=self.shares))]
        count = store.refresh()

        def draw() -> np.ndarray:
            return store.open(int(rng.integers(count)))

        return self.task.crop(draw, self.size_wh, rng)


class EndlessBatchSampler:
    """Which crops the batches of one process are made of, without an end.

    Args:
        first: The first crop of its first batch.
        batch: Crops per batch.
        stride: From one of its batches to the next: what all processes take together.
    """

    def __init__(self, first: int, batch: int, stride: int | None = None) -> None:
        self.first = first
        self.batch = batch
        self.stride = stride or batch

    def __iter__(self) -> Iterator[list[int]]:
        first = self.first
        while True:
            yield list(range(first, first + self.batch))
            first += self.stride


def batches(
    crops: CropDataset, sampler: EndlessBatchSampler, loaders: int, pin_memory: bool
) -> Generator[list[torch.Tensor], None, None]:
    """Endless batches of what the crops hold: images (B, 3, h, w), the truth (B, h, w), float32.

    Close it: the loaders end with it, and an interpreter that exits before them waits a minute for them.

    Raises:
        DataError: A file of the folder is no pair.
    """
    loader = DataLoader(
        crops,
        batch_sampler=sampler,
        num_workers=loaders,
        pin_memory=pin_memory,
        prefetch_factor=4 if loaders else None,
        worker_init_fn=_start_loader if loaders else None,
        # spawn: a forked copy of a process that runs threads of torch can stand still.
        multiprocessing_context="spawn" if loaders else None,
    )
    try:
        yield from _start(loader)
    except BaseException as exc:
        # Whoever keeps this error would keep torch's frames, in them the loaders.
        traceback.clear_frames(exc.__traceback__)
        if isinstance(exc, DataError):
            # From a loading process torch hands over the whole traceback as text; its last line is ours.
            raise DataError(str(exc).rstrip().splitlines()[-1].split("DataError: ", 1)[-1]) from exc
        raise


def _start(loader: DataLoader[tuple[np.ndarray, ...]]) -> Iterator[list[torch.Tensor]]:
    with interrupts_held():
        return iter(loader)


def _start_loader(_: int) -> None:
    # torchrun signals all processes: the training process ends its loaders after its last step.
    # Not for ever: a process that ends with its loaders still open terminates them and waits until they go.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(LAST_STEP_S))
    cv2.setNumThreads(1)
    keep_memory()


def wait_for_samples(
    store: SampleStore, count: int, alive: Callable[[], bool], stop: Callable[[], bool] = lambda: False
) -> None:
    """Wait until there are so many samples.

    Args:
        store: Where they appear.
        count: How many.
        alive: Whether somebody still renders.
        stop: Whether to wait no longer.

    Raises:
        DataError: They will not come.
    """
    while store.refresh() < count and not stop():
        if not alive() and store.refresh() < count:
            raise DataError(
                f"expected {count} samples in {store.folder}, got {len(store)} "
                "and no process renders any more: look for its error above"
            )
        time.sleep(0.1)
