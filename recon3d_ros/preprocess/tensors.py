"""From images to the tensors a model wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry.grey import to_grey
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.preprocess.fit import Fit

_INTERPOLATIONS = {
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
}


class Preprocessor:
    """Makes the input tensors of one model for images of one size, again and again in the same memory.

    Args:
        contract: Layout, dtype, colours and scale of the tensors; one name for two images stacks them
            along the channels.
        fit: From :func:`plan_fit`.
        image_count: 2 for a stereo model, else 1.
        batch: How many frames one call of `tensors` is given.
    """

    def __init__(self, contract: InputContract, fit: Fit, image_count: int, batch: int = 1) -> None:
        self._contract = contract
        self._fit = fit
        width, height = fit.network_size_wh
        channels = contract.channels * image_count // len(contract.names)
        shape = (batch, channels, height, width) if contract.is_planar else (batch, height, width, channels)
        # Floats of 32 bits: a backend gives its file another width.
        dtype = "uint8" if contract.dtype == "uint8" else "float32"
        self._tensors = {name: np.empty(shape, dtype) for name in contract.names}
        # One frame after the other when planar, else the planes of one frame for all.
        self._planes = [
            tensor if contract.is_planar else np.empty((1, channels, height, width), dtype)
            for tensor in self._tensors.values()
        ]
        self._shape = contract.tensor_shape(fit.network_size_wh, image_count, batch)
        x, y = fit.offset_xy
        self._is_corner = contract.pad_value is None and (x, y) == (0, 0)
        content_w, content_h = fit.content_size_wh
        self._split = [np.empty((content_h, content_w), np.uint8) for _ in range(3)]
        is_rgb = (contract.dtype, contract.layout, contract.color) == ("uint8", "NHWC", "rgb")
        sizes = {fit.image_size_wh, fit.content_size_wh, fit.network_size_wh}
        self._is_plain = (
            is_rgb and len(sizes) == 1 and len(contract.names) == image_count and contract.batch == 1
        )
        self._gains = [contract.scale / std for std in contract.std]
        self._pad = [] if contract.pad_value is None else list(contract.pad_value)
        self._offsets = [-mean / std for mean, std in zip(contract.mean, contract.std, strict=True)]

    def tensors(self, *frames: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
        """Make the tensors of the images of these frames, ``batch`` of them.

        Args:
            frames: Of each its images, left before right: (H, W, 3) RGB or (H, W) mono, uint8, of the size
                the fit was planned for.

        Returns:
            One array per input name in the contract's layout, uint8 or float32, with the
            values (image * scale - mean) / std; maybe views of the images, read-only as those are. The next
            call overwrites them.

        Raises:
            ImageError: an image has another size, shape or dtype.
        """
        channels = self._contract.channels
        if self._is_plain:
            return self._as_they_are(frames)
        for index, images in enumerate(frames):
            targets = [plane for planes in self._planes for plane in planes[index % len(planes)]]
            for i, image in enumerate(images):
                self._write(image, targets[i * channels : (i + 1) * channels])
            if not self._contract.is_planar:
                for tensor, planes in zip(self._tensors.values(), self._planes, strict=True):
                    cv2.merge(list(planes[0]), dst=tensor[index])
        if self._contract.layout in ("NCHW", "NHWC") and self._contract.batch == 1:
            return self._tensors
        return {name: self._shaped(tensor) for name, tensor in self._tensors.items()}

    def _shaped(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The tensor with the axes of the layout; one frame as often as a fixed batch wants it."""
        if len(tensor) < self._contract.batch:
            tensor = np.repeat(tensor[:1], self._contract.batch, axis=0)
        return tensor.reshape(self._shape)

    def _as_they_are(self, frames: Sequence[Sequence[NDArray[np.uint8]]]) -> dict[str, NDArray[Any]]:
        """The images without splitting and merging; those of one frame in colour without a copy either."""
        for image in (image for images in frames for image in images):
            _check_image(image, self._fit)
        if len(frames) == 1 and all(image.ndim == 3 and image.flags.c_contiguous for image in frames[0]):
            return {name: image[None] for name, image in zip(self._tensors, frames[0], strict=True)}
        for index, images in enumerate(frames):
            for image, tensor in zip(images, self._tensors.values(), strict=True):
                tensor[index] = image if image.ndim == 3 else image[..., None]
        return self._tensors

    def _write(self, image: NDArray[np.uint8], targets: list[NDArray[Any]]) -> None:
        """Write the channels of one image, and the padding."""
        (width, height), (x, y) = self._fit.content_size_wh, self._fit.offset_xy
        for channel, (plane, target) in enumerate(zip(self._content(image), targets, strict=True)):
            inner = target[y : y + height, x : x + width]
            if self._contract.dtype == "uint8":
                inner[...] = plane
            else:
                # The dtype is given: NumPy 1 would multiply uint8 by a small scalar in float16.
                np.multiply(plane, self._gains[channel], out=inner, dtype=np.float32)
                if self._offsets[channel]:
                    np.add(inner, np.float32(self._offsets[channel]), out=inner)
            if self._is_corner:
                target[:height, width:] = target[:height, width - 1 : width]
                target[height:] = target[height - 1]
            else:
                self._pad_around(target, channel)

    def _pad_around(self, target: NDArray[Any], channel: int) -> None:
        """Fill what is not the image: with the value of the contract, or its edge."""
        (width, height), (x, y) = self._fit.content_size_wh, self._fit.offset_xy
        rows = target[y : y + height]
        outside = (rows[:, :x], rows[:, x + width :], target[:y], target[y + height :])
        if self._pad:
            gain, offset = self._gains[channel], self._offsets[channel]
            value = np.float64(self._pad[channel]) * gain + offset
            edges = [value if target.dtype != np.uint8 else np.uint8(np.clip(round(value), 0, 255))] * 4
        else:
            # Rows last: their ends are filled by then, as the views show.
            edges = [
                rows[:, x : x + 1],
                rows[:, x + width - 1 : x + width],
                target[y],
                target[y + height - 1],
            ]
        for part, edge in zip(outside, edges, strict=True):
            part[...] = edge

    def _content(self, image: NDArray[Any]) -> list[NDArray[Any]]:
        """The channels of the tensor, (h, w) uint8 each, in its colour order, resized but not padded."""
        _check_image(image, self._fit)
        contract, fit = self._contract, self._fit
        if contract.color == "mono":
            image = to_grey(image)
        if fit.content_size_wh != fit.image_size_wh:
            how = _INTERPOLATIONS.get(contract.interpolation)
            if how is None:
                how = cv2.INTER_AREA if fit.shrinks else cv2.INTER_LINEAR
            image = cv2.resize(image, fit.content_size_wh, interpolation=how)
        if image.ndim == 2:
            return [image] * contract.channels
        cv2.split(image, self._split)
        return self._split[::-1] if contract.color == "bgr" else self._split


def _check_image(image: NDArray[Any], fit: Fit) -> None:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ImageError(f"expected an image of (H, W) or (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if image.shape[1::-1] != fit.image_size_wh:
        expected, got = ("x".join(map(str, size)) for size in (fit.image_size_wh, image.shape[1::-1]))
        raise ImageError(f"expected an image of {expected}, got {got}")
