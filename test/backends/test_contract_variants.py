"""Whatever a network wants and answers, a YAML is enough: every variant against the answer known exactly.

The images are ramps: red grows with the column, green with the row, blue is constant, and the right image
differs from the left. So the wrong colour order, swapped axes or swapped images all give another answer, and
averaging or interpolating between pixels keeps it exact.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig

WEIGHTS = ((0.5, 0.3, 0.2), (0.06, 0.05, 0.04))
WIDTH, HEIGHT = 45, 37
RIG = StereoRig.simple(WIDTH, HEIGHT, fx=50.0, baseline_m=0.2, doffs_px=1.5)
WriteModel = Callable[..., Path]


def ramps(width: int = WIDTH, height: int = HEIGHT, step: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A left and a right image, (H, W, 3) uint8 RGB."""
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    left = np.stack([step * u, step * v + 20, np.full_like(u, 77)], axis=2)
    right = np.stack([step * v + 5, np.full_like(u, 33), step * u + 9], axis=2)
    return left.astype(np.uint8), right.astype(np.uint8)


def channel_sums(images: list[np.ndarray], color: str, normalise: Callable) -> np.ndarray:
    """What a tiny model adds up, in float64: the images' channels in tensor order, each times its weight."""
    total = np.zeros(images[0].shape[:2])
    for image, weights in zip(images, WEIGHTS):
        if color == "mono":
            grey = image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114])
            channels = [grey]
        else:
            rgb = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
            channels = [rgb[..., i] for i in ((2, 1, 0) if color == "bgr" else (0, 1, 2))]
        for i, (channel, weight) in enumerate(zip(channels, weights)):
            total += weight * normalise(channel.astype(np.float64), i)
    return total


def answer(manifest: Path, images: list[np.ndarray]) -> np.ndarray:
    """Run the model on one image or a pair."""
    estimator = Estimator.open(ModelConfig(model=str(manifest), threads=1))
    right, rig = (images[1], RIG) if len(images) == 2 else (None, None)
    result = estimator.estimate_raw(Frame(0, images[0], RIG.left, right, rig))
    estimator.close()
    return result


