"""From the output of a model back onto the grid of the image, exactly."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.model_zoo.contract import OutputContract
from recon3d_ros.model_zoo.contract_parts import Invalid
from recon3d_ros.preprocess.fit import Fit

_CENTIMETRE = 0.01
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_LOG_MAX = 88.0  # beyond, exp overflows
_SMALLEST_DEPTH = float(np.finfo(np.float32).tiny)


def to_image_grid(output: NDArray[Any], contract: OutputContract, fit: Fit) -> NDArray[np.float32]:
    """Bring the output of a network onto the grid and into the unit of the image; the inverse of the fit.

    Args:
        output: As the network gave it, ``contract.layout``.
        contract: Says layout and unit.
        fit: The one its input was made with.

    Returns:
        (H, W), maybe in the memory of the output: disparity in px of the image, depth in m, or relative
        inverse depth. What is no value is NaN: not finite, a negative disparity or one above
        ``max_disparity_px``, a depth that is not positive. A pixel between a value and none is NaN too. An
        inverse depth of 0 is a depth of +Inf.

    Raises:
        ContractError: the rank, the batch size or the channels are not those of the contract.
    """
    plane = output[contract.plane_index(output.shape)]
    factor, low, high = value_limits(contract, fit)
    if contract.is_linear and contract.offset == 0:
        return _resized(_limited(_uncovered(plane, fit), factor, low, high), plane.shape, fit)
    # Between pixels, too, the network's own numbers are what a line connects.
    raw_low = 0.0 if contract.transform == "inverse" or contract.unit == "inverse_m" else -_FLOAT32_MAX
    raw = _limited(_uncovered(plane, fit), contract.scale, raw_low, _FLOAT32_MAX, contract.offset)
    values = _transformed(_resized(raw, plane.shape, fit), contract)
    beyond = np.isposinf(values) & (contract.unit in ("m", "cm", "inverse_m"))
    values = _limited(values, factor / contract.scale, low, high)
    values[beyond] = np.inf
    return values


def _transformed(values: NDArray[np.float32], contract: OutputContract) -> NDArray[np.float32]:
    """The value from scaled numbers, before the factor of its unit; +Inf only for one over 0."""
    with np.errstate(over="ignore", divide="ignore"):
        if contract.transform == "exp":
            values = np.where(values < _LOG_MAX, np.exp(values), np.float32(np.nan))
        if contract.transform == "inverse" or contract.unit == "inverse_m":
            values = np.float32(1.0) / np.abs(values)  # which are not negative; -0.0 would be -Inf
    return values


def value_limits(contract: OutputContract, fit: Fit) -> tuple[float, float, float]:
    """The factor to the unit of the image, and the least and the largest value that counts there."""
    factor, low, high = _factor(contract, fit), 0.0, _FLOAT32_MAX
    if contract.unit == "relative_inverse_depth":
        low = -_FLOAT32_MAX
    elif contract.unit in ("m", "cm", "inverse_m"):
        low = _SMALLEST_DEPTH
    elif contract.max_disparity_px is not None:
        high = contract.max_disparity_px * fit.image_size_wh[0] / fit.content_size_wh[0]
    return factor, low, high


def confidence_to_image_grid(output: NDArray[Any], contract: OutputContract, fit: Fit) -> NDArray[np.float32]:
    """Bring the confidence of a network onto the grid of the image: (H, W) in [0, 1], 0 where it is NaN.

    Of an error or entropy it is the share of ``confidence_max`` that is left.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    plane = _other_plane(output, contract)
    values = _uncovered(plane, fit).astype(np.float32)
    if contract.confidence_scale != 1.0:
        values *= np.float32(contract.confidence_scale)
    if contract.confidence_kind != "probability":
        values = np.float32(1.0) - values / np.float32(contract.confidence_max)
    np.fmax(values, 0.0, out=values)  # of NaN and a number, fmax takes the number
    np.minimum(values, 1.0, out=values)
    return _resized(values, plane.shape, fit)


