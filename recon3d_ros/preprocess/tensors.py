"""From images to the tensors a model wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.preprocess.fit import Fit


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
        planar = contract.layout == "NCHW"
        shape = contract.tensor_shape(fit.network_size_wh, image_count, batch)
        channels = shape[1 if planar else 3]
        self._tensors = {name: np.empty(shape, contract.dtype) for name in contract.names}
        # One frame after the other when planar, else the planes of one frame for all.
        self._planes = [
            tensor if planar else np.empty((1, channels, height, width), contract.dtype)
            for tensor in self._tensors.values()
        ]
        content_w, content_h = fit.content_size_wh
        self._split = [np.empty((content_h, content_w), np.uint8) for _ in range(3)]
        is_rgb = (contract.dtype, contract.layout, contract.color) == ("uint8", "NHWC", "rgb")
        sizes = {fit.image_size_wh, fit.content_size_wh, fit.network_size_wh}
        self._is_plain = is_rgb and len(sizes) == 1 and len(contract.names) == image_count
        self._gains = [contract.scale / std for std in contract.std]
        self._offsets = [-mean / std for mean, std in zip(contract.mean, contract.std, strict=True)]

    def tensors(self, *frames: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
        """Make the tensors of the images of these frames, ``batch`` of them.

        Args:
            frames: Of each its images, left before right: (H, W, 3) RGB or (H, W) mono, uint8, of the size
                the fit was planned for.

        Returns:
            One array per input name, (batch, C, h, w) or (batch, h, w, C) of the contract's dtype, with the
            values (image * scale - mean) / std. The next call overwrites them.

        Raises:
            ImageError: an image has another size, shape or dtype.
        """
        channels = self._contract.channels
        if self._is_plain:
            return self._copied(frames)
        for index, images in enumerate(frames):
            targets = [plane for planes in self._planes for plane in planes[index % len(planes)]]
            for i, image in enumerate(images):
                self._write(image, targets[i * channels : (i + 1) * channels])
            if self._contract.layout == "NHWC":
                for tensor, planes in zip(self._tensors.values(), self._planes, strict=True):
                    cv2.merge(list(planes[0]), dst=tensor[index])
        return self._tensors

    def _copied(self, frames: Sequence[Sequence[NDArray[np.uint8]]]) -> dict[str, NDArray[Any]]:
        """The images as they are, without splitting and merging: 0.1 instead of 0.4 ms at 640x480."""
        for index, images in enumerate(frames):
            for image, tensor in zip(images, self._tensors.values(), strict=True):
                _check_image(image, self._fit)
                tensor[index] = image if image.ndim == 3 else image[..., None]
        return self._tensors

    def _write(self, image: NDArray[np.uint8], targets: list[NDArray[Any]]) -> None:
        """Write the channels of one image, pad them by their edge."""
        width, height = self._fit.content_size_wh
        for channel, (plane, target) in enumerate(zip(self._content(image), targets, strict=True)):
            inner = target[:height, :width]
            if self._contract.dtype == "uint8":
                inner[...] = plane
            else:
                # The dtype is given: NumPy 1 would multiply uint8 by a small scalar in float16.
                np.multiply(plane, self._gains[channel], out=inner, dtype=np.float32)
                if self._offsets[channel]:
                    np.add(inner, np.float32(self._offsets[channel]), out=inner)
            target[:height, width:] = target[:height, width - 1 : width]
            target[height:] = target[height - 1]

    def _content(self, image: NDArray[Any]) -> list[NDArray[Any]]:
        """The channels of the tensor, (h, w) uint8 each, in its colour order, resized but not padded."""
        _check_image(image, self._fit)
        contract, fit = self._contract, self._fit
        if contract.color == "mono" and image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if fit.content_size_wh != fit.image_size_wh:
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
