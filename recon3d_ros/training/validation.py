"""Score a network on the held-out pairs of the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros.metrics import disparity_metrics
from recon3d_ros.training.store import PairStore, unpack_pair

METRICS = ("bad_px_1", "bad_px_2", "bad_px_3", "epe_px")


@dataclass(frozen=True)
class Example:
    """What the network answered to one held-out pair.

    Attributes:
        left: (H, W, 3) uint8 RGB.
        truth: (H, W) float32 px, NaN = unknown.
        disparity: (H, W) float32 px.
        confidence: (H, W) float32 in [0, 1].
    """

    left: NDArray[np.uint8]
    truth: NDArray[np.float32]
    disparity: NDArray[np.float32]
    confidence: NDArray[np.float32]


@torch.no_grad()
def validate(
    network: torch.nn.Module,
    store: PairStore,
    device: torch.device,
    look: Callable[[Example], None] = lambda example: None,
) -> dict[str, float]:
    """Means over the pairs of `bad_px_1`, `bad_px_2`, `bad_px_3` (fractions) and `epe_px`.

    Args:
        network: A stereo network, (1, 3, H, W) twice in; disparity in px and confidence come out first.
        store: Held-out pairs.
        device: Where the network lives.
        look: Gets each pair with its answer.
    """
    was_training = network.training
    network.eval()
    rows = []
    for index in range(len(store)):
        left, right, truth = unpack_pair(store.open(index))
        answer = network(as_tensor(left, device), as_tensor(right, device))
        disparity, confidence = (plane[0, 0].float().cpu().numpy() for plane in answer[:2])
        metrics = disparity_metrics(disparity, truth)
        rows.append([metrics[key] for key in METRICS])
        look(Example(left, truth, disparity, confidence))
    network.train(was_training)
    means = np.mean(rows, axis=0)
    return dict(zip(METRICS, map(float, means)))


def as_tensor(image: np.ndarray, device: torch.device) -> torch.Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, H, W) float32 in [0, 1]."""
    planes = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None]
    return planes.float().div(255.0).contiguous(memory_format=torch.channels_last)
