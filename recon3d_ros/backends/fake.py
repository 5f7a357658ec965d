"""A backend without a network: the whole path runs, fast and deterministic, where there is no model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.base import check_feed, expected_inputs, expected_outputs
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

# Weight of each channel of each image in the brightness; no two are equal, so that images or colours which
# change places change the output.
_WEIGHTS = ((0.5, 0.3, 0.2), (0.15, 0.1, 0.05))
_SIGMA = 0.01  # of the value
_METRES_OF_UNIT = {"m": 1.0, "cm": 0.01}


class FakeBackend:
    """Gives a plane that depends on the size and the mean colours of its inputs, and on nothing else.

    Let b be the sum over images and channels of a weight times the mean of the channel, over every fourth
    row and column, with image values in [0, 1] (the normalisation undone) and channels in the order of the
    tensor, and let y in (0, 1) run down the rows. Every row is constant. A stereo model gives the
    disparity (0.02 + 0.08 y) (0.5 + b) * width, nearer further down; a metric model the depth
    (5 - 4 y) (0.5 + b) metres; a relative one the inverse of that. Confidence is 1, sigma a hundredth of
    the value; each frame of a batch is taken by itself.

    Args:
        manifest: Any model; its contracts are obeyed, its file is not needed.
        threads: Has no effect.
        precision: Has no effect.
    """

    name = "fake"
    precision = "fp32"

    def __init__(self, manifest: Manifest, threads: int = 0, precision: str = "auto") -> None:
        self.inputs: tuple[TensorSpec, ...] = tuple(
            replace(spec, shape=(None, *spec.shape[1:])) for spec in expected_inputs(manifest)
        )
        self.outputs: tuple[TensorSpec, ...] = expected_outputs(manifest)
        self._manifest = manifest

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Make the planes for these inputs, as :meth:`recon3d_ros.backends.base.Backend.infer`."""
        extra = {item.name for item in self._manifest.input.extra}
        check_feed(self.inputs, {name: array for name, array in feed.items() if name not in extra})
        contract, output = self._manifest.input, self._manifest.output
        batches = [feed[name] for name in contract.names]
        height, width = (batches[0].shape[contract.layout.index(axis)] for axis in "HW")
        batches = [self._frames(batch) for batch in batches]
        y = (np.arange(height, dtype=np.float32) + 0.5) / height
        rows = [
            self._rows(y, 0.5 + self._brightness([batch[i] for batch in batches]), width)
            for i in range(len(batches[0]))
        ]
        raw = (self._before_transform(np.stack(rows)) - output.offset) / output.scale
        plane = np.repeat(raw.astype(output.dtype)[..., None], width, axis=2)
        planes = {output.name: plane}
        if output.confidence:
            sure = float(output.confidence_kind == "probability") / output.confidence_scale
            planes[output.confidence] = np.full_like(plane, sure)
        if output.sigma:
            planes[output.sigma] = (plane * _SIGMA).astype(output.dtype)
        if output.invalid:
            limit = output.invalid.above if output.invalid.above is not None else output.invalid.below
            planes[output.invalid.name] = np.full_like(plane, limit)  # which is not beyond the limit
        count = (output.channel or 0) + 1
        sides = {"N": len(plane), "S": 1, "C": 1, "H": height, "W": width}
        shape = tuple(sides[axis] for axis in output.layout)
        tensors = {name: p.reshape(shape) for name, p in planes.items()}
        if "C" in output.layout:
            axis = output.layout.index("C")
            tensors[output.name] = np.repeat(tensors[output.name], count, axis=axis)
        return tensors

    def close(self) -> None:
        """Nothing to release."""

    def _rows(self, y: NDArray[np.float32], factor: float, width: int) -> NDArray[np.float32]:
        unit = self._manifest.output.unit
        if unit in ("px", "width"):
            return (0.02 + 0.08 * y) * factor * (width if unit == "px" else 1)
        depth_m = (5.0 - 4.0 * y) * factor
        return depth_m / _METRES_OF_UNIT[unit] if unit in _METRES_OF_UNIT else 1.0 / depth_m

    def _before_transform(self, values: NDArray[Any]) -> NDArray[Any]:
        transform = self._manifest.output.transform
        if transform == "exp":
            return np.log(values)
        return np.float32(1.0) / values if transform == "inverse" else values

    def _frames(self, batch: NDArray[Any]) -> NDArray[Any]:
        """The frames of a tensor of any layout, (N, C, H, W) or (N, H, W, C); S counts as channels."""
        layout = self._manifest.input.layout
        frames = batch if layout.startswith("N") else batch[None]
        return frames.reshape(len(frames), -1, *frames.shape[-2:]) if "S" in layout else frames

    def _brightness(self, tensors: list[NDArray[Any]]) -> float:
        contract = self._manifest.input
        if contract.is_planar:
            means = [tensor[:, ::4, ::4].mean(axis=(1, 2), dtype=np.float64) for tensor in tensors]
        else:
            means = [tensor[::4, ::4].mean(axis=(0, 1), dtype=np.float64) for tensor in tensors]
        mean, std = np.array(contract.mean), np.array(contract.std)
        channels = np.concatenate(means)
        images = (channels.reshape(-1, contract.channels) * std + mean) / contract.scale / 255.0
        weights = np.array(_WEIGHTS)[: len(images), : contract.channels]
        return float((weights * images).sum())
