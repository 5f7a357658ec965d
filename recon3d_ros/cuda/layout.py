"""From the contracts of a model and the sizes of a frame to what the kernels take, without any address.

The resize of images, in floats, is defined here: where the network's content is nowhere larger than the
image, an output pixel is the mean of the area it covers (cv2.INTER_AREA); else the blend of the four nearest
pixel centres, output i at (i + 0.5) size / count - 0.5 (cv2.INTER_LINEAR). Neither rounds to whole grey
levels, as OpenCV's uint8 does. See docs/cuda.md for how far the two are apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.cuda.arguments import (
    DTYPES,
    ENCODINGS,
    Answer,
    Finish,
    Prepare,
    Restore,
    Taps,
    area_taps,
    linear_taps,
    tensor_source,
)
from recon3d_ros.errors import ContractError
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.model_zoo.contract import InputContract, OutputContract

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class Fit(Protocol):
    """How an image lies in the network's input: :class:`recon3d_ros.preprocess.Fit`."""

    @property
    def image_size_wh(self) -> tuple[int, int]:
        """Of the image."""

    @property
    def content_size_wh(self) -> tuple[int, int]:
        """Of the resized image."""

    @property
    def network_size_wh(self) -> tuple[int, int]:
        """Of the padded tensor."""

    @property
    def shrinks(self) -> bool:
        """Whether areas are averaged."""

    def kept_hw(self, answer_hw: tuple[int, ...]) -> tuple[int, int]:
        """Part of an answer that shows the image."""

    def factors_yx(self, answer_hw: tuple[int, ...]) -> tuple[float, float]:
        """Image pixels per cell of an answer."""


@dataclass(frozen=True)
class FilterLimits:
    """What `finish` takes away; as in :class:`recon3d_ros.config.PipelineConfig`, 0 = off."""

    min_depth_m: float
    max_depth_m: float
    border_px: int = 0
    min_confidence: float = 0.0
    max_edge_jump: float = 0.0


def input_taps(fit: Fit) -> tuple[Taps, Taps]:
    """The tables of columns and rows that bring an image to the network's content."""
    pairs = zip(fit.content_size_wh, fit.image_size_wh, strict=True)
    columns, rows = (
        area_taps(content, image) if fit.shrinks else linear_taps(content, image / content, image)
        for content, image in pairs
    )
    return columns, rows


def answer_taps(fit: Fit, answer_hw: tuple[int, int]) -> tuple[Taps, Taps]:
    """The tables of columns and rows that bring an answer to the image, as `preprocess` resizes it."""
    (width, height), kept, (fy, fx) = fit.image_size_wh, fit.kept_hw(answer_hw), fit.factors_yx(answer_hw)
    if (fy, fx) == (1.0, 1.0):
        return area_taps(width, width), area_taps(height, height)  # each pixel itself; no NaN of a neighbour
    same = (round(kept[0] * fy), round(kept[1] * fx)) == kept
    return linear_taps(width, 1 / fx, kept[1], same), linear_taps(height, 1 / fy, kept[0], same)


def pixel_bytes(encoding: str) -> int:
    """Bytes of one pixel; of an encoding of `ENCODINGS`."""
    return ENCODINGS[encoding][0]


def tensor_shape(contract: InputContract, fit: Fit, image_count: int) -> tuple[int, int, int, int]:
    """Shape of each input tensor."""
    width, height = fit.network_size_wh
    channels = contract.channels * image_count // len(contract.names)
    return (1, channels, height, width) if contract.layout == "NCHW" else (1, height, width, channels)