def sigma_to_image_grid(output: NDArray[Any], contract: OutputContract, fit: Fit) -> NDArray[np.float32]:
    """Bring the standard deviation of a network's value onto the grid and into the unit of the image.

    Returns:
        A new (H, W) array: px of the image, or m; NaN where it is not finite or negative.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    plane = _other_plane(output, contract)
    values = _limited(_uncovered(plane, fit), abs(_factor(contract, fit)), 0.0, _FLOAT32_MAX)
    return _resized(values, plane.shape, fit)


def no_depth(output: NDArray[Any], contract: Invalid, value: OutputContract, fit: Fit) -> NDArray[np.bool_]:
    """Where a network says that there is no depth, on the grid of the image: (H, W) bool.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    plane = _other_plane(output, value)
    values = _resized(_uncovered(plane, fit).astype(np.float32), plane.shape, fit)
    if contract.above is not None:
        return values > contract.above
    return ~(values >= np.float32(contract.below or 0.0))  # NaN, too, is no sign of depth


def _factor(contract: OutputContract, fit: Fit) -> float:
    """What makes a value of the network one in the unit of the image."""
    factor, zoom_x = contract.scale, fit.zoom_xy[0]
    if contract.unit == "px":
        return factor / zoom_x
    if contract.unit == "width":
        return factor * fit.network_size_wh[0] / zoom_x
    if contract.unit == "cm":
        factor *= _CENTIMETRE
    if contract.focal_px is not None and fit.focal_xy_px is not None:
        x, y = (focal * zoom for focal, zoom in zip(fit.focal_xy_px, fit.zoom_xy))
        return factor * {"x": x, "y": y, "mean": (x + y) / 2}[contract.focal_axis] / contract.focal_px
    return factor


def _limited(
    plane: NDArray[Any], factor: float, low: float, high: float, offset: float = 0.0
) -> NDArray[np.float32]:
    """The plane times the factor plus the offset, NaN where it is not within the limits.

    A new array, or the plane itself if nothing changes: a backend's output belongs to whoever asked for it.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        unchanged = factor == 1.0 and not offset and plane.dtype == np.float32
        values: NDArray[np.float32] = plane
        if not unchanged:
            values = np.multiply(plane, factor, dtype=np.float32, casting="same_kind")
        if offset:
            values += np.float32(offset)
        # Mostly all are inside: looking takes a fifth of masking. A NaN is the least and the largest of all.
        if values.min(initial=np.inf) >= low and values.max(initial=-np.inf) <= high:
            return values
        return np.where((values >= low) & (values <= high), values, np.float32(np.nan))


def _other_plane(output: NDArray[Any], contract: OutputContract) -> NDArray[Any]:
    """The (h, w) plane of an output beside the value, which may have other axes: its first channel."""
    layout = contract.layout
    if output.ndim != len(layout):
        pixels_last = "HWC" in layout
        layout = {2: "HW", 3: "NHW", 4: "NHWC" if pixels_last else "NCHW", 5: "NSCHW"}.get(
            output.ndim, layout
        )
    plane: NDArray[Any] = output[contract.plane_index(output.shape, layout)]
    return plane


def _uncovered(plane: NDArray[Any], fit: Fit) -> NDArray[Any]:
    """The part of an output that shows the image, without the padding; one more row and column to blend."""
    if fit.offset_xy != (0, 0):
        return _cut_out(plane, fit)
    rows, columns = fit.kept_hw(plane.shape)
    return plane[:rows, :columns]


def _cut_out(plane: NDArray[Any], fit: Fit) -> NDArray[Any]:
    """The part that shows an image with padding to the left or above, of its own size in the network.

    Of an output that is smaller than the network's input, the image may start between two of its pixels.
    """
    (width, height), (x, y), network = fit.content_size_wh, fit.offset_xy, fit.network_size_wh
    if plane.shape != network[::-1]:
        plane = cv2.resize(plane.astype(np.float32), network, interpolation=cv2.INTER_LINEAR)
    return plane[y : y + height, x : x + width]


def _resized(values: NDArray[Any], output_hw: tuple[int, ...], fit: Fit) -> NDArray[np.float32]:
    """Resize what :func:`_uncovered` left onto the image."""
    width, height = fit.image_size_wh
    if fit.offset_xy != (0, 0):
        output_hw = fit.network_size_wh[::-1]
    # As they are: sizes in whole pixels would round them, and shift the far columns of a padded image.
    fy, fx = fit.factors_yx(output_hw)
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
    blended: NDArray[np.float32] = values[low] * (1 - part)
    blended += values[np.minimum(low + 1, len(values) - 1)] * part
    return blended
