"""Where an image lies in the network's input, and that it comes back from there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import ImageError
from recon3d_ros.model_zoo.contract import PADDINGS, InputContract, OutputContract
from recon3d_ros.preprocess import Preprocessor, plan_fit, to_image_grid

DEPTH = OutputContract("depth", "m")


@pytest.mark.parametrize(
    ("padding", "offset"),
    [
        ("bottom_right", (0, 0)),
        ("top_right", (0, 5)),
        ("bottom_left", (3, 0)),
        ("top_left", (3, 5)),
        ("center", (1, 2)),
        ("bottom", (1, 0)),
        ("top", (1, 5)),
    ],
)
def test_padding_stands_where_it_is_named(padding: str, offset: tuple[int, int]) -> None:
    """29x27 in 32x32: three columns and five rows are left."""
    fit = plan_fit(InputContract(("i",), multiple_of=32, padding=padding), (29, 27))
    assert (fit.content_size_wh, fit.network_size_wh, fit.offset_xy) == ((29, 27), (32, 32), offset)


@pytest.mark.parametrize(("pad_value", "expected"), [(None, None), (40.0, (40 / 255 - 0.5) / 0.25)])
@pytest.mark.parametrize("padding", PADDINGS)
def test_what_stands_in_the_padding(padding: str, pad_value: float | None, expected: float | None) -> None:
    contract = InputContract(
        ("i",), multiple_of=16, scale=1 / 255, mean=0.5, std=0.25, padding=padding, pad_value=pad_value
    )
    image = np.random.default_rng(0).integers(0, 256, (13, 21, 3), np.uint8)
    fit = plan_fit(contract, (21, 13))
    tensor = Preprocessor(contract, fit, 1).tensors([image])["i"]
    x, y = fit.offset_xy
    kind, value = (cv2.BORDER_REPLICATE, 0) if expected is None else (cv2.BORDER_CONSTANT, expected)
    for channel in range(3):
        plane = ((image[..., channel] / 255 - 0.5) / 0.25).astype(np.float32)
        around = cv2.copyMakeBorder(plane, y, 16 - 13 - y, x, 32 - 21 - x, kind, value=value)
        np.testing.assert_allclose(tensor[0, channel], around, atol=1e-6)


def test_padding_of_one_value_per_channel_can_be_zero_in_the_tensor() -> None:
    mean = (0.485, 0.456, 0.406)
    contract = InputContract(
        ("i",), multiple_of=8, scale=1 / 255, mean=mean, pad_value=[255 * m for m in mean], padding="center"
    )
    tensor = Preprocessor(contract, plan_fit(contract, (5, 5)), 1).tensors([np.full((5, 5, 3), 9, np.uint8)])
    np.testing.assert_allclose(tensor["i"][0, :, 0], 0.0, atol=1e-6)


@given(
    st.sampled_from(PADDINGS), st.tuples(st.integers(8, 90), st.integers(8, 90)), st.sampled_from([1, 2, 4])
)
def test_a_picture_comes_back_from_within_any_padding(padding: str, size_wh, smaller: int) -> None:  # type: ignore[no-untyped-def]
    """A ramp, of which an output of a half or a quarter of the size still has every value inside."""
    width, height = size_wh
    contract = InputContract(("i",), multiple_of=16, padding=padding)
    fit = plan_fit(contract, size_wh)
    network_w, network_h = fit.network_size_wh
    x, y = fit.offset_xy
    u, v = np.meshgrid(np.arange(network_w) - x, np.arange(network_h) - y)
    ramp = (300.0 + 2 * u + 3 * v).astype(np.float32)
    output = ramp.reshape(network_h // smaller, smaller, network_w // smaller, smaller).mean((1, 3))
    got = to_image_grid(output[None, None], DEPTH, fit)
    expected = 300.0 + 2 * np.arange(width) + 3 * np.arange(height)[:, None]
    edge = smaller if smaller > 1 else 0
    inner = (slice(edge, height - edge), slice(edge, width - edge))
    np.testing.assert_allclose(got[inner], expected[inner], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "size_wh", "network_wh"),
    [
        ({"fit": "stretch"}, (640, 480), (686, 518)),  # Depth Anything: 690.7 to a multiple of 14
        ({"fit": "stretch"}, (480, 640), (518, 686)),
        ({"fit": "stretch"}, (200, 150), (686, 518)),
        ({"fit": "pad"}, (640, 480), (700, 518)),
        ({"fit": "stretch", "max_size_wh": (518, 518)}, (640, 480), (518, 392)),
    ],
)
def test_the_shorter_side_is_scaled_to_a_length(options: dict, size_wh: tuple, network_wh: tuple) -> None:
    contract = InputContract(("i",), multiple_of=14, short_side=518, **options)
    assert plan_fit(contract, size_wh).network_size_wh == network_wh


def test_interpolation_is_the_one_that_is_named() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    for name, how in {"linear": 1, "cubic": 2, "area": 3, "nearest": 0, "auto": 3}.items():
        contract = InputContract(("i",), layout="NHWC", size_wh=(17, 11), fit="stretch", interpolation=name)
        got = Preprocessor(contract, plan_fit(contract, (40, 30)), 1).tensors([image])["i"]
        np.testing.assert_array_equal(got[0], cv2.resize(image, (17, 11), interpolation=how))


@pytest.mark.parametrize(
    ("layout", "names", "shape"),
    [
        ("CHW", ("a", "b"), (3, 5, 7)),
        ("HWC", ("a", "b"), (5, 7, 3)),
        ("NSCHW", ("a", "b"), (1, 1, 3, 5, 7)),
        ("NSCHW", ("both",), (1, 2, 3, 5, 7)),
        ("CHW", ("both",), (6, 5, 7)),
    ],
)
def test_axes_of_other_layouts(layout: str, names: tuple[str, ...], shape: tuple[int, ...]) -> None:
    images = [np.random.default_rng(i).integers(0, 256, (5, 7, 3), np.uint8) for i in range(2)]
    contract = InputContract(names, layout=layout, size_wh=(7, 5))
    got = Preprocessor(contract, plan_fit(contract, (7, 5)), 2).tensors(images)
    planes = np.concatenate([image.transpose(2, 0, 1) for image in images])
    for i, name in enumerate(names):
        mine = planes if len(names) == 1 else planes[3 * i : 3 * i + 3]
        expected = mine.transpose(1, 2, 0) if layout == "HWC" else mine
        assert got[name].shape == shape
        np.testing.assert_array_equal(got[name].reshape(expected.shape), expected)


def test_a_fixed_batch_gets_the_same_frame_everywhere() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    contract = InputContract(("i",), size_wh=(7, 5), batch=3)
    got = Preprocessor(contract, plan_fit(contract, (7, 5)), 1).tensors([image])["i"]
    np.testing.assert_array_equal(got, np.repeat(image.transpose(2, 0, 1)[None], 3, axis=0))


@pytest.mark.parametrize(
    "contract",
    [
        InputContract(("i",), size_wh=(16384, 16384)),
        InputContract(("i",), multiple_of=16384),
        InputContract(("i",), multiple_of=8, short_side=2048),
    ],
)
def test_a_network_that_would_need_gigabytes_is_refused(contract: InputContract) -> None:
    with pytest.raises(ImageError, match="expected a network of at most 67108864 px"):
        plan_fit(contract, (60000, 31))


@pytest.mark.parametrize(
    ("scale", "content", "network"),
    [(1.0, (45, 31), (64, 32)), (1.5, (68, 46), (96, 64)), (0.5, (22, 16), (32, 32))],
)
def test_an_image_may_be_seen_at_another_size(scale, content, network):
    fit = plan_fit(InputContract(("i",), multiple_of=32, image_scale=scale), (45, 31))
    assert (fit.content_size_wh, fit.network_size_wh) == (content, network)
    assert fit.image_size_wh == (45, 31) and fit.zoom_xy == pytest.approx((content[0] / 45, content[1] / 31))


def test_the_largest_size_holds_at_any_scale():
    fit = plan_fit(InputContract(("i",), multiple_of=8, image_scale=3.0, max_size_wh=(64, 48)), (40, 30))
    assert fit.content_size_wh == (64, 48)
