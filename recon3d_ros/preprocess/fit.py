"""How an image of one size reaches a network of another."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recon3d_ros.errors import ImageError
from recon3d_ros.model_zoo.contract import InputContract


@dataclass(frozen=True)
class Fit:
    """How an image lies in the network's input: resized to ``content_size_wh`` in the upper left corner.

    What remains of ``network_size_wh`` to the right and below repeats the edge; there neither a column nor
    a disparity moves. ``fy_px`` is the focal length of the image, down it: it scales the depth of a network
    that was trained for one focal length.
    """

    image_size_wh: tuple[int, int]
    content_size_wh: tuple[int, int]
    network_size_wh: tuple[int, int]
    fy_px: float | None = None

    @property
    def shrinks(self) -> bool:
        """True when the content is nowhere larger than the image: areas are averaged."""
        return all(c <= i for c, i in zip(self.content_size_wh, self.image_size_wh, strict=True))

    def kept_hw(self, output_hw: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of an output that show the image, and one more of each to blend."""
        keep: list[int] = []
        sizes = zip(output_hw, self.content_size_wh[::-1], self.network_size_wh[::-1], strict=True)
        for side, content, network in sizes:
            cells = content * side / network
            keep.append(content if side == network else min(side, math.ceil(cells) + 1))
        return keep[0], keep[1]

    def factors_yx(self, output_hw: tuple[int, ...]) -> tuple[float, float]:
        """Image pixels per cell of an output, down and along."""
        (width, height), (content_w, content_h) = self.image_size_wh, self.content_size_wh
        network_w, network_h = self.network_size_wh
        return height / content_h * network_h / output_hw[0], width / content_w * network_w / output_hw[1]


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


def _ratio(target_wh: tuple[int, int], size_wh: tuple[int, int]) -> float:
    return min(target_wh[0] / size_wh[0], target_wh[1] / size_wh[1])


def _scaled(size_wh: tuple[int, int], ratio: float, limit_wh: tuple[int, int]) -> tuple[int, int]:
    """Scale a size, at least one pixel and within the limit whatever the rounding."""
    width, height = (min(max(1, round(s * ratio)), limit) for s, limit in zip(size_wh, limit_wh, strict=True))
    return width, height
