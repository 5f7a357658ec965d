"""A backend for benchmarks that costs nothing, so that what is measured is the node's own work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.base import check_feed, expected_inputs, expected_outputs
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Licence, Manifest
from recon3d_ros.model_zoo.manifest_file import dump_manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

# Inputs and outputs change with every frame, so that nothing of the last one can be used again.
SCENES = 3
_NAME = "benchmark"


class CopyingBackend:
    """Copies its inputs; its outputs are full-size disparities that change with every frame.

    Attributes:
        delay_s: How long it waits before it returns, as for a network on another processor.
    """

    name = "copying"
    precision = "fp32"
    delay_s = 0.0

    def __init__(self, manifest: Manifest, threads: int = 0, precision: str = "auto") -> None:
        self.inputs: tuple[TensorSpec, ...] = expected_inputs(manifest)
        self.outputs: tuple[TensorSpec, ...] = expected_outputs(manifest)
        self._output = manifest.output.name
        self._copies: dict[str, NDArray[Any]] = {}
        self._planes: list[NDArray[np.float32]] = []
        self._count = 0

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Copy the (1, H, W, 3) images, return (1, H, W) px."""
        check_feed(self.inputs, feed)
        for name, tensor in feed.items():
            if name not in self._copies or self._copies[name].shape != tensor.shape:
                self._copies[name] = np.empty_like(tensor)
                self._planes = [disparity(tensor.shape[1:3], seed)[None] for seed in range(SCENES)]
            np.copyto(self._copies[name], tensor)
        time.sleep(self.delay_s)
        self._count += 1
        return {self._output: self._planes[self._count % SCENES].copy()}

    def close(self) -> None:
        """Nothing to release."""


def write_model(folder: Path) -> Path:
    """Write the manifest that the `CopyingBackend` serves; inputs are uint8: scaling is a network's work."""
    manifest = Manifest(
        name=_NAME,
        task="stereo_disparity",
        input=InputContract(names=("left", "right"), layout="NHWC", dtype="uint8", multiple_of=1),
        output=OutputContract(name="disparity", unit="px", layout="NHW"),
        licence=Licence(weights="no weights"),
    )
    path = folder / f"{_NAME}.yaml"
    dump_manifest(manifest, path)
    return path


def disparity(shape_hw: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """(H, W) px, all within the depth limits of a node."""
    return np.random.default_rng(seed).uniform(8.0, 60.0, shape_hw).astype(np.float32)
