"""From the output of a model back onto the grid of the image, exactly."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.model_zoo.contract import OutputContract
from recon3d_ros.preprocess.fit import Fit

_UNIT_FACTORS = {"px": 1.0, "m": 1.0, "cm": 0.01, "relative_inverse_depth": 1.0}
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_SMALLEST_DEPTH = float(np.finfo(np.float32).tiny)


def to_image_grid(output: NDArray[Any], contract: OutputContract, fit: Fit) -> NDArray[np.float32]:
    """Bring the output of a network onto the grid and into the unit of the image; the inverse of the fit.

    Args:
        output: As the network gave it, ``contract.layout``; of several channels the first one counts.
        contract: Says layout and unit.
        fit: The one its input was made with.

    Returns:
        A new (H, W) array: disparity in px of the image, depth in m, or relative inverse depth. What is no
        value is NaN: not finite, a negative disparity or one above ``max_disparity_px``, a depth that is
        not positive. A pixel between a value and none is NaN too.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    plane = _plane(output, contract)
    return _resized(_limited(_uncovered(plane, fit), *value_limits(contract, fit)), plane.shape, fit)


def value_limits(contract: OutputContract, fit: Fit) -> tuple[float, float, float]:
    """The factor to the unit of the image, and the least and the largest value that counts there."""
    factor, low, high = _factor(contract, fit), 0.0, _FLOAT32_MAX
    if contract.unit == "relative_inverse_depth":
        low = -_FLOAT32_MAX
    elif contract.unit in ("m", "cm"):
        low = _SMALLEST_DEPTH
    elif contract.max_disparity_px is not None:
        high = contract.max_disparity_px * fit.image_size_wh[0] / fit.content_size_wh[0]
    return factor, low, high


def confidence_to_image_grid(output: NDArray[Any], contract: OutputContract, fit: Fit) -> NDArray[np.float32]:
    """Bring the confidence of a network onto the grid of the image: (H, W) in [0, 1], 0 where it is NaN.

    Raises:
        ContractError: the rank or the batch size is not that of the layout.
    """
    plane = _plane(output, contract)
    values = _uncovered(plane, fit).astype(np.float32)
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
    plane = _plane(output, contract)
    values = _limited(_uncovered(plane, fit), abs(_factor(contract, fit)), 0.0, _FLOAT32_MAX)
    return _resized(values, plane.shape, fit)


def _factor(contract: OutputContract, fit: Fit) -> float:
    """What makes a value of the network one in the unit of the image."""
    factor = contract.scale * _UNIT_FACTORS[contract.unit]
    zoom_x, zoom_y = (c / i for c, i in zip(fit.content_size_wh, fit.image_size_wh))
    if contract.unit == "px":
        return factor / zoom_x
    if contract.focal_px is not None and fit.fy_px is not None:
        return factor * fit.fy_px * zoom_y / contract.focal_px
    return factor


def _limited(plane: NDArray[Any], factor: float, low: float, high: float) -> NDArray[np.float32]:
    """A new array of the plane times the factor, NaN where it is not within the limits."""
    with np.errstate(over="ignore", invalid="ignore"):
        values: NDArray[np.float32] = np.multiply(plane, factor, dtype=np.float32)
        inside = values >= low
        inside &= values <= high
    np.copyto(values, np.nan, where=~inside)
    return values


def _plane(output: NDArray[Any], contract: OutputContract) -> NDArray[Any]:
    """The (h, w) plane of an output of any layout."""
    contract.plane_hw(output.shape)
    nhwc = contract.layout == "NHWC"
    plane: NDArray[Any] = output[0, :, :, 0] if nhwc else output.reshape(-1, *output.shape[-2:])[0]
    return plane


def _uncovered(plane: NDArray[Any], fit: Fit) -> NDArray[Any]:
    """The part of an output that shows the image, without the padding; one more row and column to blend."""
    rows, columns = fit.kept_hw(plane.shape)
    return plane[:rows, :columns]


def _resized(values: NDArray[Any], output_hw: tuple[int, ...], fit: Fit) -> NDArray[np.float32]:
    """Resize what :func:`_uncovered` left onto the image."""
    width, height = fit.image_size_wh
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
