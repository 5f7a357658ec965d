"""Checkpoints: config, weights, optimiser and progress in one file, written atomically."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import AveragedModel, get_swa_avg_fn

from recon3d_ros.errors import ArtifactError
from recon3d_ros.files import make_folder, write_atomically
from recon3d_ros.networks import build_network

if TYPE_CHECKING:
    from recon3d_ros.networks import Network

# What an exported model or a new run needs of a checkpoint; this much is kept beside a shipped model.
WEIGHTS = ("network", "config", "average", "step", "samples", "seconds", "history", "run")
# What weights made by newer versions also have.
EXTRA = ("sources",)
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
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as exc:
        raise ArtifactError(
            f"expected a checkpoint in {path}, got a file torch cannot read: train again"
        ) from exc
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
    return content


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
    network = build_network(content["network"], content["config"])
    load_weights(network, content["average"], path)
    if others:
        _average(network, content, others)
    return network.eval(), content


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


def load_weights(network: torch.nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Put the weights of the checkpoint at `path` into a network.

    Raises:
        ArtifactError: They belong to another network.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as exc:
        raise ArtifactError(
            f"expected weights for the config in {path}, got others: leave network, losses and teacher of "
            "the run as they were, or train again"
        ) from exc
