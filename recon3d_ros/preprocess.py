"""From an image to the tensor a model wants, and from its answer back onto the grid of the image, exactly.

Pixel centres are kept: pixel u of the image is (u + 0.5) * scale - 0.5 in the network, as cv2.resize has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.contract import InputContract, OutputContract
from recon3d_ros.errors import ContractError, ImageError

_UNIT_FACTORS = {"px": 1.0, "m": 1.0, "cm": 0.01, "relative_inverse_depth": 1.0}
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_SMALLEST_DEPTH = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Fit:
    """How an image lies in the network's input: resized to ``content_size_wh`` in the upper left corner.

    What remains of ``network_size_wh`` to the right and below repeats the edge; there neither a column nor
    a disparity moves.
    """

    image_size_wh: tuple[int, int]
    content_size_wh: tuple[int, int]
    network_size_wh: tuple[int, int]

    @property
    def shrinks(self) -> bool:
        """True when the content is nowhere larger than the image: areas are averaged."""
        return all(c <= i for c, i in zip(self.content_size_wh, self.image_size_wh, strict=True))

    def kept_hw(self, answer_hw: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of an answer that show the image, and one more of each to blend."""
        keep: list[int] = []
        sizes = zip(answer_hw, self.content_size_wh[::-1], self.network_size_wh[::-1], strict=True)
        for side, content, network in sizes:
            cells = content * side / network
            keep.append(content if side == network else min(side, math.ceil(cells) + 1))
        return keep[0], keep[1]

    def factors_yx(self, answer_hw: tuple[int, ...]) -> tuple[float, float]:
        """Image pixels per cell of the answer, down and along."""
        (width, height), (content_w, content_h) = self.image_size_wh, self.content_size_wh
        network_w, network_h = self.network_size_wh
        return height / content_h * network_h / answer_hw[0], width / content_w * network_w / answer_hw[1]


