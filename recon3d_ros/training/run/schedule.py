"""The one-cycle learning rate over a budget of time: how many steps fit is known only afterwards."""

from __future__ import annotations

import math

WARM_UP = 0.05
FLOOR = 0.01


def one_cycle(progress: float) -> float:
    """The factor of the peak learning rate (Smith, Super-Convergence, 2018).

    Args:
        progress: How much of the budget is spent, 0 to 1.

    Returns:
        A linear rise from 0.1 to 1 in the first `WARM_UP` of the budget, then half a cosine down to `FLOOR`.
    """
    if progress < WARM_UP:
        return 0.1 + 0.9 * progress / WARM_UP
    fall = min((progress - WARM_UP) / (1.0 - WARM_UP), 1.0)
    return FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + math.cos(math.pi * fall))
