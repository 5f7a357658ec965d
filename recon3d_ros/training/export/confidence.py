"""Make scale, confidence and sigma mean what they say, on samples that did not train the network.

Of what it has never seen, a mono network is not only unsure, it also leans to what it saw most: one factor
for all depth puts the middle right. Training images are harder than clean ones, so a network is too cautious
about these: a gain and an offset of the confidence's logit (Platt, 1999), and of the logarithm of sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.training.losses.scored import Scored

# Of each image: neighbouring pixels say the same, and tens of thousands fix four numbers.
PIXELS_PER_SAMPLE = 4000


@torch.no_grad()
def calibrate_scale(network: Any, answers: Iterable[Scored]) -> float:
    """Set the gain of a mono network in place; without answers it stays as it is.

    Args:
        network: In evaluation mode.
        answers: Its answers beside the truth, made while they are asked for: without a gain.

    Returns:
        The logarithm of the gain: the median over the images of the median of log truth less log estimate.
    """
    former = float(network.log_gain)
    network.log_gain.zero_()
    medians = [float(-scored.log_error[scored.logged].median()) for scored in answers]
    network.log_gain.fill_(float(np.median(medians)) if medians else former)
    return float(network.log_gain)


def calibrate(network: Any, answers: Iterable[Scored]) -> dict[str, float]:
    """Fit the four numbers in place; without answers they stay as they are.

    Args:
        network: With an `Uncertainty`, in evaluation mode.
        answers: Its answers beside the truth, made while they are asked for: with neutral numbers.

    Returns:
        The numbers by name.
    """
    head = network.uncertainty
    former = {name: float(getattr(head, name)) for name in NEUTRAL}
    for name, value in NEUTRAL.items():
        getattr(head, name).fill_(value)
    parts = [_observe(scored, seed) for seed, scored in enumerate(answers)]
    found = _fit_all(*(torch.cat(column) for column in zip(*parts))) if parts else former
    for name, value in found.items():
        getattr(head, name).fill_(value)
    return found


NEUTRAL = {"scale_gain": 1.0, "scale_offset": 0.0, "trust_gain": 1.0, "trust_offset": 0.0}


def is_calibrated(network: Any) -> bool:
    """Whether the four numbers have ever been fitted, maybe to the weights that these began as."""
    return any(float(getattr(network.uncertainty, name)) != value for name, value in NEUTRAL.items())


def _fit_all(error: Tensor, log_scale: Tensor, trust: Tensor, right: Tensor) -> dict[str, float]:
    def distrust(gain: Tensor, offset: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(gain * trust + offset, right)

    def surprise(gain: Tensor, offset: Tensor) -> Tensor:
        scaled = gain * log_scale + offset
        return (error * torch.exp(-scaled) + scaled).mean()

    found = dict(zip(("trust_gain", "trust_offset"), _fit(distrust)))
    return found | dict(zip(("scale_gain", "scale_offset"), _fit(surprise)))


@torch.no_grad()
def _observe(scored: Scored, seed: int) -> tuple[Tensor, ...]:
    """Error, logarithm of its scale, logit, and 1 for trusted, of some pixels with known truth."""
    known = np.flatnonzero(scored.known.numpy())
    pick = torch.from_numpy(np.random.default_rng(seed).permutation(known)[:PIXELS_PER_SAMPLE])
    planes = (scored.error, scored.log_scale, scored.trust, scored.trusted.float())
    return tuple(plane.reshape(-1)[pick] for plane in planes)


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
