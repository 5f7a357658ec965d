"""What a validation keeps of each held-out sample."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ValidationResult:
    """What the network predicted for one held-out sample.

    Attributes:
        image: (H, W, 3) uint8 RGB, the left one of a pair; of points, a view from above.
        truth: (H, W) float32, disparity in px, canonical depth in m, or labels, NaN = unknown.
        estimate: (H, W) float32, the same.
        confidence: (H, W) float32 in [0, 1].
        metrics: Of the prediction, by name.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.float32]
    estimate: NDArray[np.float32]
    confidence: NDArray[np.float32]
    metrics: dict[str, float] = field(default_factory=dict)