@pytest.mark.parametrize("shrink", [1, 2])
@pytest.mark.parametrize("unit", ["px", "m", "cm", "relative_inverse_depth"])
@pytest.mark.parametrize("color", ["rgb", "bgr", "mono"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_every_contract(
    tiny_model: WriteModel, layout: str, dtype: str, color: str, unit: str, shrink: int
) -> None:
    given = {"layout": layout, "dtype": dtype, "color": color}
    if dtype == "float32":
        mean, std = ([0.1, -0.2, 0.3], [0.5, 0.25, 2.0]) if color != "mono" else ([-0.1], [0.5])
        given |= {"scale": 1 / 255, "mean": mean, "std": std}
    images = list(ramps())[: 2 if unit == "px" else 1]
    manifest = tiny_model(given, {"unit": unit, "layout": layout, "scale": 3.0}, factor=0.5, shrink=shrink)

    def normalise(channel, i):  # type: ignore[no-untyped-def]
        return (channel / 255 - mean[i]) / std[i] if dtype == "float32" else channel

    factor = 0.5 * 3.0 * (0.01 if unit == "cm" else 1.0)
    expected = factor * channel_sums(images, color, normalise)
    assert expected.min() > 0
    got = answer(manifest, images)
    assert got.shape == (HEIGHT, WIDTH) and got.dtype == np.float32
    # A shrunken answer knows the outermost half pixel, and the last column and row beside the padding, only
    # by repetition; OpenCV rounds grey to whole levels.
    margin = slice(shrink - 1, None if shrink == 1 else -2)
    rounding = 0.0
    if color == "mono":
        rounding = 0.51 * factor * sum(row[0] for row in WEIGHTS) * (normalise(1.0, 0) - normalise(0.0, 0))
    np.testing.assert_allclose(got[margin, margin], expected[margin, margin], rtol=2e-6, atol=1e-5 + rounding)


@pytest.mark.parametrize("color", ["rgb", "mono"])
def test_grey_images_suit_every_model(tiny_model: WriteModel, color: str) -> None:
    grey = [np.ascontiguousarray(image[..., 0]) for image in ramps()]
    manifest = tiny_model({"color": color})
    expected = channel_sums(grey, color, lambda channel, _: channel)
    np.testing.assert_allclose(answer(manifest, grey), expected, rtol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_one_input_name_stacks_left_and_right(tiny_model: WriteModel, layout: str) -> None:
    images = list(ramps())
    manifest = tiny_model({"names": ["both"], "layout": layout, "color": "bgr"})
    expected = channel_sums(images, "bgr", lambda channel, _: channel)
    np.testing.assert_allclose(answer(manifest, images), expected, rtol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NHW", "HW"])
def test_every_output_layout(tiny_model: WriteModel, layout: str) -> None:
    images = list(ramps())
    expected = channel_sums(images, "rgb", lambda channel, _: channel)
    np.testing.assert_allclose(answer(tiny_model(None, {"layout": layout}), images), expected, rtol=1e-6)


def test_integer_output_with_a_scale(tiny_model: WriteModel) -> None:
    image = ramps()[0]
    manifest = tiny_model({"dtype": "uint8"}, {"unit": "m", "dtype": "uint8", "scale": 0.25})
    expected = 0.25 * np.floor(channel_sums([image], "rgb", lambda channel, _: channel))
    np.testing.assert_allclose(answer(manifest, [image]), expected, atol=0.26)


def test_fixed_size_stretched_to_half(tiny_model: WriteModel) -> None:
    """40x36 in a network of 20x18: averages of two columns are exact, px double on the way back."""
    rig = StereoRig.simple(40, 36, fx=50.0, baseline_m=0.2)
    left, right = ramps(40, 36)
    manifest = tiny_model({"size_wh": [20, 18], "fit": "stretch"})
    got = Estimator.open(ModelConfig(model=str(manifest))).estimate_raw(Frame(0, left, rig.left, right, rig))
    expected = 2 * channel_sums([left, right], "rgb", lambda channel, _: channel)
    np.testing.assert_allclose(got[1:-1, 1:-1], expected[1:-1, 1:-1], rtol=1e-6)


@pytest.mark.parametrize("size_wh", [(64, 40), (40, 64), (90, 41)])
def test_fixed_size_letterbox(tiny_model: WriteModel, size_wh: tuple[int, int]) -> None:
    """The image keeps its aspect in a network of another shape; the answer comes back where it was."""
    image = ramps()[0]
    manifest = tiny_model({"size_wh": list(size_wh), "fit": "pad"}, {"unit": "m"})
    expected = channel_sums([image], "rgb", lambda channel, _: channel)
    got = answer(manifest, [image])
    # Resized images are rounded to whole levels, and their border pixel is half a pixel off.
    np.testing.assert_allclose(got[2:-2, 2:-2], expected[2:-2, 2:-2], atol=0.8)


def test_large_images_are_shrunk_first(tiny_model: WriteModel) -> None:
    images = list(ramps())
    manifest = tiny_model({"max_size_wh": [24, 24]})
    expected = channel_sums(images, "rgb", lambda channel, _: channel) * WIDTH / 24
    got = answer(manifest, images)
    np.testing.assert_allclose(got[2:-2, 2:-2], expected[2:-2, 2:-2], rtol=0.03)


def test_stereo_depth_uses_the_rig(tiny_model: WriteModel) -> None:
    left, right = ramps()
    estimator = Estimator.open(ModelConfig(model=str(tiny_model())))
    depth_map = estimator.estimate(Frame(0, left, RIG.left, right, RIG))
    disparity = channel_sums([left, right], "rgb", lambda channel, _: channel)
    np.testing.assert_allclose(depth_map.disparity, disparity, rtol=1e-6)
    np.testing.assert_allclose(depth_map.depth, 50.0 * 0.2 / (disparity - 1.5), rtol=1e-5)


def test_pixels_that_are_no_answer_are_nan(tiny_model: WriteModel) -> None:
    """The network answers -40 ... 50 px: negative ones and those beyond its reach are no disparities."""
    left, right = ramps()
    manifest = tiny_model({"mean": [100.0, 0.0, 0.0]}, {"max_disparity_px": 30})
    exact = channel_sums([left, right], "rgb", lambda channel, i: channel - (100.0 if i == 0 else 0.0))
    assert exact.min() < -5 and exact.max() > 35
    got = answer(manifest, [left, right])
    expected = np.where((exact >= 0) & (exact <= 30), exact, np.nan)
    assert 0.2 < np.isfinite(expected).mean() < 0.8
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
