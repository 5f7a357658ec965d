from __future__ import annotations

import pytest

from recon3d_ros.model_zoo.signature import Signature
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

F = "float32"


def spec(name: str, *shape: int | None, dtype: str = F) -> TensorSpec:
    return TensorSpec(name, dtype, shape)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((1, 3, 64, 96), F, ("NCHW", 3, (96, 64), 1)),
        ((1, 64, 96, 3), "uint8", ("NHWC", 3, (96, 64), 1)),
        ((4, 3, 64, 96), "float16", ("NCHW", 3, (96, 64), 4)),
        ((3, 64, 96), F, ("CHW", 3, (96, 64), 1)),
        ((64, 96, 3), F, ("HWC", 3, (96, 64), 1)),
        ((1, 2, 3, 64, 96), F, ("NSCHW", 6, (96, 64), 1)),
        ((1, 1, 3, 64, 96), F, ("NSCHW", 3, (96, 64), 1)),
        ((None, 3, None, None), F, ("NCHW", 3, None, 1)),
        ((None, None, None, None), F, ("NCHW", 3, None, 1)),
        ((1, 6, 64, 96), F, ("NCHW", 6, (96, 64), 1)),
        ((1, 2, 64, 96), F, ("NCHW", 2, (96, 64), 1)),
    ],
)
def test_an_image_and_its_axes(shape: tuple, dtype: str, expected: tuple) -> None:
    (image,) = Signature((spec("x", *shape, dtype=dtype),), ()).images
    assert (image.layout, image.channels, image.size_wh, image.batch) == expected


@pytest.mark.parametrize("shape", [(), (1,), (3, 3), (1, 3, 3), (1, 4, 4), (1, 64, 64, 96), (1, 3, 2, 2)])
def test_what_is_no_image(shape: tuple) -> None:
    signature = Signature((spec("x", *shape),), ())
    assert not signature.images and len(signature.others) == 1


def test_left_comes_before_right() -> None:
    def order(*names: str) -> list[str]:
        return [i.spec.name for i in Signature(tuple(spec(n, 1, 3, 64, 96) for n in names), ()).images]

    assert order("right_img", "left_img") == ["left_img", "right_img"]
    assert order("img2", "img1") == ["img1", "img2"]
    assert order("tgt", "ref") == ["ref", "tgt"]
    assert order("a", "b") == ["a", "b"]
    assert order("bright", "light") == ["bright", "light"]


def test_inputs_beside_the_images() -> None:
    signature = Signature(
        (spec("half_l", 1, 3, 32, 48), spec("l", 1, 3, 64, 96), spec("half_r", 1, 3, 32, 48))
        + (spec("r", 1, 3, 64, 96), spec("flow_init", 1, 2, 64, 96), spec("K", 1, 3, 3)),
        (),
    )
    assert [image.spec.name for image in signature.images] == ["l", "r"]
    assert [other.name for other in signature.others] == ["half_l", "half_r", "flow_init", "K"]


@pytest.mark.parametrize(
    ("shape", "layout", "channels"),
    [
        ((64, 96), "HW", 1),
        ((1, 64, 96), "NHW", 1),
        ((3, 64, 96), "CHW", 3),
        ((64, 96, 2), "HWC", 2),
        ((1, 2, 64, 96), "NCHW", 2),
        ((1, 64, 96, 3), "NHWC", 3),
        ((1, 1, 1, 64, 96), "NSCHW", 1),
        ((1, 1, 64, 96, 1), "NSHWC", 1),
    ],
)
def test_a_picture_among_the_outputs(shape: tuple, layout: str, channels: int) -> None:
    (plane,) = Signature((), (spec("y", *shape),)).planes
    assert (plane.layout, plane.channels) == (layout, channels)


def test_vectors_are_no_pictures() -> None:
    assert not Signature((), (spec("fov", 1), spec("K", 1, 3, 3), spec("tokens", 1, 384, 64, 96))).planes
