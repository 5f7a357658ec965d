"""The export of networks that give points of objects: graph, comparison, golden output."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros.backends import open_backend
from recon3d_ros.evaluation.world_objects import (
    OBJECT_SIZE_WH,
    part_and_truth,
    render_object,
    unpack_object,
    view_and_truth,
)
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.training.export.fixed_graph import (
    require_equal,
    write_fixed_graph,
    write_golden_arrays,
)
from recon3d_ros.training.samples.augment import planes

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
    return write_fixed_graph(network, manifest, (torch.from_numpy(_feed(view)),))


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
    return outputs, *require_equal(outputs, references, "coordinates")


def write_golden_shape(manifest: Manifest, view: NDArray[Any], expected: NDArray[np.float32]) -> Manifest:
    """Write the golden output beside the manifest; returns the manifest that names it."""
    return write_golden_arrays(manifest, {"expected": expected, manifest.input.names[0]: view})


def _feed(view: NDArray[Any]) -> NDArray[np.float32]:
    """The tensor of a view, with a batch of 1."""
    return (planes(view / np.float32(255)) if view.dtype == np.uint8 else view)[None]
