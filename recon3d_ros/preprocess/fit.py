"""How an image of one size reaches a network of another."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from recon3d_ros.errors import ImageError
from recon3d_ros.model_zoo.contract import InputContract

_MAX_NETWORK_PIXELS = 1 << 26  # as many as an image may have: 805 MB of float32 in three channels


@dataclass(frozen=True)
class Fit:
    """How an image lies in the network's input: resized to ``content_size_wh``, from ``offset_xy`` on.

    What remains of ``network_size_wh`` is padding; no disparity moves. ``focal_xy_px`` are the focal lengths
    of the image, along and down it: they scale the depth of a network that was trained for one.
    """

    image_size_wh: tuple[int, int]
    content_size_wh: tuple[int, int]
    network_size_wh: tuple[int, int]
    focal_xy_px: tuple[float, float] | None = None
    offset_xy: tuple[int, int] = (0, 0)

    @property
    def shrinks(self) -> bool:
        """True when the content is nowhere larger than the image: areas are averaged."""
        return all(c <= i for c, i in zip(self.content_size_wh, self.image_size_wh, strict=True))

    @property
    def zoom_xy(self) -> tuple[float, float]:
        """Pixels of the network's input per pixel of the image, along and down."""
        (width, height), (content_w, content_h) = self.image_size_wh, self.content_size_wh
        return content_w / width, content_h / height

    def seen_by(self, fx: float, fy: float) -> Fit:
        """The same for an image of these focal lengths in px."""
        return replace(self, focal_xy_px=(fx, fy))

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
        ImageError: the image is empty, or the network would need gigabytes for it.
    """
    if min(size_wh) < 1:
        raise ImageError(f"an image must have pixels, got {size_wh[0]}x{size_wh[1]}")
    fit = _planned(contract, size_wh)
    width, height = fit.network_size_wh
    if width * height > _MAX_NETWORK_PIXELS:
        raise ImageError(
            f"expected a network of at most {_MAX_NETWORK_PIXELS} px, got {width}x{height} for images of "
            f"{size_wh[0]}x{size_wh[1]}: lower size_wh, multiple_of, short_side or image_scale of the "
            "manifest, or input_scale, or set max_size_wh"
        )
    return fit


def _planned(contract: InputContract, size_wh: tuple[int, int]) -> Fit:
    if contract.size_wh is not None:
        network = contract.size_wh
        content = _scaled(size_wh, _ratio(network, size_wh), network) if contract.fit == "pad" else network
        return _placed(contract, size_wh, content, network)
    step = contract.multiple_of or 1
    ratio, largest = contract.image_scale, None
    if contract.short_side is not None:
        ratio = contract.short_side / min(size_wh)
    if contract.max_size_wh is not None:
        width, height = contract.max_size_wh
        largest = (width // step * step, height // step * step)
        ratio = min(ratio, _ratio(largest, size_wh))
    content = _scaled(size_wh, ratio, largest)
    if contract.fit == "pad":
        width, height = (-(-side // step) * step for side in content)
        return _placed(contract, size_wh, content, (width, height))
    width, height = (max(1, round(side / step)) * step for side in content)
    if largest is not None:
        width, height = min(width, largest[0]), min(height, largest[1])
    return Fit(size_wh, (width, height), (width, height))


def _ratio(target_wh: tuple[int, int], size_wh: tuple[int, int]) -> float:
    return min(target_wh[0] / size_wh[0], target_wh[1] / size_wh[1])


def _scaled(size_wh: tuple[int, int], ratio: float, limit_wh: tuple[int, int] | None) -> tuple[int, int]:
    """Scale a size, at least one pixel and within the limit whatever the rounding."""
    width, height = (max(1, round(side * ratio)) for side in size_wh)
    return (width, height) if limit_wh is None else (min(width, limit_wh[0]), min(height, limit_wh[1]))


def _placed(
    contract: InputContract, size_wh: tuple[int, int], content: tuple[int, int], network: tuple[int, int]
) -> Fit:
    """The image where `padding` leaves it."""
    right, below = network[0] - content[0], network[1] - content[1]
    words = contract.padding.split("_")
    x = 0 if "right" in words else right if "left" in words else right // 2
    y = 0 if "bottom" in words else below if "top" in words else below // 2
    return Fit(size_wh, content, network, offset_xy=(x, y))
