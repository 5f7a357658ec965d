"""Start a network from the weights of another one, as far as they fit, or from what it is to learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.stereo import StereoNetwork

# Weights with one slice per bin: name, axis of the bins, and whether their sum over bins has to stay.
BIN_LOGITS, BIN_BIAS = "hourglass.leave.weight", "hourglass.leave.bias"
BIN_WEIGHTS = (("hourglass.enter.0.0.weight", 1, True), (BIN_LOGITS, 0, False))


@torch.no_grad()
def warm_start(network: torch.nn.Module, weights: dict[str, Tensor], config: dict[str, Any]) -> int:
    """Copy what has the same name and shape; weights per bin are interpolated to another step.

    Args:
        network: Takes the weights; the rest stays as initialised.
        weights: State of the other network.
        config: Its configuration.

    Returns:
        How many tensors were taken.
    """
    weights = dict(weights)
    if isinstance(network, StereoNetwork) and BIN_BIAS in weights:
        _fit_bins(network, weights, config)
        if network.config.logits_kernel == 1:
            # Neighbouring features are alike: the sum of the taps answers almost as all of them.
            weights[BIN_LOGITS] = weights[BIN_LOGITS].sum(dim=(2, 3), keepdim=True)
    own = network.state_dict()
    fitting = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    network.load_state_dict(fitting, strict=False)
    return len(fitting)


def freeze(network: torch.nn.Module, names: list[str]) -> None:
    """Let these modules keep their weights and statistics.

    Raises:
        ConfigError: The network has no such module, or nothing would be left to train.
    """
    modules = dict(network.named_modules())
    for name in names:
        if name not in modules:
            parts = ", ".join(name for name, _ in network.named_children())
            raise ConfigError(
                f"expected modules of the network ({parts}) in freeze, got '{name}': correct it"
            )
        modules[name].eval().requires_grad_(False)
    if not any(p.requires_grad for p in network.parameters()):
        raise ConfigError(f"expected something left to train, got freeze {', '.join(names)}: name fewer")


@torch.no_grad()
def match_feature_statistics(network: torch.nn.Module, features: Mapping[str, Tensor]) -> None:
    """Give the last normalisation of modules the mean and spread of the features that they are to learn.

    A teacher's channels differ by factors of a hundred: spread as usual, a network needed five hundred steps
    to come as far as it came in ninety from here.

    Args:
        network: Its modules keep all other weights.
        features: By the name of a module, (B, C, h, w); of other channels than its own they are left aside.
    """
    for name, theirs in features.items():
        parts = network.get_submodule(name).modules()
        *_, last = (part for part in parts if isinstance(part, torch.nn.BatchNorm2d))
        if last.num_features == theirs.shape[1]:
            variance, mean = torch.var_mean(theirs, dim=(0, 2, 3))
            last.weight.copy_(variance.sqrt())
            last.bias.copy_(mean)


def _fit_bins(network: StereoNetwork, weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Interpolate the weights per bin, in place, to the network's own bins."""
    bins, step = network.config.bins, network.config.step_px
    old_bins, old_step = int(config["bins"]), int(config.get("step_px", 4))
    if (bins, step) == (old_bins, old_step):
        return
    for name, axis, keep_sum in BIN_WEIGHTS:
        part = weights[name]
        per_bin, rest = part.split([old_bins, part.shape[axis] - old_bins], dim=axis)
        per_bin = resampled(per_bin, axis, bins, step / old_step)
        weights[name] = torch.cat([per_bin * (step / old_step) if keep_sum else per_bin, rest], dim=axis)
    weights[BIN_BIAS] = resampled(weights[BIN_BIAS], 0, bins, step / old_step)


def resampled(values: Tensor, axis: int, bins: int, ratio: float) -> Tensor:
    """Interpolate along an axis of bins; the last bin is disparity 0 before and after, as in `correlate`.

    Args:
        values: Any shape.
        axis: That of the bins.
        bins: New number of them.
        ratio: New step over old step.
    """
    moved = values.movedim(axis, -1)
    rows = moved.reshape(1, -1, moved.shape[-1]).float()
    count = rows.shape[-1]
    # Position of each new bin on the old axis, counted from its last bin.
    at = count - 1 - ratio * torch.arange(bins - 1, -1, -1, dtype=torch.float32)
    low = at.floor().clamp(0, count - 1).long()
    part = (at - low).clamp(0.0, 1.0)
    mixed = rows[..., low] * (1 - part) + rows[..., (low + 1).clamp(max=count - 1)] * part
    return mixed.reshape(*moved.shape[:-1], bins).movedim(-1, axis)
