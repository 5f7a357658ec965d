from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from recon3d_ros.backends import open_backend
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError, ManifestError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, PinholeCamera, StereoRig
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.registry import BUILT_IN


def stereo_frame(width: int, height: int, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 255, (2, height, width, 3), np.uint8)
    rig = StereoRig.simple(width, height, fx=0.8 * width, baseline_m=0.12, doffs_px=-2.0)
    return Frame(7, left, rig.left, right, rig)


def test_stereo() -> None:
    estimator = Estimator.open(ModelConfig(model="fake_stereo"))
    assert estimator.backend_name == "fake" and estimator.is_stereo and estimator.is_metric
    frame = stereo_frame(61, 47)
    depth_map = estimator.estimate(frame)
    assert depth_map.camera is frame.camera
    assert depth_map.depth.shape == (47, 61)
    np.testing.assert_array_equal(depth_map.disparity, estimator.estimate_raw(frame))
    np.testing.assert_allclose(depth_map.depth, 0.8 * 61 * 0.12 / (depth_map.disparity + 2.0), rtol=1e-5)
    swapped = dataclasses.replace(frame, image=frame.right, right=frame.image)
    assert np.abs(estimator.estimate(swapped).disparity - depth_map.disparity).max() > 1e-4
    estimator.close()


