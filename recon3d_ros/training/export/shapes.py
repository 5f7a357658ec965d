"""The export of networks that give points of objects: graph, comparison, golden output."""

from __future__ import annotations

import warnings
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros.backends import open_backend
from recon3d_ros.errors import BackendError
from recon3d_ros.evaluation.world_objects import (
    OBJECT_SIZE_WH,
    part_and_truth,
    render_object,
    unpack_object,
    view_and_truth,
)
from recon3d_ros.model_zoo.manifest import Artifact, Golden, Manifest
from recon3d_ros.model_zoo.registry import sha256_of
from recon3d_ros.training.export.clouds import OPSET
from recon3d_ros.training.samples.augment import planes

# Of a coordinate, in units of the object's frame.
LARGEST_DIFFERENCE = 1e-3
# World objects that neither train nor validate, with exact depth; the first is the golden one.
KNOWN_SEEDS = (900_000, 900_004)


def known_views(manifest: Manifest) -> list[NDArray[Any]]:
    """What the network is shown: crops (side, side, 3) uint8 RGB, or parts (count, 3) float32."""
    stored = [unpack_object(render_object(seed, OBJECT_SIZE_WH, source="")) for seed in KNOWN_SEEDS]
    if manifest.takes_points:
        return [part_and_truth(one, manifest.completion_contracts[0].count)[0] for one in stored]
    assert manifest.input.size_wh is not None
    return [view_and_truth(one, manifest.input.size_wh[0])[0] for one in stored]


def write_shape_graph(network: torch.nn.Module, manifest: Manifest, view: NDArray[Any]) -> Manifest:
    """Write the graph beside the manifest, all shapes fixed; returns the manifest with the artifact."""
    path = manifest.file_path(f"{manifest.name}.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see write_onnx of export.py
        torch.onnx.export(
            network,
            (torch.from_numpy(_feed(view)),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(manifest.input.names),
            output_names=[manifest.output.name],
        )
    return replace(manifest, artifacts=(Artifact(path.name, sha256_of(path)),))


def compare_shapes(
    network: torch.nn.Module, manifest: Manifest, views: list[NDArray[Any]]
) -> tuple[list[NDArray[np.float32]], float, float]:
    """Run views through ONNX Runtime and through torch.

    Returns:
        The outputs of ONNX Runtime, (1, N, 3); the largest difference of a coordinate; the share of them
        that differ by more than `LARGEST_DIFFERENCE`.

    Raises:
        BackendError: One of them does.
    """
    name = manifest.input.names[0]
    backend = open_backend("onnxruntime", manifest)
    try:
        outputs = [backend.infer({name: _feed(view)})[manifest.output.name] for view in views]
    finally:
        backend.close()
    with torch.no_grad():
        references = [network(torch.from_numpy(_feed(view))).numpy() for view in views]
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in zip(outputs, references)])
    share = float((~(apart <= LARGEST_DIFFERENCE)).mean())
    if share > 0:
        raise BackendError(
            f"expected ONNX Runtime to answer as torch does, got {100 * share:.1f} % of the coordinates "
            f"apart by more than {LARGEST_DIFFERENCE} (largest {apart.max():.3f}): find the node"
        )
    return outputs, float(apart.max()), share


def write_golden_shape(manifest: Manifest, view: NDArray[Any], expected: NDArray[np.float32]) -> Manifest:
    """Write the golden output beside the manifest; returns the manifest that names it."""
    path = manifest.file_path(f"{manifest.name}.golden.npz")
    buffer = BytesIO()
    np.savez_compressed(buffer, expected=expected, **{manifest.input.names[0]: view})  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue())
    return replace(manifest, golden=Golden(path.name, sha256_of(path)))


def _feed(view: NDArray[Any]) -> NDArray[np.float32]:
    """The tensor of a view, with a batch of 1."""
    return (planes(view / np.float32(255)) if view.dtype == np.uint8 else view)[None]