def prepare_layout(contract: InputContract, fit: Fit, image_count: int, encoding: str, dtype: str) -> Prepare:
    """Everything of `Prepare` but addresses; `image_count` images, of which one tensor may stack two."""
    (content_w, content_h), (width, height) = fit.content_size_wh, fit.network_size_wh
    per_tensor = contract.channels * image_count // len(contract.names)
    planar = contract.layout == "NCHW"
    strides = (width * height, width, 1) if planar else (1, width * per_tensor, per_tensor)
    a = Prepare(content_w=content_w, content_h=content_h, network_w=width, network_h=height)
    a.channels, a.dtype = contract.channels, DTYPES[dtype]
    a.channel_stride, a.row_stride, a.pixel_stride = strides
    a.source[:] = tensor_source(encoding, contract.color)
    for c, (mean, std) in enumerate(zip(contract.mean, contract.std, strict=True)):
        a.gain[c], a.offset[c] = contract.scale / std, -mean / std
    return a


def second_image_offset(contract: InputContract, fit: Fit) -> int:
    """Elements from the first image's channels to the second's, in a tensor that stacks both."""
    width, height = fit.network_size_wh
    return contract.channels * (width * height if contract.layout == "NCHW" else 1)


def answer_plane(contract: OutputContract, shape: tuple[int, ...]) -> tuple[tuple[int, int], int]:
    """Rows and columns of an output tensor, and elements from one pixel to the next.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    if len(shape) != len(contract.layout) or 0 in shape or (contract.layout[0] == "N" and shape[0] != 1):
        raise ContractError(
            f"expected the output {contract.name!r} as one {contract.layout}, got shape {shape}"
        )
    if contract.layout == "NHWC":
        return (shape[1], shape[2]), shape[3]
    return (shape[-2], shape[-1]), 1


def answer_layout(
    contract: OutputContract, shape: tuple[int, ...], dtype: str, limits: tuple[float, float, float]
) -> Answer:
    """Everything of `Answer` but addresses; `limits` are a factor, and the least and largest value kept."""
    (_, columns), pixel = answer_plane(contract, shape)
    a = Answer(row_stride=columns * pixel, pixel_stride=pixel, dtype=DTYPES[dtype])
    a.factor, a.low, a.high = limits
    return a


def confidence_layout(contract: OutputContract, shape: tuple[int, ...], dtype: str) -> Answer:
    """The same for a confidence: brought to [0, 1], NaN to 0."""
    a = answer_layout(contract, shape, dtype, (1.0, 0.0, 1.0))
    a.clips = 1
    return a


def sigma_layout(contract: OutputContract, shape: tuple[int, ...], dtype: str, factor: float) -> Answer:
    """The same for a standard deviation, in the unit of the value."""
    return answer_layout(contract, shape, dtype, (abs(factor), 0.0, _FLOAT32_MAX))


def restore_layout(camera: PinholeCamera, rig: StereoRig | None) -> Restore:
    """Sizes and geometry of `Restore`; without a rig the answer is depth already."""
    height, width = camera.image_shape_hw
    a = Restore(width=width, height=height, stereo=int(rig is not None))
    if rig is not None:
        a.doffs, a.focal_baseline = rig.doffs_px, rig.fx * rig.baseline_m
    return a


def finish_layout(camera: PinholeCamera, limits: FilterLimits, decimation: int, intensity: bool) -> Finish:
    """Everything of `Finish` but addresses."""
    height, width = camera.image_shape_hw
    a = Finish(width=width, height=height, border=limits.border_px)
    a.decimation, a.intensity = decimation, int(intensity)
    a.min_depth, a.max_depth = limits.min_depth_m, limits.max_depth_m
    a.min_confidence, a.max_slope = limits.min_confidence, limits.max_edge_jump * 2  # over two pixels
    return a


def rays(camera: PinholeCamera, decimation: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slopes of the rays of every column and every row, as :class:`recon3d_ros.geometry.PointPacker`."""
    camera = camera.as_rectified()
    height, width = camera.image_shape_hw
    x = (np.arange(0, width, decimation) - camera.cx) / camera.fx
    y = (np.arange(0, height, decimation) - camera.cy) / camera.fy
    return x.astype(np.float32), y.astype(np.float32)