def test_mono() -> None:
    estimator = Estimator.open(ModelConfig(model="fake_mono"))
    assert not estimator.is_stereo
    camera = PinholeCamera.simple(61, 47, 50.0)
    red, blue = np.zeros((2, 47, 61, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 255
    depth_map = estimator.estimate(Frame(0, red, camera))
    assert depth_map.depth.shape == (47, 61) and depth_map.disparity is None
    assert depth_map.depth[0, 0] > depth_map.depth[-1, 0] > 0
    # the fake weighs red by 0.5 and blue by 0.2, beside a constant of 0.5
    np.testing.assert_allclose(
        estimator.estimate(Frame(0, blue, camera)).depth, depth_map.depth * 0.7 / 1.0, rtol=1e-5
    )


def test_mono_model_takes_the_left_of_a_pair() -> None:
    estimator = Estimator.open(ModelConfig(model="fake_mono"))
    frame = stereo_frame(61, 47)
    alone = Frame(0, frame.image, frame.camera)
    np.testing.assert_array_equal(estimator.estimate(frame).depth, estimator.estimate(alone).depth)


def test_image_size_may_change_between_frames() -> None:
    estimator = Estimator.open(ModelConfig(model="fake_stereo"))
    first = estimator.estimate(stereo_frame(61, 47)).depth
    assert estimator.estimate(stereo_frame(47, 61)).depth.shape == (61, 47)
    np.testing.assert_array_equal(estimator.estimate(stereo_frame(61, 47)).depth, first)


def test_answers_are_not_overwritten_by_the_next_frame() -> None:
    estimator = Estimator.open(ModelConfig(model="fake_stereo"))
    first = estimator.estimate(stereo_frame(61, 47))
    before = first.depth.copy(), first.disparity.copy()
    estimator.estimate(stereo_frame(61, 47, seed=1))
    np.testing.assert_array_equal(first.depth, before[0])
    np.testing.assert_array_equal(first.disparity, before[1])


def test_stereo_model_and_a_single_image() -> None:
    estimator = Estimator.open(ModelConfig(model="fake_stereo"))
    frame = Frame(0, np.zeros((47, 61), np.uint8), PinholeCamera.simple(61, 47, 50.0))
    for answer in (estimator.estimate, estimator.estimate_raw):
        with pytest.raises(ConfigError, match="fake_stereo needs a stereo pair, the frame has one image"):
            answer(frame)


def test_confidence_reaches_the_depth_map() -> None:
    output = OutputContract("disparity", "px", confidence="sure")
    manifest = dataclasses.replace(BUILT_IN["fake_stereo"], output=output)
    depth_map = Estimator(manifest, open_backend("fake", manifest)).estimate(stereo_frame(61, 47))
    np.testing.assert_array_equal(depth_map.confidence, np.ones((47, 61), np.float32))


def test_sigma_of_disparity_becomes_sigma_of_depth() -> None:
    output = OutputContract("disparity", "px", sigma="spread")
    manifest = dataclasses.replace(BUILT_IN["fake_stereo"], output=output)
    frame = stereo_frame(61, 47)
    depth_map = Estimator(manifest, open_backend("fake", manifest)).estimate(frame)
    nearer = frame.rig.depth_from_disparity(depth_map.disparity * np.float32(1.01))  # the fake's sigma: 1 %
    np.testing.assert_allclose(depth_map.sigma_m, depth_map.depth - nearer, rtol=0.02)
    assert depth_map.confidence is None


def test_sigma_of_a_mono_model_is_in_metres() -> None:
    output = OutputContract("depth", "cm", "NHWC", sigma="spread")
    manifest = dataclasses.replace(BUILT_IN["fake_mono"], output=output)
    frame = Frame(0, np.full((47, 61, 3), 100, np.uint8), PinholeCamera.simple(61, 47, 50.0))
    depth_map = Estimator(manifest, open_backend("fake", manifest)).estimate(frame)
    np.testing.assert_allclose(depth_map.sigma_m, 0.01 * depth_map.depth, rtol=1e-5)


class Counting:
    """A backend that counts its inferences and remembers the batch of the last one."""

    def __init__(self, backend):
        self._backend, self.calls, self.batch = backend, 0, 0

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def infer(self, feed):
        self.calls, self.batch = self.calls + 1, len(next(iter(feed.values())))
        return self._backend.infer(feed)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NHW", "HW"])
def test_frames_of_one_size_take_one_inference_where_the_model_can(layout: str) -> None:
    output = OutputContract("disparity", "px", layout, confidence="sure", sigma="spread")
    manifest = dataclasses.replace(BUILT_IN["fake_stereo"], output=output)
    backend = Counting(open_backend("fake", manifest))
    estimator = Estimator(manifest, backend)
    assert estimator.batches == (layout != "HW")  # without N there is no batch
    frames = [stereo_frame(61, 47, seed) for seed in range(3)]
    together = estimator.estimate_many(frames)
    assert (backend.calls, backend.batch) == ((1, 3) if estimator.batches else (3, 1))
    assert np.abs(together[0].disparity - together[1].disparity).max() > 1e-4
    for frame, depth_map in zip(frames, together):
        alone = estimator.estimate(frame)
        assert depth_map.camera is frame.camera
        for name in ("depth", "disparity", "confidence", "sigma_m"):
            np.testing.assert_array_equal(getattr(depth_map, name), getattr(alone, name))
    assert estimator.estimate_many([]) == []


def test_frames_of_several_sizes_are_answered_in_their_order() -> None:
    manifest = BUILT_IN["fake_stereo"]
    backend = Counting(open_backend("fake", manifest))
    sizes = [(61, 47), (47, 61), (61, 47)]
    maps = Estimator(manifest, backend).estimate_many([stereo_frame(*size) for size in sizes])
    assert [depth_map.depth.shape[::-1] for depth_map in maps] == sizes and backend.calls == 3


def test_many_sizes_in_turn_keep_the_buffers_few() -> None:
    estimator = Estimator.open(ModelConfig(model="fake_stereo"))
    for width in range(40, 80, 4):
        assert estimator.estimate(stereo_frame(width, 47)).depth.shape == (47, width)
    assert len(estimator._prepared) == 4


def test_relative_model_has_no_metres_but_an_answer() -> None:
    manifest = dataclasses.replace(
        BUILT_IN["fake_mono"],
        name="relative",
        task="mono_relative_inverse_depth",
        input=InputContract(("image",), multiple_of=14),
        output=OutputContract("relative", "relative_inverse_depth"),
    )
    estimator = Estimator(manifest, open_backend("fake", manifest))
    assert not estimator.is_metric
    frame = Frame(0, np.full((47, 61, 3), 100, np.uint8), PinholeCamera.simple(61, 47, 50.0))
    with pytest.raises(ConfigError, match="relative outputs relative inverse depth without metric scale"):
        estimator.require_metric()
    relative = estimator.estimate_raw(frame)
    depth_map = estimator.estimate(frame)
    assert np.isnan(depth_map.depth).all() and not depth_map.valid.any()
    np.testing.assert_array_equal(depth_map.relative_depth, relative)
    assert relative.shape == (47, 61) and relative[-1, 0] > relative[0, 0] > 0


def test_unknown_model() -> None:
    with pytest.raises(ManifestError, match=r"no model 'fake_stereos'.*nearest name is fake_stereo"):
        Estimator.open(ModelConfig(model="fake_stereos"))


@pytest.mark.parametrize("size_wh", [(320, 240), (160, 121), (803, 600)])
def test_depth_for_another_focal_length_scales_with_that_of_the_image(size_wh: tuple[int, int]) -> None:
    """focal_px counts px down the network's input, here 240 rows: shrunk images have shorter lenses."""
    plain = BUILT_IN["fake_mono"]
    manifest = dataclasses.replace(plain, output=dataclasses.replace(plain.output, focal_px=200.0))
    width, height = size_wh
    for fy in (90.0, 400.0):
        camera = PinholeCamera.simple(width, height, 1.2 * fy, fy=fy)
        frame = Frame(0, np.zeros((height, width, 3), np.uint8), camera)
        taken, scaled = (Estimator(m, open_backend("fake", m)).estimate(frame) for m in (plain, manifest))
        np.testing.assert_allclose(scaled.depth, taken.depth * (fy * 240 / height / 200.0), rtol=1e-5)


def test_a_vertical_pair_is_matched_after_a_quarter_turn_and_the_result_turned_back():
    """Side by side and turned by hand it gives the same depth, on the grid of the upper camera."""
    rng, (width, height) = np.random.default_rng(0), (61, 47)
    upper, lower = rng.integers(0, 255, (2, height, width, 3), np.uint8)
    camera = PinholeCamera.simple(width, height, 50.0, 30.0, 25.0)
    p = camera.p.copy()
    p[1, 3] = -50.0 * 0.1
    rig = StereoRig(camera, dataclasses.replace(camera, p=p))
    valid = rng.random((height, width)) > 0.2
    frame = Frame(7, upper, rig.left.as_rectified(), lower, rig.as_rectified(), valid=valid)
    flat = Frame(
        7,
        np.ascontiguousarray(np.rot90(upper)),
        rig.turned().left,
        np.ascontiguousarray(np.rot90(lower)),
        rig.turned(),
        valid=np.ascontiguousarray(np.rot90(valid)),
    )
    estimator = Estimator.open(ModelConfig(model="fake_stereo"))
    got, expected = estimator.estimate(frame), estimator.estimate(flat)
    assert np.isfinite(got.depth).any() and got.camera == frame.camera and got.disparity is None
    np.testing.assert_array_equal(got.depth, np.rot90(expected.depth, -1))
    assert got.confidence is None and expected.confidence is None
    assert np.isnan(got.depth[~valid]).all()
    np.testing.assert_array_equal(estimator.estimate_raw(frame), np.rot90(estimator.estimate_raw(flat), -1))


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_disparity_is_that_of_the_image_at_whatever_size_it_is_seen(scale: float) -> None:
    """The shipped model, which has to pass its self-check, too: at the size of its golden images."""
    pytest.importorskip("onnxruntime")
    width, height, shift = 331, 203, 18
    noise = np.random.default_rng(2).integers(
        0, 255, (height // 6 + 1, (width + shift) // 6 + 1, 3), np.uint8
    )
    wall = cv2.resize(noise, (width + shift, height), interpolation=cv2.INTER_CUBIC)
    rig = StereoRig.simple(width, height, fx=300.0, baseline_m=0.1)
    frame = Frame(0, wall[:, :width].copy(), rig.left, wall[:, shift:].copy(), rig)
    config = ModelConfig(model="recon3d_stereo_light", backend="onnxruntime", input_scale=scale)
    with Estimator.open(config) as estimator:
        depth_map = estimator.estimate(frame)
    seen = np.s_[12:-12, 2 * shift : -12]
    assert depth_map.depth.shape == (height, width)
    off = depth_map.disparity[seen] - shift
    assert abs(np.median(off)) < 0.5 / scale and np.mean(np.abs(off) < 1.0 / scale) > 0.95
