from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.messages.encodings import decode_image
from recon3d_ros.messages.image_cdr import read_image


def serialized(
    frame_id=b"left\0", encoding=b"rgb8\0", height=2, width=3, step=9, bigendian=0, data=bytes(range(18))
):
    """Little-endian plain CDR, written by hand: each field is aligned to its size."""
    parts = bytearray(struct.pack("<iII", -5, 7, len(frame_id)) + frame_id)
    parts += bytes(-len(parts) % 4)
    parts += struct.pack("<III", height, width, len(encoding)) + encoding + bytes([bigendian])
    parts += bytes(-len(parts) % 4)
    return b"\0\1\0\0" + bytes(parts) + struct.pack("<II", step, len(data)) + data


@given(
    st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=9),
    st.sampled_from(["rgb8", "mono8", "bayer_rggb8", ""]),
)
def test_all_fields_whatever_the_lengths_of_the_names(frame_id, encoding):
    image = read_image(serialized(frame_id.encode() + b"\0", encoding.encode() + b"\0", bigendian=1))
    assert image is not None
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (-5, 7)
    assert (image.header.frame_id, image.encoding) == (frame_id, encoding)
    assert (image.height, image.width, image.step, image.is_bigendian) == (2, 3, 9, 1)
    assert bytes(image.data) == bytes(range(18))


def test_pixels_are_a_view_that_nobody_can_write_to():
    whole = serialized(step=12, data=bytes(range(21)))  # with padding between the rows
    image = read_image(whole)
    assert image is not None and image.data.obj is whole
    pixels = decode_image(image)
    np.testing.assert_array_equal(pixels.reshape(2, 9), [range(9), range(12, 21)])
    assert not pixels.flags.writeable


@pytest.mark.parametrize("byte_order", [0, 1])
def test_16_bits_in_either_byte_order(byte_order):
    values = np.array([[0, 256, 65535], [1, 511, 32768]], ">u2" if byte_order else "<u2")
    whole = serialized(encoding=b"mono16\0", step=6, bigendian=byte_order, data=values.tobytes())
    image = read_image(whole)
    assert image is not None
    np.testing.assert_array_equal(decode_image(image, lambda pixels: pixels), values)


@pytest.mark.parametrize(
    "unusual",
    {
        "big-endian": b"\0\0" + serialized()[2:],
        "XCDR 2": b"\0\7" + serialized()[2:],
        "no length": serialized(frame_id=b""),
        "not terminated": serialized(frame_id=b"left"),
        "terminated twice": serialized(encoding=b"rg\0b8\0"),
        "beyond ASCII": serialized(frame_id="ö\0".encode()),
        "one byte short": serialized()[:-1],
        "four bytes long": serialized() + bytes(4),
        "name without an end": serialized()[:12] + b"\xff\xff\xff\xff" + serialized()[16:],
        "nothing": b"",
    }.items(),
    ids=lambda case: case[0],
)
def test_what_is_unusual_is_left_to_others(unusual):
    assert read_image(unusual[1]) is None


def test_padding_to_a_multiple_of_four_is_usual():
    image = read_image(serialized() + bytes(2))
    assert image is not None and len(image.data) == 18


@given(st.binary(max_size=120))
def test_no_bytes_make_it_raise(tail):
    for whole in (tail, b"\0\1\0\0" + tail, serialized()[:20] + tail):
        read_image(whole)


@given(st.integers(0, 70), st.integers(0, 255))
def test_a_changed_byte_gives_an_image_within_the_message_or_none(at, value):
    whole = bytearray(serialized())
    whole[at % len(whole)] = value
    image = read_image(bytes(whole))
    assert image is None or len(image.data) <= 18 + 3
