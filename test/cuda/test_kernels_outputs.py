"""The kernels that restore outputs and finish depth, as host code, against the NumPy pipeline."""

from __future__ import annotations

import ctypes

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon3d_ros.config import PipelineConfig
from recon3d_ros.cuda.arguments import Pixels
from recon3d_ros.cuda.layout import (
    confidence_layout,
    finish_layout,
    output_taps,
    restore_layout,
    sigma_layout,
    value_layout,
)
from recon3d_ros.errors import ContractError
from recon3d_ros.filters import DepthFilters
from recon3d_ros.geometry import XYZI, XYZRGB, DepthMap, Frame, PinholeCamera, PointPacker, StereoRig
from recon3d_ros.geometry.packer import ray_slopes
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.preprocess import (
    confidence_to_image_grid,
    plan_fit,
    sigma_to_image_grid,
    to_image_grid,
)

QUICK = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
NASTY = np.float32([np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, 1e-40, 200.0])
HUGE = np.float32([1e38, 3e38])  # blended with others they cancel out all digits
SHAPES = {"NCHW": lambda p: p[None, None], "NHWC": lambda p: p[None, ..., None], "NHW": lambda p: p[None]}


def noise(rng: np.random.Generator, height: int, width: int, nasty: float = 0.05) -> np.ndarray:
    plane = rng.uniform(0.5, 40, (height, width)).astype(np.float32)
    spots = rng.uniform(size=plane.shape) < nasty
    plane[spots] = rng.choice(NASTY, spots.sum())
    return plane


def wire(output, tensor: np.ndarray, contract: OutputContract, fit, keep: list) -> None:
    columns, rows = output_taps(fit, contract.plane_hw(tensor.shape))
    output.data, output.columns, output.rows = (array.ctypes.data for array in (tensor, columns, rows))
    keep += [columns, rows]


def spec_of(tensor: np.ndarray) -> TensorSpec:
    return TensorSpec("x", tensor.dtype.name, tensor.shape)


def run_restore(kernels, contract, fit, camera, rig, tensors, seen=(None, None)):
    """values, depth, confidence and sigma of the kernel; None where the model has none."""
    a, keep = restore_layout(camera, rig), []
    value = tensors[contract.name]
    a.value = value_layout(contract, spec_of(value), fit)
    wire(a.value, value, contract, fit, keep)
    planes = {name: np.full(camera.image_shape_hw, 7, np.float32) for name in ("values", "depth")}
    if contract.confidence:
        tensor = tensors[contract.confidence]
        a.confidence = confidence_layout(contract, spec_of(tensor))
        wire(a.confidence, tensor, contract, fit, keep)
        planes["out_confidence"] = np.full(camera.image_shape_hw, 7, np.float32)
    if contract.sigma:
        tensor = tensors[contract.sigma]
        a.sigma = sigma_layout(contract, spec_of(tensor), fit)
        wire(a.sigma, tensor, contract, fit, keep)
        planes["out_sigma"] = np.full(camera.image_shape_hw, 7, np.float32)
    for name, plane in planes.items():
        setattr(a, name, plane.ctypes.data)
    for name, plane in zip(("valid", "right_valid"), seen):
        if plane is not None:
            setattr(a, name, plane.ctypes.data)
    kernels.host_restore(ctypes.byref(a), 1)
    return planes


def assert_planes(got: np.ndarray, expected: np.ndarray, fit, output_hw) -> None:
    """Floats to 1e-5, NaN and Inf in the same places, but where a NaN has the weight 0.

    That is at an edge, where the outermost pixel alone counts, and on a pixel centre of the answer, give or
    take an ulp: builds of OpenCV differ there in whether the neighbour's NaN spreads.
    """
    kept, factors = fit.kept_hw(output_hw), fit.factors_yx(output_hw)
    undecided = np.zeros(got.shape, bool)
    if factors != (1.0, 1.0):
        for axis in (0, 1):
            at = (np.arange(got.shape[axis]) + 0.5) / factors[axis] - 0.5
            zero = (at < 0) | (at >= kept[axis] - 1) | (np.abs(at - np.round(at)) < 1e-6)
            undecided |= zero[:, None] if axis == 0 else zero[None]
    undecided &= np.isnan(got) != np.isnan(expected)
    # Values of both signs, tens in size, may cancel: what is left are the last digits of what was blended.
    np.testing.assert_allclose(
        np.where(undecided, 0, got), np.where(undecided, 0, expected), rtol=1e-5, atol=4e-6
    )


