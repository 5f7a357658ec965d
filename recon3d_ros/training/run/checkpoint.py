"""Checkpoints: config, weights, optimiser and progress in one file, written atomically."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import AveragedModel, get_swa_avg_fn

from recon3d_ros.errors import ArtifactError
from recon3d_ros.files import make_folder, write_atomically
from recon3d_ros.networks import build_network, task_of

if TYPE_CHECKING:
    from recon3d_ros.networks import Network

# What an exported model or a new run needs of a checkpoint; this much is kept beside a shipped model.
WEIGHTS = ("network", "config", "average", "step", "samples", "seconds", "history", "run")
# What weights made by newer versions also have.
EXTRA = ("sources",)
# Fields of a network's config, by its task, that older checkpoints do not have, and what they were without.
ADDED = {"stereo": {"refinement": 0}}
# The same of its weights, single numbers.
ADDED_WEIGHTS = {"stereo": {"locking": 0.0}}
# What continues the very same run.
PROGRESS = ("state", "optimizer")


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; a crash meanwhile leaves the former one.

    Raises:
        OutputError: The disk is full or the folder not writable.
    """
    buffer = BytesIO()
    torch.save(content, buffer)
    make_folder(path.parent)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, device: str = "cpu", *, resume: bool = False) -> dict[str, Any]:
    """Read a checkpoint; tensors and plain values only, so a foreign file cannot run code.

    Args:
        path: Of a training run, or of the weights beside an exported model.
        device: Where its tensors go.
        resume: Ask for what continues the run, too.

    Raises:
        ArtifactError: The file is missing, corrupt, not a checkpoint of this package, or (to resume) one
            of weights alone.
    """
    if not path.is_file():
        raise ArtifactError(
            f"expected a checkpoint at {path}, got nothing there: make one with 'recon3d train'"
        )
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as exc:  # of a damaged file torch, zipfile and pickle raise of every kind
        raise ArtifactError(
            f"expected a checkpoint in {path}, got a file torch cannot read: train again"
        ) from exc
    _check_types(content, path)
    required = WEIGHTS + PROGRESS if resume else WEIGHTS
    missing = [key for key in required if key not in content] if isinstance(content, dict) else list(required)
    if missing and not set(missing) - set(PROGRESS):
        raise ArtifactError(
            f"expected a checkpoint of a training run in {path}, got weights alone: start a new run from "
            f"them with --from {path}"
        )
    if missing:
        raise ArtifactError(
            f"expected a checkpoint of 'recon3d train' in {path}, got one without {missing}: train again"
        )
    task = task_of(content["network"])
    content["config"] = {**ADDED.get(task, {}), **content["config"]}
    numbers = {name: torch.tensor(value) for name, value in ADDED_WEIGHTS.get(task, {}).items()}
    for key in ("average", *(("state",) if resume else ())):
        content[key] = {**numbers, **content[key]}
    return content


def _check_types(content: Any, path: Path) -> None:
    """Refuse a checkpoint with a part of another type than training writes."""
    if not isinstance(content, dict):
        return
    for key, holds in _TYPES.items():
        if key in content and not holds(content[key]):
            raise ArtifactError(
                f"expected a checkpoint of 'recon3d train' in {path}, got {type(content[key]).__name__} of "
                f"a wrong kind as {key}: train again"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_words(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_weights(value: Any) -> bool:
    return _is_words(value) and all(isinstance(one, torch.Tensor) for one in value.values())


def _is_history(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        _is_words(row) and all(isinstance(one, (int, float)) for one in row.values()) for row in value
    )


def _is_sources(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(row, (list, tuple)) and all(isinstance(word, str) for word in row) for row in value
    )


_TYPES: dict[str, Callable[[Any], bool]] = {
    "network": lambda value: isinstance(value, str),
    "config": _is_words,
    "average": _is_weights,
    "state": _is_weights,
    "adapters": _is_weights,
    "losses": lambda value: isinstance(value, list),
    "loss_sum": lambda value: isinstance(value, torch.Tensor),
    "step": _is_count,
    "samples": _is_count,
    "seconds": _is_number,
    "history": _is_history,
    "run": _is_words,
    "sources": _is_sources,
    "optimizer": _is_words,
}


def load_network(path: Path, *others: Path) -> tuple[Network, dict[str, Any]]:
    """A network with its averaged weights, for inference on the CPU, and the checkpoint it came from.

    Of several, the mean of their weights: of runs that began alike it is often better than each where images
    differ from those that trained (Wortsman et al., *Model soups*, ICML 2022). The checkpoint is the first
    one's, with the sources of all, their number as `parts`, and no history: nobody has validated it yet.

    Raises:
        ArtifactError: A file is no checkpoint, its weights do not fit its config, or another network's.
        ConfigError: The network is unknown here.
    """
    content = load_checkpoint(path)
    network = _build(content, path)
    load_weights(network, content["average"], path)
    if others:
        _average(network, content, others)
    return network.eval(), content


def _build(content: dict[str, Any], path: Path) -> Network:
    """The network of a checkpoint, which must have the weights for it: a config alone may claim terabytes."""
    name, config, weights = content["network"], content["config"], content["average"]
    try:
        with torch.device("meta"):
            claimed = build_network(name, config).state_dict()
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError, ArithmeticError) as exc:
        raise ArtifactError(
            f"expected the config of a network {name:.40} in {path}, got one that cannot be used "
            f"({' '.join(str(exc).split()):.120}): train again"
        ) from exc
    if {key: value.shape for key, value in claimed.items()} != {
        key: value.shape for key, value in weights.items()
    }:
        raise _other_weights(path)
    return build_network(name, config)


def _other_weights(path: Path) -> ArtifactError:
    return ArtifactError(
        f"expected weights for the config in {path}, got others: leave network, losses and teacher of "
        "the run as they were, or train again"
    )


def _average(network: Network, content: dict[str, Any], others: tuple[Path, ...]) -> None:
    # Its own function for several tensors at once refuses whole numbers, the counts of batches.
    mean = AveragedModel(network, avg_fn=get_swa_avg_fn(), use_buffers=True)
    mean.update_parameters(network)
    sources = [tuple(source) for source in content.get("sources", ())]
    for path in others:
        other = load_checkpoint(path)
        if (other["network"], other["config"]) != (content["network"], content["config"]):
            raise ArtifactError(f"expected the same network in {path}, got another one: name runs of one")
        load_weights(network, other["average"], path)
        mean.update_parameters(network)
        sources += [tuple(source) for source in other.get("sources", ())]
    network.load_state_dict(mean.module.state_dict())
    content |= {"sources": list(dict.fromkeys(sources)), "parts": 1 + len(others), "history": []}


def load_progress(optimizer: torch.optim.Optimizer, saved: dict[str, Any], path: Path) -> None:
    """Put what the checkpoint at `path` has of the optimiser into it.

    Raises:
        ArtifactError: It is that of another run, or damaged.
    """
    try:
        optimizer.load_state_dict(saved["optimizer"])
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as exc:
        raise ArtifactError(
            f"expected the optimiser of this run in {path}, got another one ({exc!s:.120}): start a new run "
            f"with --from {path}"
        ) from exc


def load_weights(network: torch.nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Put the weights of the checkpoint at `path` into a network.

    Raises:
        ArtifactError: They belong to another network.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as exc:
        raise _other_weights(path) from exc
