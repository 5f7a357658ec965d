"""The export of a network that labels points: its graph, the comparison, and the golden output."""

from __future__ import annotations

import warnings
from dataclasses import replace
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.backends import open_backend
from recon3d_ros.errors import BackendError
from recon3d_ros.evaluation.world_clouds import levelled
from recon3d_ros.geometry.level import level_transform
from recon3d_ros.model_zoo.manifest import Artifact, Golden, Manifest
from recon3d_ros.model_zoo.registry import sha256_of
from recon3d_ros.preprocess.points import point_tensors

OPSET = 17
LARGEST_DIFFERENCE = 1e-3
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
    path = manifest.file_path(f"{manifest.name}.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see write_onnx of export.py
        torch.onnx.export(
            network,
            _tensors(manifest, cloud),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(manifest.input.names),
            output_names=[manifest.output.name],
        )
    return replace(manifest, artifacts=(Artifact(path.name, sha256_of(path)),))


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
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in zip(outputs, references)])
    share = float((~(apart <= LARGEST_DIFFERENCE)).mean())
    if share > 0:
        raise BackendError(
            f"expected ONNX Runtime to answer as torch does, got {100 * share:.1f} % of the "
            f"probabilities apart by "
            f"more than {LARGEST_DIFFERENCE} (largest {apart.max():.3f}): find the node"
        )
    return outputs, float(apart.max()), share


def write_golden_cloud(manifest: Manifest, cloud: Cloud, expected: NDArray[np.float32]) -> Manifest:
    """Write the golden output beside the manifest; returns the manifest that names it."""
    path = manifest.file_path(f"{manifest.name}.golden.npz")
    buffer = BytesIO()
    content = {manifest.input.names[0]: cloud, "expected": expected[:, : len(cloud)]}
    np.savez_compressed(buffer, **content)  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue())
    return replace(manifest, golden=Golden(path.name, sha256_of(path)))


def _tensors(manifest: Manifest, cloud: Cloud) -> tuple[torch.Tensor, ...]:
    tensors = point_tensors(cloud, manifest.point_contracts[0])
    return tuple(torch.from_numpy(tensor) for tensor in tensors.values())
