from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recon3d_ros.errors import ContractError, ImageError
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.preprocess import (
    Fit,
    Preprocessor,
    confidence_to_image_grid,
    plan_fit,
    sigma_to_image_grid,
    to_image_grid,
)

PX = OutputContract("disparity", "px")
SIZES = st.tuples(st.integers(2, 150), st.integers(2, 150))


@st.composite
def contracts(draw: st.DrawFn) -> InputContract:
    """Any way to bring an image to a network's size."""
    fit = draw(st.sampled_from(["pad", "stretch"]))
    if draw(st.booleans()):
        return InputContract(("left", "right"), size_wh=draw(SIZES), fit=fit)
    step = draw(st.sampled_from([1, 8, 32]))
    max_size_wh = draw(st.none() | st.tuples(st.integers(step, 200), st.integers(step, 200)))
    return InputContract(("left", "right"), multiple_of=step, max_size_wh=max_size_wh, fit=fit)


@given(contracts(), SIZES)
def test_plan_keeps_the_contract(contract: InputContract, size_wh: tuple[int, int]) -> None:
    fit = plan_fit(contract, size_wh)
    assert fit.image_size_wh == size_wh
    assert all(1 <= content <= network for content, network in zip(fit.content_size_wh, fit.network_size_wh))
    if contract.size_wh:
        assert fit.network_size_wh == contract.size_wh
    else:
        assert all(side % contract.multiple_of == 0 for side in fit.network_size_wh)
    if contract.max_size_wh:
        assert all(n <= limit for n, limit in zip(fit.network_size_wh, contract.max_size_wh))
    if contract.fit == "stretch":
        assert fit.content_size_wh == fit.network_size_wh
    else:
        # one ratio rounds to both sides: whole pixels allow at most this much aspect to be lost
        ranges = [((c - 0.51) / side, (c + 0.51) / side) for c, side in zip(fit.content_size_wh, size_wh)]
        tiny = 1 in fit.content_size_wh  # a side is never rounded to nothing
        assert tiny or max(low for low, _ in ranges) <= min(high for _, high in ranges)


@pytest.mark.parametrize(
    ("contract", "size_wh", "content_wh", "network_wh"),
    [
        ({"multiple_of": 32}, (641, 479), (641, 479), (672, 480)),
        ({"multiple_of": 32, "max_size_wh": (640, 400)}, (1280, 720), (640, 360), (640, 384)),
        ({"multiple_of": 32, "max_size_wh": (650, 400)}, (1280, 720), (640, 360), (640, 384)),
        ({"multiple_of": 32, "fit": "stretch"}, (641, 479), (640, 480), (640, 480)),
        ({"size_wh": (224, 224), "fit": "stretch"}, (540, 360), (224, 224), (224, 224)),
        ({"size_wh": (224, 224), "fit": "pad"}, (540, 360), (224, 149), (224, 224)),
        ({"size_wh": (640, 480), "fit": "pad"}, (320, 200), (640, 400), (640, 480)),
    ],
)
def test_known_plans(contract: dict, size_wh: tuple, content_wh: tuple, network_wh: tuple) -> None:
    assert plan_fit(InputContract("x", **contract), size_wh) == Fit(size_wh, content_wh, network_wh)


