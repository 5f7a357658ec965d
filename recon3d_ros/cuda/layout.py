"""From the contracts of a model and the sizes of a frame to what the kernels take, without any address.

The resize of images, in floats, is defined here: where the network's content is nowhere larger than the
image, an output pixel is the mean of the area it covers (cv2.INTER_AREA); else the blend of the four nearest
pixel centres, output i at (i + 0.5) size / count - 0.5 (cv2.INTER_LINEAR). Neither rounds to whole grey
levels, as OpenCV's uint8 does. See docs/cuda.md for how far the two are apart.
"""

from __future__ import annotations

import numpy as np

from recon3d_ros.config import PipelineConfig
from recon3d_ros.cuda.arguments import (
    DTYPES,
    Finish,
    Output,
    Prepare,
    Restore,
    Taps,
    area_taps,
    linear_taps,
    tensor_source,
)
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.preprocess import Fit, value_limits

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def input_taps(fit: Fit) -> tuple[Taps, Taps]:
    """The tables of columns and rows that bring an image to the network's content."""
    pairs = zip(fit.content_size_wh, fit.image_size_wh, strict=True)
    columns, rows = (
        area_taps(content, image) if fit.shrinks else linear_taps(content, image / content, image)
        for content, image in pairs
    )
    return columns, rows


def output_taps(fit: Fit, output_hw: tuple[int, int]) -> tuple[Taps, Taps]:
    """The tables of columns and rows that bring an output to the image, as `preprocess` resizes it."""
    (width, height), kept, (fy, fx) = fit.image_size_wh, fit.kept_hw(output_hw), fit.factors_yx(output_hw)
    if (fy, fx) == (1.0, 1.0):
        return area_taps(width, width), area_taps(height, height)  # each pixel itself; no NaN of a neighbour
    same = (round(kept[0] * fy), round(kept[1] * fx)) == kept
    return linear_taps(width, 1 / fx, kept[1], same), linear_taps(height, 1 / fy, kept[0], same)


def prepare_layout(contract: InputContract, fit: Fit, image_count: int, dtype: str) -> Prepare:
    """Everything of `Prepare` but addresses; `image_count` images, of which one tensor may stack two."""
    (content_w, content_h), (width, height) = fit.content_size_wh, fit.network_size_wh
    per_tensor = contract.channels * image_count // len(contract.names)
    planar = contract.layout == "NCHW"
    strides = (width * height, width, 1) if planar else (1, width * per_tensor, per_tensor)
    a = Prepare(content_w=content_w, content_h=content_h, network_w=width, network_h=height)
    a.channels, a.dtype = contract.channels, DTYPES[dtype]
    a.channel_stride, a.row_stride, a.pixel_stride = strides
    a.source[:] = tensor_source(contract.color)
    for c, (mean, std) in enumerate(zip(contract.mean, contract.std, strict=True)):
        a.gain[c], a.offset[c] = contract.scale / std, -mean / std
    return a


def second_image_offset(contract: InputContract, fit: Fit) -> int:
    """Elements from the first image's channels to the second's, in a tensor that stacks both."""
    width, height = fit.network_size_wh
    return contract.channels * (width * height if contract.layout == "NCHW" else 1)


def value_layout(contract: OutputContract, tensor: TensorSpec, fit: Fit) -> Output:
    """Everything of `Output` but addresses, for the value: what is none becomes NaN."""
    return _output_layout(contract, tensor, *value_limits(contract, fit))


def confidence_layout(contract: OutputContract, tensor: TensorSpec) -> Output:
    """The same for a confidence: brought to [0, 1], NaN to 0."""
    a = _output_layout(contract, tensor, 1.0, 0.0, 1.0)
    a.clips = 1
    return a


def sigma_layout(contract: OutputContract, tensor: TensorSpec, fit: Fit) -> Output:
    """The same for a standard deviation, in the unit of the value."""
    factor, _, _ = value_limits(contract, fit)
    return _output_layout(contract, tensor, abs(factor), 0.0, _FLOAT32_MAX)


def _output_layout(
    contract: OutputContract, tensor: TensorSpec, factor: float, low: float, high: float
) -> Output:
    shape = tensor.known_shape
    _, columns = contract.plane_hw(shape)
    pixel = shape[3] if contract.layout == "NHWC" else 1
    a = Output(row_stride=columns * pixel, pixel_stride=pixel, dtype=DTYPES[tensor.dtype])
    a.factor, a.low, a.high = factor, low, high
    return a


def restore_layout(camera: PinholeCamera, rig: StereoRig | None) -> Restore:
    """Sizes and geometry of `Restore`; without a rig the value is depth already."""
    height, width = camera.image_shape_hw
    a = Restore(width=width, height=height, stereo=int(rig is not None))
    if rig is not None:
        a.doffs, a.focal_baseline = rig.doffs_px, rig.fx * rig.baseline_m
    return a


def finish_layout(camera: PinholeCamera, config: PipelineConfig, intensity: bool) -> Finish:
    """Everything of `Finish` but addresses; `intensity` makes the fourth field grey levels, not colours."""
    height, width = camera.image_shape_hw
    a = Finish(width=width, height=height, border=config.border_px)
    a.decimation, a.intensity = config.decimation, int(intensity)
    a.min_depth, a.max_depth = config.min_depth_m, config.max_depth_m
    a.min_confidence, a.max_slope = config.min_confidence, config.max_edge_jump * 2  # over two pixels
    return a