def plan_fit(contract: InputContract, size_wh: tuple[int, int]) -> Fit:
    """Choose the network's input size for an image of ``size_wh``, and the image's place in it.

    Raises:
        ImageError: the image is empty.
    """
    if min(size_wh) < 1:
        raise ImageError(f"an image must have pixels, got {size_wh[0]}x{size_wh[1]}")
    if contract.size_wh is not None:
        network = contract.size_wh
        content = _scaled(size_wh, _ratio(network, size_wh), network) if contract.fit == "pad" else network
        return Fit(size_wh, content, network)
    step = contract.multiple_of or 1
    content, largest = size_wh, None
    if contract.max_size_wh is not None:
        width, height = contract.max_size_wh
        largest = (width // step * step, height // step * step)
        content = _scaled(size_wh, min(1.0, _ratio(largest, size_wh)), largest)
    if contract.fit == "pad":
        width, height = (-(-side // step) * step for side in content)
        return Fit(size_wh, content, (width, height))
    width, height = (max(1, round(side / step)) * step for side in content)
    if largest is not None:
        width, height = min(width, largest[0]), min(height, largest[1])
    return Fit(size_wh, (width, height), (width, height))


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
        (width, height), channels = (
            fit.network_size_wh,
            contract.channels * image_count // len(contract.names),
        )
        planar = contract.layout == "NCHW"
        shape = (batch, channels, height, width) if planar else (batch, height, width, channels)
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


def to_image_grid(answer: NDArray[Any], contract: OutputContract, fit: Fit) -> NDArray[np.float32]:
    """Bring the answer of a network onto the grid and into the unit of the image; the inverse of the fit.

    Args:
        answer: As the network gave it, ``contract.layout``; of several channels the first one counts.
        contract: Says layout and unit.
        fit: The one its input was made with.

    Returns:
        A new (H, W) array: disparity in px of the image, depth in m, or relative inverse depth. What is no
        answer is NaN: not finite, a negative disparity or one above ``max_disparity_px``, a depth that is
        not positive. A pixel between an answer and none is NaN too.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    plane = _plane(answer, contract)
    return _resized(_limited(_uncovered(plane, fit), *value_limits(contract, fit)), plane.shape, fit)


def value_limits(contract: OutputContract, fit: Fit) -> tuple[float, float, float]:
    """The factor to the unit of the image, and the least and the largest value that is an answer there."""
    factor, low, high = _factor(contract, fit), 0.0, _FLOAT32_MAX
    if contract.unit == "relative_inverse_depth":
        low = -_FLOAT32_MAX
    elif contract.unit in ("m", "cm"):
        low = _SMALLEST_DEPTH
    elif contract.max_disparity_px is not None:
        high = contract.max_disparity_px * fit.image_size_wh[0] / fit.content_size_wh[0]
    return factor, low, high


def confidence_to_image_grid(answer: NDArray[Any], contract: OutputContract, fit: Fit) -> NDArray[np.float32]:
    """Bring the confidence of a network onto the grid of the image: (H, W) in [0, 1], 0 where it is NaN.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    plane = _plane(answer, contract)
    values = _uncovered(plane, fit).astype(np.float32)
    np.fmax(values, 0.0, out=values)  # of NaN and a number, fmax takes the number
    np.minimum(values, 1.0, out=values)
    return _resized(values, plane.shape, fit)


def sigma_to_image_grid(answer: NDArray[Any], contract: OutputContract, fit: Fit) -> NDArray[np.float32]:
    """Bring the standard deviation of a network's answer onto the grid and into the unit of the image.

    Returns:
        A new (H, W) array: px of the image, or m; NaN where it is not finite or negative.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    plane = _plane(answer, contract)
    values = _limited(_uncovered(plane, fit), abs(_factor(contract, fit)), 0.0, _FLOAT32_MAX)
    return _resized(values, plane.shape, fit)


def _factor(contract: OutputContract, fit: Fit) -> float:
    """What makes a value of the network one in the unit of the image."""
    factor = contract.scale * _UNIT_FACTORS[contract.unit]
    return factor * fit.image_size_wh[0] / fit.content_size_wh[0] if contract.unit == "px" else factor


def _limited(plane: NDArray[Any], factor: float, low: float, high: float) -> NDArray[np.float32]:
    """A new array of the plane times the factor, NaN where it is not within the limits."""
    with np.errstate(over="ignore", invalid="ignore"):
        values: NDArray[np.float32] = np.multiply(plane, factor, dtype=np.float32)
        inside = values >= low
        inside &= values <= high
    np.copyto(values, np.nan, where=~inside)
    return values


def _ratio(target_wh: tuple[int, int], size_wh: tuple[int, int]) -> float:
    return min(target_wh[0] / size_wh[0], target_wh[1] / size_wh[1])


def _scaled(size_wh: tuple[int, int], ratio: float, limit_wh: tuple[int, int]) -> tuple[int, int]:
    """Scale a size, at least one pixel and within the limit whatever the rounding."""
    width, height = (min(max(1, round(s * ratio)), limit) for s, limit in zip(size_wh, limit_wh, strict=True))
    return width, height


def _check_image(image: NDArray[Any], fit: Fit) -> None:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ImageError(f"expected an image of (H, W) or (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if image.shape[1::-1] != fit.image_size_wh:
        expected, got = ("x".join(map(str, size)) for size in (fit.image_size_wh, image.shape[1::-1]))
        raise ImageError(f"expected an image of {expected}, got {got}")


def _plane(answer: NDArray[Any], contract: OutputContract) -> NDArray[Any]:
    """The (h, w) plane of an answer of any layout."""
    layout = contract.layout
    if answer.ndim != len(layout) or 0 in answer.shape or (layout[0] == "N" and answer.shape[0] != 1):
        raise ContractError(
            f"expected the output {contract.name!r} as one {layout}, got shape {answer.shape}"
        )
    if layout == "NHWC":
        return answer[0, :, :, 0]
    return answer.reshape(-1, *answer.shape[-2:])[0]


def _uncovered(plane: NDArray[Any], fit: Fit) -> NDArray[Any]:
    """The part of an answer that shows the image, without the padding; one more row and column to blend."""
    rows, columns = fit.kept_hw(plane.shape)
    return plane[:rows, :columns]


def _resized(values: NDArray[Any], answer_hw: tuple[int, ...], fit: Fit) -> NDArray[np.float32]:
    """Resize what :func:`_uncovered` left onto the image."""
    width, height = fit.image_size_wh
    # As they are: sizes in whole pixels would round them, and shift the far columns of a padded image.
    fy, fx = fit.factors_yx(answer_hw)
    if fx != 1.0 or fy != 1.0:
        if (round(values.shape[0] * fy), round(values.shape[1] * fx)) == values.shape:
            # Sizes that round to what they were: cv2.resize would copy, whatever the factors.
            values = _blended(_blended(values, fy, height).T, fx, width).T
        else:
            values = cv2.resize(values, None, fx=fx, fy=fy, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(values[:height, :width])


def _blended(values: NDArray[Any], factor: float, count: int) -> NDArray[np.float32]:
    """Resize the rows as cv2.resize does: linear between centres, the outermost repeated."""
    at = np.clip((np.arange(count) + 0.5) / factor - 0.5, 0, len(values) - 1)
    low = at.astype(int)
    part = (at - low).astype(np.float32)[:, None]
    return values[low] * (1 - part) + values[np.minimum(low + 1, len(values) - 1)] * part