@example(InputContract("x", multiple_of=8), (2, 2), 1.0, 0.875)  # sizes that cv2.resize takes for equal
@given(contracts(), SIZES, st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_disparity_ramp_comes_back(
    contract: InputContract, size_wh: tuple[int, int], shrink_x: float, shrink_y: float
) -> None:
    """Disparity 3 + u / 4 + v / 5 px of the image, answered exactly by a network of any output size."""
    fit = plan_fit(contract, size_wh)
    (width, height), (network_w, network_h) = fit.image_size_wh, fit.network_size_wh
    scale_x, scale_y = fit.content_size_wh[0] / width, fit.content_size_wh[1] / height
    cells_w, cells_h = max(1, round(network_w * shrink_x)), max(1, round(network_h * shrink_y))
    # centre of each cell of the answer, in pixels of the image
    cell_u = (np.arange(cells_w) + 0.5) * network_w / cells_w / scale_x - 0.5
    cell_v = (np.arange(cells_h) + 0.5) * network_h / cells_h / scale_y - 0.5
    answer = (3 + cell_u / 4 + cell_v[:, None] / 5) * scale_x
    got = to_image_grid(answer[None, None].astype(np.float32), PX, fit)
    assert got.shape == (height, width) and got.dtype == np.float32 and got.flags.c_contiguous
    # Beyond the outermost cells, and beyond the image where there is no padding, the answer is repeated.
    last_u = min(cell_u[-1], (fit.content_size_wh[0] - 0.5) / scale_x - 0.5 if cells_w == network_w else 1e9)
    last_v = min(cell_v[-1], (fit.content_size_wh[1] - 0.5) / scale_y - 0.5 if cells_h == network_h else 1e9)
    u = np.clip(np.arange(width), cell_u[0], last_u)
    v = np.clip(np.arange(height), cell_v[0], last_v)[:, None]
    np.testing.assert_allclose(got, 3 + u / 4 + v / 5, rtol=1e-4)


@pytest.mark.parametrize(("unit", "factor"), [("m", 1.0), ("cm", 0.01), ("relative_inverse_depth", 1.0)])
def test_other_units_do_not_depend_on_the_width(unit: str, factor: float) -> None:
    fit = Fit((50, 30), (100, 60), (128, 64))
    answer = np.full((1, 64, 128, 1), 8.0, np.float32)
    got = to_image_grid(answer, OutputContract("depth", unit, layout="NHWC", scale=0.5), fit)
    np.testing.assert_allclose(got, np.full((30, 50), 4.0 * factor), rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "valid"),
    [
        ("px", [True, True, False, False, False, False, False]),
        ("m", [True, False, False, False, False, False, False]),
        ("cm", [True, False, False, False, False, False, False]),
        ("relative_inverse_depth", [True, True, True, True, False, False, False]),
    ],
)
def test_what_is_no_answer_is_nan(unit: str, valid: list[bool]) -> None:
    answer = np.array([1.5, 0.0, -1e-3, -7.0, np.nan, np.inf, -np.inf], np.float32)
    fit = Fit((7, 1), (7, 1), (7, 1))
    got = to_image_grid(answer.reshape(1, 1, 1, 7), OutputContract("x", unit), fit)
    assert np.isfinite(got[0]).tolist() == valid
    assert not np.isinf(got).any()


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_overflow_is_nan(value: float) -> None:
    answer = np.full((1, 1, 2, 3), value, np.float32)
    got = to_image_grid(answer, OutputContract("x", "px", scale=100.0), Fit((3, 2), (3, 2), (3, 2)))
    assert np.isnan(got).all()


def test_holes_do_not_leak_values() -> None:
    """Between an answer and a hole there is a hole, in whatever way the answer is enlarged."""
    answer = np.full((1, 1, 4, 6), 10.0, np.float32)
    answer[..., 3:] = -5.0  # what a network may say about what it cannot see
    got = to_image_grid(answer, PX, Fit((24, 16), (24, 16), (24, 16)))
    finite = np.isfinite(got)
    assert finite[:, :10].all() and not finite[:, 12:].any()
    np.testing.assert_allclose(got[finite], 10.0)


def test_disparities_beyond_the_networks_reach() -> None:
    contract = OutputContract("disparity", "px", max_disparity_px=192)
    answer = np.array([[[[190.0, 192.0, 193.0]]]], np.float32)
    got = to_image_grid(answer, contract, Fit((6, 1), (3, 1), (3, 1)))
    assert np.isfinite(got).any() and got[np.isfinite(got)].max() <= 384.0  # twice as wide, twice the pixels
    assert np.isnan(got[0, 4:]).all()


