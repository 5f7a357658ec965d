"""Make confidence and sigma mean what they say, on scenes that neither trained nor validate the network.

Training pairs are harder than clean images, so a network is too cautious about these. Two numbers each put
that right: a gain and an offset of the confidence's logit (Platt, 1999), and of the logarithm of sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.networks.stereo import StereoNetwork
from recon3d_ros.training.losses import LARGEST_ERROR_PX
from recon3d_ros.training.validation import as_tensor

# Of each pair: neighbouring pixels say the same, and tens of thousands fix four numbers.
PIXELS_PER_PAIR = 4000

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]


def calibrate(network: StereoNetwork, pairs: Iterable[Pair]) -> dict[str, float]:
    """Fit the four numbers in place.

    Args:
        network: In evaluation mode, on the CPU.
        pairs: Left and right (H, W, 3) uint8 RGB, H and W multiples of `MULTIPLE_OF`; disparity (H, W)
            float32 px, NaN = unknown.

    Returns:
        The numbers by name.
    """
    head = network.uncertainty
    for name, neutral in (
        ("scale_gain", 1.0),
        ("scale_offset", 0.0),
        ("trust_gain", 1.0),
        ("trust_offset", 0.0),
    ):
        getattr(head, name).fill_(neutral)
    parts = [_observe(network, *pair, seed) for seed, pair in enumerate(pairs)]
    error, log_scale, trust = (torch.cat(column) for column in zip(*parts))
    right = (error < network.TRUSTED_PX).float()

    def distrust(gain: Tensor, offset: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(gain * trust + offset, right)

    def surprise(gain: Tensor, offset: Tensor) -> Tensor:
        scaled = gain * log_scale + offset
        return (error.clamp(max=LARGEST_ERROR_PX) * torch.exp(-scaled) + scaled).mean()

    found = dict(zip(("trust_gain", "trust_offset"), _fit(distrust)))
    found.update(zip(("scale_gain", "scale_offset"), _fit(surprise)))
    for name, value in found.items():
        getattr(head, name).fill_(value)
    return found


@torch.no_grad()
def _observe(
    network: StereoNetwork, left: np.ndarray, right: np.ndarray, truth: np.ndarray, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Absolute error in px, logarithm of the scale, and logit of some pixels with known disparity."""
    device = torch.device("cpu")
    output = network.analyse(as_tensor(left, device), as_tensor(right, device))
    known = np.flatnonzero(np.isfinite(truth) & (truth <= network.config.largest_px))
    chosen = np.random.default_rng(seed).permutation(known)[:PIXELS_PER_PAIR]
    pick = torch.from_numpy(chosen)
    disparity, log_scale, trust = (
        plane.reshape(-1)[pick] for plane in (output.disparity, output.log_scale, output.trust)
    )
    return (disparity - torch.from_numpy(truth.reshape(-1)[chosen])).abs(), log_scale, trust


def _fit(loss: Callable[[Tensor, Tensor], Tensor]) -> tuple[float, float]:
    gain, offset = torch.ones((), requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([gain, offset], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(gain, offset)
        value.backward()
        return value

    optimizer.step(closure)
    return float(gain.detach()), float(offset.detach())
