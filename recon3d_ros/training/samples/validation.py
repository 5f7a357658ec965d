"""Score a network on what was held out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from recon3d_ros.training.samples.store import SampleStore
from recon3d_ros.training.samples.tasks import Task, ValidationResult


@torch.no_grad()
def validate(
    network: torch.nn.Module,
    task: Task,
    store: SampleStore,
    device: torch.device,
    look: Callable[[ValidationResult], None] = lambda result: None,
) -> dict[str, float]:
    """Means over the samples of the task's metrics.

    Args:
        network: One of the task.
        task: Knows what is asked of it.
        store: Held-out samples.
        device: Where the network lives.
        look: Gets each result.
    """
    was_training = network.training
    network.eval()
    rows = []
    for index in range(len(store)):
        result = task.evaluate(network, store.open(index), device)
        rows.append([result.metrics[key] for key in task.metrics])
        look(result)
    network.train(was_training)
    means = np.mean(rows, axis=0)
    return dict(zip(task.metrics, map(float, means)))
