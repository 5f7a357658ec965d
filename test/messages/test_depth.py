"""Depth messages of any byte order and padding; test_rgbd_bags.py reads the compressed ones from bags."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.errors import ImageError
from recon3d_ros.files import encoded
from recon3d_ros.messages.depth import (
    compress_depth,
    depth_from_compressed,
    depth_from_msg,
    is_compressed_depth,
)

MM = np.array([[0, 1, 999], [1000, 40000, 65535]], np.uint16)
METRES = np.float32([[np.nan, 0.001, 0.999], [1, 40, np.nan]])


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
def test_millimetres_of_any_byte_order_and_padding(big, padding):
    rows = [row.astype(">u2" if big else "<u2").tobytes() + bytes(padding) for row in MM]
    msg = SimpleNamespace(
        encoding="16UC1", height=2, width=3, step=6 + padding, is_bigendian=big, data=b"".join(rows)
    )
    np.testing.assert_array_equal(depth_from_msg(msg), METRES, strict=True)


def test_metres_are_above_zero_and_may_be_infinite():
    stored = np.array([[np.nan, 0, -1, -np.inf], [0.5, 70, np.inf, 1e-3]], np.float32)
    msg = SimpleNamespace(
        encoding="32FC1", height=2, width=4, step=16, is_bigendian=False, data=stored.tobytes()
    )
    expected = np.float32([[np.nan] * 4, [0.5, 70, np.inf, 1e-3]])
    np.testing.assert_array_equal(depth_from_msg(msg), expected, strict=True)


def test_formats_of_depth_are_told_from_those_of_colour():
    assert is_compressed_depth("16UC1; compressedDepth png") and is_compressed_depth("32FC1; compressedDepth")
    assert not is_compressed_depth("rgb8; jpeg compressed bgr8") and not is_compressed_depth("jpeg")


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def test_a_png_that_claims_too_much_is_not_decoded(monkeypatch):
    data = struct.pack("<i2f", 0, 0, 0) + png(MM)
    msg = SimpleNamespace(format="16UC1; compressedDepth png", data=data)
    np.testing.assert_array_equal(depth_from_compressed(msg), METRES)
    monkeypatch.setattr(encoded, "MAX_PIXELS", 5)
    with pytest.raises(ImageError, match="16-bit PNG of depth"):
        depth_from_compressed(msg)


@pytest.mark.parametrize(
    ("description", "data"),
    [
        ("16UC1; compressedDepth rvl", bytes(200)),
        ("16UC1; compressedDepth png", bytes(12) + png(MM.astype(np.uint8))),
        ("16UC1; png compressed ", png(np.zeros((2, 3, 3), np.uint16))),
        ("32FC1; png compressed ", png(MM)),
    ],
)
def test_what_is_no_depth_is_one_sentence(description, data):
    with pytest.raises(ImageError, match="expected") as raised:
        depth_from_compressed(SimpleNamespace(format=description, data=data))
    assert "\n" not in str(raised.value)


def by_the_plugin(description, data):
    """Decode as decodeCompressedDepthImage of the plugin's codec.cpp does, in float32 and pixel by pixel."""
    _, a, b = struct.unpack_from("<i2f", data)
    codes = cv2.imdecode(np.frombuffer(data[12:], np.uint8), cv2.IMREAD_UNCHANGED)
    if description.split(";")[0] == "16UC1":
        return codes
    a, b = np.float32(a), np.float32(b)
    return np.float32([[a / (np.float32(c) - b) if c else np.nan for c in row] for row in codes])


depths = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 7)),
    elements=st.one_of(st.floats(np.float32(0.05), 500, width=32), st.sampled_from([np.nan, np.inf, 0, -1])),
)


@given(depths)
def test_metres_come_back_within_half_a_step(depth):
    description, data = compress_depth(depth)
    assert description == "32FC1; compressedDepth png"
    known = np.isfinite(depth) & (depth > 0)
    expected = np.where(known, depth, np.nan)
    for found in (
        by_the_plugin(description, data),
        depth_from_compressed(SimpleNamespace(format=description, data=data)),
    ):
        np.testing.assert_array_equal(np.isnan(found), ~known)
        if known.any():
            near, far = depth[known].min().astype(float), depth[known].max().astype(float)
            step = max(1 / near - 1 / far, 1e-3 / near) / 65534
            bound = (
                expected.astype(float) ** 2 * step * 0.51 / (1 - expected * step)
                + 4e-7 * far / near * expected
            )
            assert (np.abs(found - expected) <= bound)[known].all()


def test_millimetres_come_back_as_they_are():
    description, data = compress_depth(MM)
    assert description == "16UC1; compressedDepth png"
    np.testing.assert_array_equal(by_the_plugin(description, data), MM)
