"""Make scale, sub-pixel parts, confidence and sigma right, on samples that did not train the network.

Of what it has never seen, a mono network is not only unsure, it also leans to what it saw most: one factor
for all depth puts the middle right. Training images are harder than clean ones, so a network is too cautious
about these: a gain and an offset of the confidence's logit (Platt, 1999), and of the logarithm of sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros import world
from recon3d_ros.evaluation import Degradation
from recon3d_ros.geometry import Sample
from recon3d_ros.networks.stereo import StereoNetwork
from recon3d_ros.training.export.description import crop_size_wh
from recon3d_ros.training.losses.loss_input import LossInput
from recon3d_ros.training.samples.sources import WORLD, first_source
from recon3d_ros.training.samples.store import VIEW_CHANNELS, SampleStore, pack_pair
from recon3d_ros.training.samples.tasks import task_for

if TYPE_CHECKING:
    from recon3d_ros.networks import Network

# Of each image: neighbouring pixels say the same, and tens of thousands fix four numbers.
PIXELS_PER_SAMPLE = 4000
# A robot has another lens than the camera that trained, and trust is to hold there, too: the images held out
# are seen through lenses so many times as long when confidence and sigma are calibrated.
LENSES = (1.0, 1.25, 1.5, 2.0)
# One room says nothing of scale and trust in the next: images held out at fewer places leave the scale as it
# was learnt, and trust as it was before a network was tuned to them.
MIN_PLACES = 4
# Gains and offsets of an `Uncertainty` that was never calibrated.
NEUTRAL = {"scale_gain": 1.0, "scale_offset": 0.0, "trust_gain": 1.0, "trust_offset": 0.0}
# A steeper sine would exchange near and far.
LARGEST_LOCKING = 0.9 / (2.0 * np.pi)
# World scenes that neither train nor validate.
CALIBRATION_SEED, CALIBRATION_SIZE_WH = 800_000, (640, 384)
# What is done to a second copy of each of them, in turn: trust is to hold with worse cameras, too. Rows that
# are off are aligned before they come to a network.
CALIBRATION_DEGRADATIONS = tuple(
    Degradation(kind, amount)
    for kind, amount in (
        ("size", 0.5),
        ("noise", 10.0),
        ("jpeg", 30.0),
        ("brightness", 0.15),
        ("size", 0.75),
    )
)


def calibrate(network: Network, content: Mapping[str, Any], folder: Path, count: int) -> None:
    """Calibrate the network of a checkpoint in place, on samples that did not train it.

    Args:
        network: In evaluation mode.
        content: The checkpoint.
        folder: Of the run, with what it held out.
        count: How many samples.
    """
    if isinstance(network, StereoNetwork):
        # Rendered once: that takes most of the time.
        pairs = [_calibration_pair(index, network.config.largest_px) for index in range(count)]
        packed = [pack_pair(pair) for pair in pairs]
        calibrate_locking(network, _predicted(network, content, packed))
        kinds = cycle(CALIBRATION_DEGRADATIONS)
        packed += [pack_pair(next(kinds).apply(pair, index)) for index, pair in enumerate(pairs)]
        calibrate_uncertainty(network, _predicted(network, content, packed))
        return
    telling = held_out_places(content, folder) >= MIN_PLACES
    if telling:
        calibrate_scale(network, held_out_predictions(network, content, folder, count))
    if telling or not is_calibrated(network):
        calibrate_uncertainty(network, held_out_predictions(network, content, folder, count, LENSES))


@torch.no_grad()
def calibrate_scale(network: Any, predictions: Iterable[LossInput]) -> float:
    """Set the gain of a mono network in place; without predictions it stays as it is.

    Args:
        network: In evaluation mode.
        predictions: Of the network beside the truth, made lazily: without a gain.

    Returns:
        The logarithm of the gain: the median over the images of the median of log truth less log estimate.
    """
    former = float(network.log_gain)
    network.log_gain.zero_()
    medians = [float(-inputs.log_error[inputs.logged].median()) for inputs in predictions]
    network.log_gain.fill_(float(np.median(medians)) if medians else former)
    return float(network.log_gain)


@torch.no_grad()
def calibrate_locking(network: Any, predictions: Iterable[LossInput]) -> float:
    """Set what a stereo network adds to whole bins, in place; without predictions it stays as it is.

    Args:
        network: In evaluation mode.
        predictions: Of the network beside the truth, made lazily: with nothing added.

    Returns:
        The amplitude of the sine, bins: that with the least mean absolute error.
    """
    former, step = float(network.locking), float(network.config.step_px)
    network.locking.zero_()
    parts = []
    for seed, inputs in enumerate(predictions):
        near = inputs.known & (inputs.error < step)  # what is farther off is wrong for another reason
        pick = _some(near, seed)
        estimate, truth = (plane.reshape(-1)[pick] / step for plane in (inputs.estimate, inputs.measured))
        parts.append(torch.stack([torch.sin(2.0 * np.pi * estimate), truth - estimate]))
    found = _least_absolute(*torch.cat(parts, dim=1)) if parts else former
    network.locking.fill_(min(max(found, -LARGEST_LOCKING), LARGEST_LOCKING))
    return float(network.locking)


def _least_absolute(waves: Tensor, errors: Tensor) -> float:
    """The factor a with the least sum of |errors - a waves|: a weighted median of their quotients."""
    waves, errors = (values[waves.abs() > 1e-3].double() for values in (waves, errors))
    if not len(waves):
        return 0.0
    order = torch.argsort(errors / waves)
    weights = waves.abs()[order].cumsum(0)
    middle = order[int(torch.searchsorted(weights, weights[-1] / 2))]
    return float(errors[middle] / waves[middle])


def calibrate_uncertainty(network: Any, predictions: Iterable[LossInput]) -> dict[str, float]:
    """Fit the four numbers in place; without predictions they stay as they are.

    Args:
        network: With an `Uncertainty`, in evaluation mode.
        predictions: Of the network beside the truth, made lazily: with neutral numbers.

    Returns:
        The numbers by name.
    """
    head = network.uncertainty
    former = {name: float(getattr(head, name)) for name in NEUTRAL}
    for name, value in NEUTRAL.items():
        getattr(head, name).fill_(value)
    parts = [_observe(inputs, seed) for seed, inputs in enumerate(predictions)]
    found = _fit_all(*(torch.cat(column) for column in zip(*parts))) if parts else former
    for name, value in found.items():
        getattr(head, name).fill_(value)
    return found


def is_calibrated(network: Any) -> bool:
    """Whether the four numbers have ever been fitted, maybe to the weights that these began as."""
    return any(float(getattr(network.uncertainty, name)) != value for name, value in NEUTRAL.items())


def _fit_all(error: Tensor, log_scale: Tensor, confidence_logit: Tensor, right: Tensor) -> dict[str, float]:
    def distrust(gain: Tensor, offset: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(gain * confidence_logit + offset, right)

    def surprise(gain: Tensor, offset: Tensor) -> Tensor:
        scaled = gain * log_scale + offset
        return (error * torch.exp(-scaled) + scaled).mean()

    found = dict(zip(("trust_gain", "trust_offset"), _fit(distrust)))
    return found | dict(zip(("scale_gain", "scale_offset"), _fit(surprise)))


@torch.no_grad()
def _observe(inputs: LossInput, seed: int) -> tuple[Tensor, ...]:
    """Error, logarithm of its scale, logit, and 1 for trusted, of some pixels with known truth."""
    pick = _some(inputs.known, seed)
    planes = (inputs.error, inputs.log_scale, inputs.confidence_logit, inputs.is_accurate.float())
    return tuple(plane.reshape(-1)[pick] for plane in planes)


def _some(chosen: Tensor, seed: int) -> Tensor:
    """Numbers of at most `PIXELS_PER_SAMPLE` of the chosen pixels."""
    numbers = np.random.default_rng(seed).permutation(np.flatnonzero(chosen.numpy()))
    return torch.from_numpy(numbers[:PIXELS_PER_SAMPLE])


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


def held_out_predictions(
    network: Network, content: Mapping[str, Any], folder: Path, count: int, lenses: Sequence[float] = (1.0,)
) -> Iterator[LossInput]:
    """Predictions of a mono network beside the truth to set scale, confidence and sigma by.

    Of what the run held out, when it lies in `folder`, through lenses that are so many times as long; without
    it nothing: the weights have been calibrated when they were exported.
    """
    store = _held_out(folder)
    held_out = (store.open(index) for index in range(min(count, len(store))))
    return _predicted(network, content, (magnified(packed, lens) for packed in held_out for lens in lenses))


@torch.no_grad()
def _predicted(
    network: Network, content: Mapping[str, Any], samples: Iterable[np.ndarray]
) -> Iterator[LossInput]:
    """Predictions of stored samples, made while they are asked for."""
    task = task_for(network, crop_size_wh(content))
    for packed in samples:
        yield task.full_image(network, packed)


def held_out_places(content: Mapping[str, Any], folder: Path) -> int:
    """At how many places the images were taken that a mono run in `folder` held out.

    Frames of a film that follow each other show one place, every scene of the world its own.
    """
    seeds = _held_out(folder).seeds
    if first_source(content["run"]) == WORLD:
        return len(seeds)
    return len(set(seeds) - {seed + 1 for seed in seeds})


def _held_out(folder: Path) -> SampleStore:
    store = SampleStore(folder / "validation", VIEW_CHANNELS)
    store.refresh()
    return store


def magnified(packed: np.ndarray, lens: float) -> np.ndarray:
    """Of a stored (H, W, C) image, what the camera would have seen through a lens so many times as long."""
    height, width = packed.shape[:2]
    h, w = round(height / lens), round(width / lens)
    y, x = (height - h) // 2, (width - w) // 2
    return packed[y : y + h, x : x + w]


def _calibration_pair(index: int, largest_px: float) -> Sample:
    """Training scenes are harder than what a camera mostly sees: every second one is a walk instead."""
    seed = CALIBRATION_SEED + index
    if seed % 2:
        kind = ("indoor", "outdoor")[seed // 2 % 2]
        return world.WorldCamera(seed, kind, CALIBRATION_SIZE_WH).sample(seed)
    return world.training_sample(seed, CALIBRATION_SIZE_WH, largest_px)