def test_of_several_output_channels_one_is_named() -> None:
    fit = Fit((5, 3), (5, 3), (5, 3))
    flow = np.stack([np.full((3, 5), -2.0), np.full((3, 5), 99.0)])[None].astype(np.float32)
    horizontal = OutputContract("flow", "px", scale=-1.0, channel=0)
    np.testing.assert_array_equal(to_image_grid(flow, horizontal, fit), np.full((3, 5), 2.0))
    last = OutputContract("flow", "px", layout="NHWC", channel=1)
    np.testing.assert_array_equal(to_image_grid(np.moveaxis(flow, 1, 3), last, fit), np.full((3, 5), 99.0))
    for channel, told in ((None, "none"), (2, "2")):
        contract = OutputContract("flow", "px", channel=channel)
        with pytest.raises(ContractError, match=f"'flow' has 2 channels, of which .* got {told}"):
            to_image_grid(flow, contract, fit)


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 1, 4, 5), (1, 1, 0, 5)])
def test_output_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ContractError, match=r"expected the output 'disparity' as one NCHW, got shape"):
        to_image_grid(np.zeros(shape, np.float32), PX, Fit((5, 4), (5, 4), (5, 4)))


def test_confidence_is_a_number_everywhere() -> None:
    answer = np.array([[0.25, np.nan, 2.0, -1.0, np.inf]], np.float32).reshape(1, 1, 1, 5)
    got = confidence_to_image_grid(answer, PX, Fit((5, 1), (5, 1), (5, 1)))
    np.testing.assert_array_equal(got, [[0.25, 0.0, 1.0, 0.0, 1.0]])


def test_sigma_has_the_unit_of_the_image() -> None:
    answer = np.array([0.5, 0.0, -1.0, np.nan, np.inf], np.float32).reshape(1, 1, 1, 5)
    twice_as_wide = Fit((5, 1), (5, 1), (5, 1)), Fit((10, 1), (5, 1), (5, 1))
    negative = OutputContract("flow", "px", scale=-1.0, sigma="spread", max_disparity_px=0.1)
    got = [sigma_to_image_grid(answer, negative, fit) for fit in twice_as_wide]
    np.testing.assert_array_equal(got[0], [[0.5, 0.0, np.nan, np.nan, np.nan]])  # no disparity: no limit
    assert got[1][0, 0] == 1.0 and got[1].shape == (1, 10)
    in_cm = sigma_to_image_grid(answer, OutputContract("depth", "cm", sigma="spread"), twice_as_wide[1])
    assert in_cm[0, 0] == np.float32(0.005)