@QUICK
@given(
    width=st.integers(5, 70),
    height=st.integers(5, 50),
    size=st.sampled_from(["pad16", "pad8", "fixed", "stretch", "shrink"]),
    part=st.sampled_from([1, 2, 4]),
    layout=st.sampled_from(list(SHAPES)),
    unit=st.sampled_from(["px", "m", "cm", "relative_inverse_depth"]),
    seed=st.integers(0, 1000),
)
def test_answers_come_onto_the_grid_as_in_numpy(kernels, width, height, size, part, layout, unit, seed):
    fits = {
        "pad16": dict(multiple_of=16),
        "pad8": dict(multiple_of=8),
        "fixed": dict(size_wh=(48, 32)),
        "stretch": dict(size_wh=(40, 24), fit="stretch"),
        "shrink": dict(multiple_of=8, max_size_wh=(32, 24)),
    }
    fit = plan_fit(InputContract(names=("x",), **fits[size]), (width, height))
    top = 30.0 if unit == "px" else None
    contract = OutputContract("y", unit, layout, scale=1.5, max_disparity_px=top)
    rng = np.random.default_rng(seed)
    net_w, net_h = fit.network_size_wh
    plane = noise(rng, max(1, net_h // part), max(1, net_w // part))
    tensor = np.ascontiguousarray(SHAPES[layout](plane))
    camera = PinholeCamera.simple(width, height, 50.0)
    got = run_restore(kernels, contract, fit, camera, None, {"y": tensor})
    with np.errstate(all="ignore"):
        expected = to_image_grid(tensor, contract, fit)
    assert_planes(got["values"], expected, fit, plane.shape)
    np.testing.assert_array_equal(got["depth"], got["values"])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_stereo_depth_confidence_and_sigma(kernels, dtype):
    width, height = 61, 43
    fit = plan_fit(InputContract(names=("x",), multiple_of=16), (width, height))
    contract = OutputContract("d", "px", scale=2.0, confidence="c", sigma="s")
    rng = np.random.default_rng(5)
    full, quarter = (48, 64), (12, 16)
    with np.errstate(over="ignore"):
        tensors = {
            "d": noise(rng, *full)[None, None].astype(dtype),
            "c": (noise(rng, *quarter) / 30)[None, None].astype(dtype),
            "s": (noise(rng, *full) / 20)[None, None].astype(dtype),
        }
    rig = StereoRig.simple(width, height, 55.0, 0.12, doffs_px=-1.7)
    got = run_restore(kernels, contract, fit, rig.left, rig, tensors)
    single = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    with np.errstate(all="ignore"):
        values = to_image_grid(single["d"], contract, fit)
        depth = rig.depth_from_disparity(values)
        sigma = sigma_to_image_grid(single["s"], contract, fit)
        sigma = sigma * depth * depth / np.float32(rig.fx * rig.baseline_m)
    assert_planes(got["values"], values, fit, full)
    assert_planes(got["depth"], depth, fit, full)
    assert_planes(got["out_sigma"], sigma, fit, full)
    assert_planes(got["out_confidence"], confidence_to_image_grid(single["c"], contract, fit), fit, quarter)
    assert np.isfinite(got["depth"]).mean() > 0.5


@pytest.mark.parametrize("which", ["left", "right", "both"])
def test_what_no_camera_saw_is_unknown_as_in_numpy(kernels, which):
    """Among the disparities are NaN, Inf, halves and thirty-seconds of a pixel, and matches off the image."""
    rng, (width, height) = np.random.default_rng(5), (41, 23)
    rig = StereoRig.simple(width, height, fx=30.0, baseline_m=0.1)
    contract = OutputContract("d", "px", confidence="c", sigma="s")
    fit = plan_fit(InputContract(("left", "right"), multiple_of=1), (width, height))
    value = noise(rng, height, width)
    value[::2] = np.round(value[::2] * 64) / 64
    tensors = {"d": value[None, None], "c": rng.random((1, 1, height, width)).astype(np.float32)}
    tensors["s"] = rng.random((1, 1, height, width)).astype(np.float32)
    valid, right_valid = (rng.random((2, height, width)) > 0.3).astype(bool)
    seen = (valid if which != "right" else None, right_valid if which != "left" else None)
    got = run_restore(kernels, contract, fit, rig.left, rig, tensors, seen)
    plain = run_restore(kernels, contract, fit, rig.left, rig, tensors)
    image = np.zeros((height, width, 3), np.uint8)
    mask = Frame(0, image, rig.left, image, rig, valid=seen[0], right_valid=seen[1]).seen(plain["values"])
    assert 0.2 < mask.mean() < 0.8
    for name, plane in plain.items():
        unknown = 0 if name == "out_confidence" else np.nan
        np.testing.assert_array_equal(got[name], np.where(mask, plane, np.float32(unknown)), err_msg=name)


def test_disparity_at_and_below_that_of_infinity_is_infinitely_far(kernels):
    fit = plan_fit(InputContract(names=("x",), multiple_of=1), (5, 1))
    rig = StereoRig.simple(5, 1, 50.0, 0.1, doffs_px=2.0)
    tensor = np.float32([[[[2.0, 1.0, 0.0, np.nan, 4.0]]]])
    got = run_restore(kernels, OutputContract("d", "px"), fit, rig.left, rig, {"d": tensor})
    np.testing.assert_allclose(got["depth"], [[np.inf, np.inf, np.inf, np.nan, 2.5]], rtol=1e-6)


def test_values_that_overflow_are_no_answers(kernels):
    fit = plan_fit(InputContract(names=("x",), multiple_of=1), (4, 1))
    contract = OutputContract("d", "m", scale=2.0)
    tensor = np.float32([[[[*HUGE, -1e38, 1.0]]]])
    got = run_restore(kernels, contract, fit, PinholeCamera.simple(4, 1, 9.0), None, {"d": tensor})
    np.testing.assert_array_equal(got["depth"], np.float32([[2e38, np.nan, np.nan, 2.0]]))


def test_a_tensor_of_another_rank_is_refused():
    with pytest.raises(ContractError, match="NCHW"):
        OutputContract("d", "px").plane_hw((1, 4, 5))


def run_finish(kernels, frame: Frame, estimate: DepthMap, config: PipelineConfig):
    """Filtered depth, disparity and cloud of the kernel."""
    n = config.decimation
    a = finish_layout(frame.camera, config, config.point_fields == "xyzi")
    height, width = frame.image.shape[:2]
    a.image = Pixels(frame.image.ctypes.data, width, 1 if frame.image.ndim == 2 else 3)
    rays_x, rays_y = ray_slopes(frame.camera, n)
    out = [np.full((height, width), 7, np.float32) for _ in range(2)]
    cloud = np.full((-(-height // n), -(-width // n), 4), 7, np.float32)
    a.depth, a.out_depth, a.out_disparity = (x.ctypes.data for x in (estimate.depth, *out))
    if estimate.disparity is not None:
        a.disparity = estimate.disparity.ctypes.data
    if estimate.confidence is not None:
        a.confidence = estimate.confidence.ctypes.data
    a.cloud, a.rays_x, a.rays_y = (x.ctypes.data for x in (cloud, rays_x, rays_y))
    kernels.host_finish(ctypes.byref(a), 1)
    return *out, cloud


def scene(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Inverse depth with slants, steps, ramps between them, holes, and pixels exactly at the limits."""
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    inverse = 0.2 + 0.004 * v + 0.1 * (u > width * 0.6) + 0.05 * (v > height * 0.5)
    inverse = cv2.blur(inverse, (int(rng.integers(1, 9)), int(rng.integers(1, 9))))
    depth = (1 / inverse * rng.uniform(0.99, 1.01, inverse.shape)).astype(np.float32)
    spots = rng.uniform(size=depth.shape) < 0.05
    depth[spots] = rng.choice(np.float32([np.nan, np.inf, 0.0, 0.3, 20.0, 25.0, 0.1]), spots.sum())
    return depth


@QUICK
@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    border=st.sampled_from([0, 1, 3, 40]),
    jump=st.sampled_from([0.0, 0.01, 0.05]),
    confidence=st.sampled_from([0.0, 0.5]),
    decimation=st.sampled_from([1, 2, 3]),
    channels=st.sampled_from([1, 3]),
    fields=st.sampled_from(["xyzrgb", "xyzi"]),
    seed=st.integers(0, 1000),
)
def test_filters_and_cloud_are_those_of_numpy(
    kernels, width, height, border, jump, confidence, decimation, channels, fields, seed
):
    rng = np.random.default_rng(seed)
    config = PipelineConfig(
        min_depth_m=0.3,
        border_px=border,
        max_edge_jump=jump,
        min_confidence=confidence,
        decimation=decimation,
        point_fields=fields,
    )
    shape = (height, width) if channels == 1 else (height, width, 3)
    image = rng.integers(0, 256, shape, np.uint8)
    rig = StereoRig.simple(width, height, 50.0, 0.12)
    frame = Frame(0, image, rig.left, image, rig)
    sure = rng.choice(np.float32([0, 0.4999, 0.5, 1, np.nan]), (height, width))
    depth = scene(rng, height, width)
    estimate = DepthMap(depth, rig.left, rig.disparity_from_depth(depth), sure)
    got_depth, got_disparity, got_cloud = run_finish(kernels, frame, estimate, config)
    with np.errstate(all="ignore"):
        expected = DepthFilters(config).apply(estimate, frame)
        packer = PointPacker(rig.left, XYZRGB if fields == "xyzrgb" else XYZI, decimation)
        cloud = packer.pack(expected.depth, image).data
    np.testing.assert_array_equal(got_depth, expected.depth)
    np.testing.assert_array_equal(got_disparity, expected.disparity)
    np.testing.assert_array_equal(got_cloud[..., :3], cloud[..., :3])
    np.testing.assert_array_equal(got_cloud[..., 3].view(np.uint32), cloud[..., 3].view(np.uint32))


def test_flying_pixels_do_fly_in_the_scene(kernels):
    """The comparison above would hold for a filter that never takes anything, too."""
    depth = scene(np.random.default_rng(1), 48, 60)
    rig = StereoRig.simple(60, 48, 50.0, 0.12)
    image = np.zeros((48, 60, 3), np.uint8)
    frame = Frame(0, image, rig.left, image, rig)
    lost = []
    for jump in (0.0, 0.01):
        config = PipelineConfig(max_edge_jump=jump)
        filtered, _, _ = run_finish(kernels, frame, DepthMap(depth, rig.left), config)
        lost.append(np.isnan(filtered).sum())
    assert lost[1] > lost[0] + 50


def test_flying_pixels_to_the_very_edge(kernels):
    """Ramps of random steepness everywhere, so that each rule about the image's end decides some pixel."""
    rng = np.random.default_rng(3)
    for _ in range(300):
        height, width = rng.integers(1, 20, 2)
        steps = rng.choice([0.0, 0.001, 0.02, 0.1], (height, width))
        inverse = 0.2 + (np.cumsum(steps, axis=1) if rng.random() < 0.5 else np.cumsum(steps, axis=0))
        depth = (1 / inverse).astype(np.float32)
        depth[rng.random(depth.shape) < 0.03] = rng.choice(np.float32([np.nan, np.inf]))
        rig = StereoRig.simple(int(width), int(height), 50.0, 0.12)
        image = np.zeros((height, width, 3), np.uint8)
        frame, estimate = Frame(0, image, rig.left, image, rig), DepthMap(depth, rig.left)
        config = PipelineConfig(min_depth_m=0.0, max_edge_jump=0.01)
        got, _, _ = run_finish(kernels, frame, estimate, config)
        np.testing.assert_array_equal(got, DepthFilters(config).apply(estimate, frame).depth)
