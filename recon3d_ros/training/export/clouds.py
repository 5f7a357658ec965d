"""The export of a network that labels points: its graph, the comparison, and the golden output."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.backends import open_backend
from recon3d_ros.evaluation.world_clouds import levelled
from recon3d_ros.geometry.level import level_transform
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.preprocess.points import point_tensors
from recon3d_ros.training.export.fixed_graph import (
    require_equal,
    write_fixed_graph,
    write_golden_arrays,
)

# World scenes that neither train nor validate, with exact depth, and how many points of each. The golden
# ones are few,
# repeated to what the network takes.
KNOWN_SEEDS, KNOWN_SIZE_WH = (900_000, 900_001), (160, 96)
GOLDEN_POINTS = 1000

Cloud = NDArray[np.float32]


def known_clouds() -> list[Cloud]:
    """Clouds of the world, (N, 3) float32 m in the level frame; the first is the golden one."""
    clouds = []
    for seed, most in zip(KNOWN_SEEDS, (GOLDEN_POINTS, 10 * GOLDEN_POINTS)):
        sample, pose = world.ground_sample(seed, KNOWN_SIZE_WH)
        assert sample.depth is not None
        level = level_transform(pose[2, :3], float(pose[2, 3]))
        clouds.append(levelled(sample.depth, sample.frame, level, most)[0])
    return clouds


def write_graph(network: torch.nn.Module, manifest: Manifest, cloud: Cloud) -> Manifest:
    """Write the graph beside the manifest, all shapes fixed; returns the manifest with the artifact."""
    return write_fixed_graph(network, manifest, _tensors(manifest, cloud))


def compare_clouds(
    network: torch.nn.Module, manifest: Manifest, clouds: list[Cloud]
) -> tuple[list[NDArray[np.float32]], float, float]:
    """Run clouds through ONNX Runtime and through torch.

    Returns:
        The outputs of ONNX Runtime, (1, count, classes); the largest difference of a probability; the
        share of them that differ by more than `LARGEST_DIFFERENCE`.

    Raises:
        BackendError: One of them does.
    """
    backend = open_backend("onnxruntime", manifest)
    try:
        contract = manifest.point_contracts[0]
        outputs = [backend.infer(point_tensors(cloud, contract))[manifest.output.name] for cloud in clouds]
    finally:
        backend.close()
    with torch.no_grad():
        references = [network(*_tensors(manifest, cloud)).numpy() for cloud in clouds]
    return outputs, *require_equal(outputs, references, "probabilities")


def write_golden_cloud(manifest: Manifest, cloud: Cloud, expected: NDArray[np.float32]) -> Manifest:
    """Write the golden output beside the manifest; returns the manifest that names it."""
    arrays = {manifest.input.names[0]: cloud, "expected": expected[:, : len(cloud)]}
    return write_golden_arrays(manifest, arrays)


def _tensors(manifest: Manifest, cloud: Cloud) -> tuple[torch.Tensor, ...]:
    tensors = point_tensors(cloud, manifest.point_contracts[0])
    return tuple(torch.from_numpy(tensor) for tensor in tensors.values())
