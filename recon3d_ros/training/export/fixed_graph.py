"""The export of networks whose tensors have one size: graph, comparison with torch, golden output."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros.errors import BackendError
from recon3d_ros.model_zoo.manifest import Artifact, Golden, Manifest
from recon3d_ros.model_zoo.registry import sha256_of

OPSET = 17
LARGEST_DIFFERENCE = 1e-3  # of a probability, or of a coordinate in units of the object's frame


def write_fixed_graph(
    network: torch.nn.Module, manifest: Manifest, tensors: tuple[torch.Tensor, ...]
) -> Manifest:
    """Write the graph beside the manifest, all shapes fixed; returns the manifest with the artifact."""
    path = manifest.file_path(f"{manifest.name}.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see write_onnx of export.py
        torch.onnx.export(
            network,
            tensors,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(manifest.input.names),
            output_names=[manifest.output.name],
        )
    return replace(manifest, artifacts=(Artifact(path.name, sha256_of(path)),))


def require_equal(
    outputs: list[NDArray[np.float32]], references: list[NDArray[np.float32]], what: str
) -> tuple[float, float]:
    """Compare the outputs of ONNX Runtime with those of torch.

    Args:
        outputs: Of ONNX Runtime.
        references: Of torch, of the same shapes.
        what: Plural of what the numbers are, for people.

    Returns:
        The largest difference; the share of numbers that differ by more than `LARGEST_DIFFERENCE`.

    Raises:
        BackendError: One of them does.
    """
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in zip(outputs, references)])
    share = float((~(apart <= LARGEST_DIFFERENCE)).mean())
    if share > 0:
        raise BackendError(
            f"expected ONNX Runtime to answer as torch does, got {100 * share:.1f} % of the {what} "
            f"apart by more than {LARGEST_DIFFERENCE} (largest {apart.max():.3f}): find the node"
        )
    return float(apart.max()), share


def write_golden_arrays(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> Manifest:
    """Write arrays as the golden output beside the manifest; returns the manifest that names it."""
    path = manifest.file_path(f"{manifest.name}.golden.npz")
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue())
    return replace(manifest, golden=Golden(path.name, sha256_of(path)))
