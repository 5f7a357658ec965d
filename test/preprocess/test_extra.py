from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros.errors import ContractError
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.model_zoo.contract_parts import ExtraInput
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.preprocess import Preprocessor, plan_fit, with_extra

K = np.array([[50.0, 0, 20.0], [0, 60.0, 14.0], [0, 0, 1]])


def extra_of(role: str, shape: tuple, dtype: str = "float32", value: float = 0.0, **options) -> np.ndarray:  # type: ignore[no-untyped-def]
    """The further input that a network of 80x64 gets for a pair of 40x32 images."""
    options = {"size_wh": (80, 64), "fit": "stretch"} | options
    contract = InputContract(("left", "right"), extra=(ExtraInput("x", role, value),), **options)
    fit = plan_fit(contract, (40, 32))
    images = [np.random.default_rng(i).integers(0, 256, (32, 40, 3), np.uint8) for i in range(2)]
    tensors = Preprocessor(contract, fit, 2).tensors(images)
    specs = (TensorSpec("left", "float32", (1, 3, 64, 80)), TensorSpec("x", dtype, shape))
    found = with_extra(tensors, contract, fit, specs, K)
    assert list(found) == ["left", "right", "x"] and found["x"].dtype == dtype
    return found["x"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_intrinsics_are_those_of_the_networks_input(dtype: str) -> None:
    doubled = np.array([[100.0, 0, 40.5], [0, 120.0, 28.5], [0, 0, 1]])
    np.testing.assert_array_equal(extra_of("K", (None, 3, 3), dtype)[0], doubled)
    four = extra_of("K", (1, 4, 4), dtype)
    assert four.shape == (1, 4, 4)
    np.testing.assert_array_equal(four[0, :3, :3], doubled)
    np.testing.assert_array_equal(extra_of("K", (1, 4), dtype), [[100.0, 120.0, 40.5, 28.5]])
    np.testing.assert_allclose(extra_of("K_inverse", (3, 3), dtype), np.linalg.inv(doubled), atol=2e-3)
    np.testing.assert_array_equal(extra_of("focal_px", (), dtype), 100.0)
    np.testing.assert_array_equal(extra_of("focal_px", (None, 1), dtype), [[100.0]])


def test_padding_moves_the_principal_point() -> None:
    got = extra_of("K", (3, 3), size_wh=(100, 64), fit="pad", padding="center")
    np.testing.assert_array_equal(got, [[100.0, 0, 50.5], [0, 120.0, 28.5], [0, 0, 1]])


def test_rays_go_through_the_centres_of_pixels() -> None:
    rays = extra_of("rays", (1, 3, None, None))
    assert rays.shape == (1, 3, 64, 80)
    np.testing.assert_allclose(np.linalg.norm(rays[0], axis=0), 1.0, rtol=1e-6)
    direction = rays[0, :, 10, 70] / rays[0, 2, 10, 70]
    np.testing.assert_allclose(direction, [(70 - 40.5) / 100, (10 - 28.5) / 120, 1], rtol=1e-5)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("role", "seed"), [("left_half", 0), ("right_half", 1)])
def test_the_pair_at_half_the_size(role: str, seed: int, layout: str) -> None:
    got = extra_of(role, (1, 3, 32, 40), layout=layout)
    image = np.random.default_rng(seed).integers(0, 256, (32, 40, 3), np.uint8)
    whole = cv2.resize(image, (80, 64)).astype(np.float32)
    expected = cv2.resize(whole, (40, 32))
    got = got[0].transpose(1, 2, 0) if layout == "NCHW" else got[0]
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_constant_fills_its_input() -> None:
    np.testing.assert_array_equal(
        extra_of("constant", (None, 2, 4, 5), value=1.5), np.full((1, 2, 4, 5), 1.5)
    )


def test_without_a_camera_the_focal_length_is_the_width() -> None:
    contract = InputContract(("i",), size_wh=(80, 64), extra=(ExtraInput("f", "focal_px"),))
    got = with_extra({}, contract, plan_fit(contract, (40, 32)), (TensorSpec("f", "float32", ()),))
    assert got["f"] == 80.0


def test_shapes_that_do_not_suit() -> None:
    with pytest.raises(ContractError, match="expected an input 'x' that can hold K, got float32"):
        extra_of("K", (2, 2))
    with pytest.raises(ContractError, match="expected the shape of the input 'x' in the file"):
        extra_of("constant", (1, 2, None, None))
