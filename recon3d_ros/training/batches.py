"""Batches of random crops from everything that has been rendered so far."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from recon3d_ros.errors import DataError
from recon3d_ros.training.allocator import keep_memory
from recon3d_ros.training.augment import training_crop
from recon3d_ros.training.store import PairStore

PATIENCE_S = 300.0


class Crops(IterableDataset):
    """An endless stream of (left, right, disparity) crops; waits until the first pairs are rendered."""

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
        wait_for_pairs(store, 1)
        while True:
            count = store.refresh()
            yield training_crop(store.open(int(rng.integers(count))), self.size_wh, rng)


def batches(crops: Crops, batch: int, loaders: int, pin_memory: bool) -> Iterator[list[torch.Tensor]]:
    """Endless batches: left and right (B, 3, h, w), disparity (B, h, w), float32."""
    loader = DataLoader(
        crops,
        batch_size=batch,
        num_workers=loaders,
        pin_memory=pin_memory,
        prefetch_factor=4 if loaders else None,
        multiprocessing_context="spawn" if loaders else None,
    )
    return iter(loader)


def wait_for_pairs(store: PairStore, count: int) -> None:
    """Wait until so many pairs are rendered.

    Raises:
        DataError: They do not come.
    """
    give_up = time.monotonic() + PATIENCE_S
    while store.refresh() < count:
        if time.monotonic() > give_up:
            raise DataError(
                f"expected {count} rendered pairs in {store.folder} within {PATIENCE_S:.0f} s, "
                f"got {len(store)}: look for the error of the rendering processes above"
            )
        time.sleep(0.2)