def test_a_coarser_confidence_is_enlarged_smoothly() -> None:
    coarse = np.linspace(0, 1, 8, dtype=np.float32)[None, None, None].repeat(4, axis=2)
    got = confidence_to_image_grid(coarse, PX, Fit((30, 13), (30, 13), (32, 16)))
    assert got.shape == (13, 30) and got.flags.c_contiguous
    u = np.clip((np.arange(30) + 0.5) / 4 - 0.5, 0, 7)
    np.testing.assert_allclose(got, np.tile(u / 7, (13, 1)), atol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("names", [("left", "right"), ("both",)])
def test_a_batch_is_its_frames_one_after_the_other(layout: str, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(2)
    contract = InputContract(names, layout=layout, scale=0.1, mean=(1.0, 2.0, 3.0), multiple_of=8)
    fit = plan_fit(contract, (13, 9))
    frames = [[rng.integers(0, 255, (9, 13, 3), np.uint8) for _ in range(2)] for _ in range(3)]
    got = Preprocessor(contract, fit, 2, batch=3).tensors(*frames)
    one = Preprocessor(contract, fit, 2)
    for i, images in enumerate(frames):
        for name, tensor in one.tensors(images).items():
            assert got[name].shape[0] == 3
            np.testing.assert_array_equal(got[name][i], tensor[0])


@pytest.mark.parametrize("fit", [Fit((5, 3), (5, 3), (8, 4)), Fit((10, 6), (5, 3), (8, 4))])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_padding_repeats_the_edge(fit: Fit, layout: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (*fit.image_size_wh[::-1], 3), np.uint8)
    contract = InputContract("x", layout=layout, dtype=dtype, color="bgr", multiple_of=4)
    tensor = Preprocessor(contract, fit, 1).tensors([image])["x"][0]
    planes = tensor if layout == "NCHW" else np.moveaxis(tensor, 2, 0)
    assert planes.shape == (3, 4, 8) and planes.dtype == dtype
    np.testing.assert_array_equal(planes[:, :, 5:], np.repeat(planes[:, :, 4:5], 3, axis=2))
    np.testing.assert_array_equal(planes[:, 3], planes[:, 2])
    if fit.image_size_wh == fit.content_size_wh:
        np.testing.assert_array_equal(planes[:, :3, :5], np.moveaxis(image, 2, 0)[::-1])


def test_values_are_exact_to_float32() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    contract = InputContract(
        "x", scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), multiple_of=1
    )
    tensor = Preprocessor(contract, plan_fit(contract, (16, 16)), 1).tensors([image])["x"]
    for channel in range(3):
        exact = (image / 255 - contract.mean[channel]) / contract.std[channel]
        np.testing.assert_allclose(tensor[0, channel], exact, rtol=0, atol=5e-7)


def test_memory_is_reused_and_wholly_rewritten() -> None:
    contract = InputContract(("left", "right"), multiple_of=8)
    preprocessor = Preprocessor(contract, plan_fit(contract, (13, 9)), 2)
    black, white = np.zeros((9, 13, 3), np.uint8), np.full((9, 13), 255, np.uint8)
    first = preprocessor.tensors([black, white])
    assert (first["left"] == 0).all() and (first["right"] == 255).all()
    second = preprocessor.tensors([white, black])
    assert (second["left"] == 255).all() and (second["right"] == 0).all()
    assert second["left"] is first["left"]


def test_a_view_of_a_larger_image_will_do() -> None:
    """Crops and reversed channels come as views that are not contiguous."""
    image = np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8)
    contract = InputContract("x", multiple_of=1)
    view = image[3:14, 5:28, ::-1]
    got = Preprocessor(contract, plan_fit(contract, (23, 11)), 1).tensors([view])["x"]
    np.testing.assert_array_equal(got[0], np.moveaxis(view, 2, 0))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((9, 12, 3), np.uint8), "expected an image of 13x9, got 12x9"),
        (np.zeros((13, 9), np.uint8), "expected an image of 13x9, got 9x13"),
        (np.zeros((9, 13, 4), np.uint8), r"got \(9, 13, 4\) uint8"),
        (np.zeros((9, 13, 3), np.float32), r"got \(9, 13, 3\) float32"),
    ],
)
def test_wrong_images_are_refused(image: np.ndarray, message: str) -> None:
    contract = InputContract("x", multiple_of=8)
    with pytest.raises(ImageError, match=message):
        Preprocessor(contract, plan_fit(contract, (13, 9)), 1).tensors([image])


def test_empty_image() -> None:
    with pytest.raises(ImageError, match="an image must have pixels, got 0x9"):
        plan_fit(InputContract("x", multiple_of=8), (0, 9))


@pytest.mark.parametrize("batch", [1, 2])
def test_bytes_that_need_no_change_arrive_as_they_are(batch: int) -> None:
    rng = np.random.default_rng(3)
    contract = InputContract(("left", "right"), layout="NHWC", dtype="uint8", multiple_of=1)
    preprocessor = Preprocessor(contract, plan_fit(contract, (13, 9)), 2, batch)
    frames = [
        [rng.integers(0, 255, shape, np.uint8) for shape in ((9, 13, 3), (9, 13))] for _ in range(batch)
    ]
    got = preprocessor.tensors(*frames)
    for i, (colour, grey) in enumerate(frames):
        np.testing.assert_array_equal(got["left"][i], colour)
        np.testing.assert_array_equal(got["right"][i], np.dstack([grey] * 3))
    views = [[frame[0], frame[0][::-1]] for frame in frames]
    got = preprocessor.tensors(*views)
    for i, (left, right) in enumerate(views):
        np.testing.assert_array_equal(got["left"][i], left)
        np.testing.assert_array_equal(got["right"][i], right)
    assert all(tensor.flags.c_contiguous for tensor in got.values())
    whole = preprocessor.tensors(*[[frame[0], frame[0].copy()] for frame in frames])
    assert np.shares_memory(whole["left"], frames[0][0]) == (batch == 1)
    with pytest.raises(ImageError, match="13x9"):
        preprocessor.tensors(*[[np.zeros((13, 9, 3), np.uint8)] * 2] * batch)
