"""What a number of a network means: units, transforms, focal lengths, confidences and masks."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.model_zoo.contract import OutputContract
from recon3d_ros.model_zoo.contract_parts import Invalid
from recon3d_ros.preprocess import Fit, confidence_to_image_grid, no_depth, to_image_grid

SAME = Fit((7, 5), (7, 5), (7, 5))
# A picture of 40x30 stretched to 60x90: zoom 1.5 along and 3 down.
STRETCHED = Fit((40, 30), (60, 90), (60, 90), focal_xy_px=(100.0, 80.0))


def value(tensor: float, fit: Fit = SAME, dtype: str = "float32", **contract) -> float:  # type: ignore[no-untyped-def]
    """What a constant output becomes."""
    output = OutputContract("out", **{"unit": "m"} | contract)
    width, height = fit.network_size_wh
    values = to_image_grid(np.full((1, 1, height, width), tensor, dtype), output, fit)
    assert values.shape == fit.image_size_wh[::-1] and values.dtype == np.float32
    assert len(np.unique(values)) == 1
    return float(values[0, 0])


@pytest.mark.parametrize(
    ("tensor", "contract", "expected"),
    [
        (2.0, {"scale": 3.0, "offset": 0.5}, 6.5),
        (0.5, {"unit": "inverse_m", "scale": 9.99, "offset": 0.01}, 1 / (0.01 + 9.99 * 0.5)),
        (0.0, {"unit": "inverse_m"}, np.inf),
        (-0.0, {"unit": "inverse_m"}, np.inf),
        (-0.1, {"unit": "inverse_m"}, np.nan),
        (np.nan, {"unit": "inverse_m"}, np.nan),
        (np.log(7.0), {"transform": "exp"}, 7.0),
        (200.0, {"transform": "exp"}, np.nan),
        (250.0, {"transform": "exp", "unit": "cm", "scale": 0.02}, np.exp(5.0) / 100),
        (4.0, {"transform": "inverse"}, 0.25),
        (4.0, {"transform": "inverse", "unit": "relative_inverse_depth"}, 0.25),
        (0.0, {"transform": "inverse", "unit": "relative_inverse_depth"}, np.nan),
        (-2.0, {"unit": "relative_inverse_depth", "offset": 1.0}, -1.0),
        (-3.0, {"offset": 1.0}, np.nan),
    ],
)
def test_value(tensor: float, contract: dict, expected: float) -> None:
    np.testing.assert_allclose(value(tensor, **contract), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "dtype", ["float16", "float64", "uint8", "int8", "int16", "uint16", "int32", "int64"]
)
def test_every_dtype_of_an_output(dtype: str) -> None:
    for options in ({}, {"offset": 1.0}):
        expected = 100 * 0.25 + options.get("offset", 0.0)
        np.testing.assert_allclose(value(100, dtype=dtype, scale=0.25, **options), expected)


def test_disparity_as_a_share_of_the_width() -> None:
    """0.1 of 60 columns are 6 px there, 4 px of the image."""
    np.testing.assert_allclose(value(0.1, STRETCHED, unit="width"), 4.0, rtol=1e-6)
    np.testing.assert_allclose(value(0.1, STRETCHED, unit="width", max_disparity_px=5.9), np.nan)


@pytest.mark.parametrize(("axis", "focal"), [("x", 150.0), ("y", 240.0), ("mean", 195.0)])
def test_the_focal_length_of_each_axis(axis: str, focal: float) -> None:
    for unit, tensor in (("m", 3.0), ("inverse_m", 1 / 3.0)):
        got = value(tensor, STRETCHED, unit=unit, focal_px=300.0, focal_axis=axis)
        np.testing.assert_allclose(got, 3.0 * focal / 300.0, rtol=1e-6)


def test_inverse_depth_is_blended_as_inverse_depth() -> None:
    """Between 1 m and 3 m lies 1.5 m, where the original enlarges its inverse depth."""
    output = np.array([[1.0, 1.0 / 3.0]], np.float32).repeat(2, axis=0)[None, None]
    fit = Fit((6, 6), (6, 6), (6, 6))
    got = to_image_grid(output, OutputContract("o", "inverse_m"), fit)
    np.testing.assert_allclose((got[0, 2:4] ** -1).mean(), 1 / 1.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "tensor", "expected"),
    [
        ({}, 0.25, 0.25),
        ({"confidence_scale": 1 / 255}, 51.0, 0.2),
        ({"confidence_kind": "error", "confidence_max": 2.0}, 0.5, 0.75),
        ({"confidence_kind": "error", "confidence_max": 2.0}, 5.0, 0.0),
        ({"confidence_kind": "entropy", "confidence_scale": 0.5, "confidence_max": 4.0}, 2.0, 0.75),
        ({"confidence_kind": "error"}, np.nan, 0.0),
    ],
)
def test_what_a_confidence_means(kind: dict, tensor: float, expected: float) -> None:
    contract = OutputContract("o", "px", confidence="c", **kind)
    got = confidence_to_image_grid(np.full((1, 1, 5, 7), tensor, np.float32), contract, SAME)
    np.testing.assert_allclose(got, np.full((5, 7), expected), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 5, 7), (1, 5, 7), (5, 7), (1, 1, 1, 5, 7)])
@pytest.mark.parametrize(("dtype", "limits"), [("float32", {"above": 0.3}), ("bool", {"below": 0.5})])
def test_a_mask_of_any_axes(shape: tuple, dtype: str, limits: dict) -> None:
    """It need not have the axes of the value; a pixel of it in the network is one of the image."""
    mask = np.zeros((5, 7), dtype)
    mask[1:3, 4:] = 1
    value = OutputContract("o", "m", invalid=Invalid("mask", **limits))
    got = no_depth(mask.reshape(shape), value.invalid, value, SAME)  # type: ignore[arg-type]
    np.testing.assert_array_equal(got, mask.astype(bool) if "above" in limits else ~mask.astype(bool))
