"""The kernel that makes tensors, as host code, against `Preprocessor`."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon3d_ros.cuda.arguments import Pixels
from recon3d_ros.cuda.layout import input_taps, prepare_layout, second_image_offset
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.preprocess import Preprocessor, plan_fit

QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
COLOURFUL = dict(
    names=("left", "right"), scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


def image(channels: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise: grey with one channel, else RGB."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def run_prepare(kernels: ctypes.CDLL, contract: InputContract, fit, images, dtype: str = "float32"):
    """The tensors of the kernel; every tensor starts as junk."""
    shape = contract.tensor_shape(fit.network_size_wh, len(images))
    tensors = {name: np.full(shape, 77, dtype) for name in contract.names}
    a = prepare_layout(contract, fit, len(images), dtype)
    columns, rows = input_taps(fit)
    a.columns, a.rows = columns.ctypes.data, rows.ctypes.data
    targets = list(tensors.values())
    for i, pixels in enumerate(images):
        a.image[i] = Pixels(pixels.ctypes.data, pixels.shape[1], 1 if pixels.ndim == 2 else 3)
        a.target[i] = targets[i % len(targets)].ctypes.data
        if i >= len(targets):
            a.target[i] += second_image_offset(contract, fit) * targets[0].itemsize
    kernels.host_prepare(ctypes.byref(a), len(images))
    return tensors


def reference(contract: InputContract, fit, images):
    return Preprocessor(contract, fit, len(images)).tensors(images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("color", ["rgb", "bgr", "mono"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_without_resizing_the_tensors_are_equal(kernels, channels, color, layout):
    norm = COLOURFUL if color != "mono" else dict(names=("left", "right"), mean=(3.0,), std=(2.5,))
    contract = InputContract(**norm, color=color, layout=layout, multiple_of=16)
    fit = plan_fit(contract, (37, 21))
    pair = [image(channels, 21, 37, seed) for seed in (1, 2)]
    got, expected = run_prepare(kernels, contract, fit, pair), reference(contract, fit, pair)
    for name in contract.names:
        np.testing.assert_array_equal(got[name], expected[name])


def test_both_images_stacked_along_the_channels(kernels):
    for layout in ("NCHW", "NHWC"):
        contract = InputContract(names=("pair",), layout=layout, multiple_of=8, scale=0.5)
        fit = plan_fit(contract, (19, 11))
        pair = [image(3, 11, 19, seed) for seed in (1, 2)]
        got, expected = run_prepare(kernels, contract, fit, pair), reference(contract, fit, pair)
        np.testing.assert_array_equal(got["pair"], expected["pair"])


def float_reference(plane: np.ndarray, content_wh: tuple[int, int], shrinks: bool) -> np.ndarray:
    """The documented resize, in float64, from its definition and not from the tables."""

    def matrix(count: int, size: int) -> np.ndarray:
        weights = np.zeros((count, size))
        for i in range(count):
            if shrinks:
                edges = np.clip(np.arange(size + 1), i * size / count, (i + 1) * size / count)
                weights[i] = np.diff(edges) * count / size
            else:
                at = np.clip((i + 0.5) * size / count - 0.5, 0, size - 1)
                weights[i] = np.maximum(0, 1 - np.abs(np.arange(size) - at))
        return weights

    height, width = plane.shape
    return matrix(content_wh[1], height) @ plane.astype(float) @ matrix(content_wh[0], width).T


@QUICK
@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    net_w=st.integers(1, 60),
    net_h=st.integers(1, 60),
    how=st.sampled_from(["pad", "stretch"]),
)
def test_resized_as_the_float_reference_defines(kernels, width, height, net_w, net_h, how):
    contract = InputContract(**COLOURFUL, size_wh=(net_w, net_h), fit=how, color="bgr")
    fit = plan_fit(contract, (width, height))
    pair = [image(3, height, width, seed) for seed in (1, 2)]
    got = run_prepare(kernels, contract, fit, pair)
    content_w, content_h = fit.content_size_wh
    for name, pixels in zip(contract.names, pair, strict=True):
        for c, channel in enumerate((2, 1, 0)):
            plane = pixels[..., channel]
            levels = float_reference(plane, fit.content_size_wh, fit.shrinks)
            levels = np.pad(levels, ((0, net_h - content_h), (0, net_w - content_w)), mode="edge")
            expected = (levels * contract.scale - contract.mean[c]) / contract.std[c]
            # Relative to what is normalised: the difference may be near 0.
            tolerance = 1e-5 * (np.abs(levels * contract.scale).max() + contract.mean[c]) / contract.std[c]
            np.testing.assert_allclose(got[name][0, c], expected, rtol=1e-5, atol=tolerance)


@QUICK
@given(
    width=st.integers(2, 60), height=st.integers(2, 60), net_w=st.integers(2, 60), net_h=st.integers(2, 60)
)
def test_resized_within_a_grey_level_of_opencv(kernels, width, height, net_w, net_h):
    """cv2 rounds to whole levels after weights of 11 bits (linear) or floats (area)."""
    contract = InputContract(names=("x",), size_wh=(net_w, net_h), fit="stretch")
    fit = plan_fit(contract, (width, height))
    images = [image(3, height, width)]
    got, expected = run_prepare(kernels, contract, fit, images), reference(contract, fit, images)
    assert np.abs(got["x"] - expected["x"]).max() <= 1.0


def test_float16_and_uint8_tensors(kernels):
    contract = InputContract(**COLOURFUL, size_wh=(33, 17))
    fit = plan_fit(contract, (50, 31))
    pair = [image(3, 31, 50, seed) for seed in (1, 2)]
    half, single = (
        run_prepare(kernels, contract, fit, pair, "float16"),
        run_prepare(kernels, contract, fit, pair),
    )
    for name in contract.names:
        np.testing.assert_array_equal(half[name], single[name].astype(np.float16))
    contract = InputContract(names=("x",), dtype="uint8", size_wh=(33, 17))
    levels = run_prepare(kernels, contract, fit, pair[:1], "uint8")["x"]
    assert np.abs(levels.astype(int) - reference(contract, fit, pair[:1])["x"]).max() <= 1


def test_half_precision_is_that_of_numpy(host):
    halves = np.arange(65536, dtype=np.uint16)
    floats = np.array([host.host_float_of_half(int(h)) for h in halves], np.float32)
    np.testing.assert_array_equal(floats, halves.view(np.float16).astype(np.float32))
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 20000, np.uint32).view(np.float32)
    steps = np.nextafter(halves[:31744:7].view(np.float16).astype(np.float32), np.float32(np.inf))
    middles = (floats[:31743:11] + floats[1:31744:11]) / 2
    near = np.concatenate([values, steps, middles, -middles, np.float32([65519.9, 65520, 1e-8, -0.0])])
    with np.errstate(over="ignore", invalid="ignore"):
        expected = near.astype(np.float16)
    got = np.array([host.host_half_of(float(v)) for v in near], np.uint16).view(np.float16)
    np.testing.assert_array_equal(got, expected)
