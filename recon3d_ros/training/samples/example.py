"""One held-out sample and what a network made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """What the network answered to one held-out sample.

    Attributes:
        image: (H, W, 3) uint8 RGB, the left one of a pair.
        truth: (H, W) float32, disparity in px or canonical depth in m, NaN = unknown.
        estimate: (H, W) float32, the same.
        confidence: (H, W) float32 in [0, 1].
        metrics: Of the answer, by name.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.float32]
    estimate: NDArray[np.float32]
    confidence: NDArray[np.float32]
    metrics: dict[str, float] = field(default_factory=dict)


def as_tensor(image: np.ndarray, device: torch.device) -> torch.Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, H, W) float32 in [0, 1]."""
    planes = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None]
    return planes.float().div(255.0).contiguous(memory_format=torch.channels_last)
