"""Batches of random crops from everything that has been rendered so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from recon3d_ros.allocator import keep_memory
from recon3d_ros.errors import DataError
from recon3d_ros.training.augment import training_crop
from recon3d_ros.training.store import PairStore


class Crops(IterableDataset):
    """An endless stream of (left, right, disparity) crops out of a folder with at least one pair."""

    def __init__(self, folder: Path, size_wh: tuple[int, int], seed: int) -> None:
        self.folder = folder
        self.size_wh = size_wh
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        worker = get_worker_info()
        if worker is not None:
            cv2.setNumThreads(1)
            keep_memory()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        store = PairStore(self.folder)
        while True:
            count = store.refresh()
            yield training_crop(store.open(int(rng.integers(count))), self.size_wh, rng)


def batches(crops: Crops, batch: int, loaders: int, pin_memory: bool) -> Iterator[list[torch.Tensor]]:
    """Endless batches: left and right (B, 3, h, w), disparity (B, h, w), float32.

    Raises:
        DataError: A file of the folder is no pair.
    """
    loader = DataLoader(
        crops,
        batch_size=batch,
        num_workers=loaders,
        pin_memory=pin_memory,
        prefetch_factor=4 if loaders else None,
        # spawn: a forked copy of a process that runs threads of torch can stand still.
        multiprocessing_context="spawn" if loaders else None,
    )
    try:
        yield from loader
    except DataError as exc:
        # From a loading process torch hands over the whole traceback as text; its last line is ours.
        raise DataError(str(exc).rstrip().splitlines()[-1].split("DataError: ", 1)[-1]) from exc


def wait_for_pairs(store: PairStore, count: int, alive: Callable[[], bool]) -> None:
    """Wait until so many pairs are rendered.

    Args:
        store: Where they appear.
        count: How many.
        alive: Whether somebody still renders.

    Raises:
        DataError: They will not come.
    """
    while store.refresh() < count:
        if not alive() and store.refresh() < count:
            raise DataError(
                f"expected {count} rendered pairs in {store.folder}, got {len(store)} "
                "and no process renders any more: look for its error above"
            )
        time.sleep(0.1)
