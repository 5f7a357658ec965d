"""Batches of random crops from everything that has been rendered so far."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from recon3d_ros.allocator import keep_memory
from recon3d_ros.errors import DataError
from recon3d_ros.training.augment import training_crop
from recon3d_ros.training.store import PairStore


class Crops(Dataset[tuple[np.ndarray, np.ndarray, np.ndarray]]):
    """An endless row of (left, right, disparity) crops out of a folder with at least one pair.

    Crop `index` comes from the seed and its index alone, whoever makes it: a resumed run goes on with the
    crops that an uninterrupted one would have seen, once all pairs are rendered.
    """

    def __init__(self, folder: Path, size_wh: tuple[int, int], seed: int) -> None:
        self.store = PairStore(folder)
        self.size_wh = size_wh
        self.seed = seed

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.seed, index))
        count = self.store.refresh()
        return training_crop(self.store.open(int(rng.integers(count))), self.size_wh, rng)


class Order:
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
    crops: Crops, order: Order, loaders: int, pin_memory: bool
) -> Generator[list[torch.Tensor], None, None]:
    """Endless batches: left and right (B, 3, h, w), disparity (B, h, w), float32.

    Close it: the loaders end with it, and an interpreter that exits before them waits for them for ever.

    Raises:
        DataError: A file of the folder is no pair.
    """
    loader = DataLoader(
        crops,
        batch_sampler=order,
        num_workers=loaders,
        pin_memory=pin_memory,
        prefetch_factor=4 if loaders else None,
        worker_init_fn=_start_loader if loaders else None,
        # spawn: a forked copy of a process that runs threads of torch can stand still.
        multiprocessing_context="spawn" if loaders else None,
    )
    try:
        yield from loader
    except BaseException as exc:
        # Whoever keeps this error would keep torch's frames, in them the loaders.
        traceback.clear_frames(exc.__traceback__)
        if isinstance(exc, DataError):
            # From a loading process torch hands over the whole traceback as text; its last line is ours.
            raise DataError(str(exc).rstrip().splitlines()[-1].split("DataError: ", 1)[-1]) from exc
        raise


def _start_loader(_: int) -> None:
    # Ctrl-C and torchrun signal the whole group: the training process ends its loaders after its last step.
    for asked_to_end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked_to_end, signal.SIG_IGN)
    cv2.setNumThreads(1)
    keep_memory()


def wait_for_pairs(
    store: PairStore, count: int, alive: Callable[[], bool], stop: Callable[[], bool] = lambda: False
) -> None:
    """Wait until so many pairs are rendered.

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
                f"expected {count} rendered pairs in {store.folder}, got {len(store)} "
                "and no process renders any more: look for its error above"
            )
        time.sleep(0.1)
