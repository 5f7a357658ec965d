from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.files.bit_depth import BitDepth, full_range, upper_8_bits


@given(st.sampled_from([8, 10, 12, 14, 16]), st.integers(0, 2**32 - 1))
def test_the_range_that_is_used_becomes_the_range_of_8_bits(bits, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 1 << bits, (7, 11), np.uint16)
    image[0, 0] = (1 << bits) - 1
    depth = BitDepth("camera")
    expected = np.rint(image * (255 / ((1 << bits) - 1)))
    np.testing.assert_array_equal(depth.to_8_bits(image), expected)
    assert depth.bits == bits
    darker = (image // 5).astype(np.uint16)
    np.testing.assert_array_equal(depth.to_8_bits(darker), np.rint(darker * (255 / ((1 << bits) - 1))))
    assert depth.bits == bits, "kept: the brightness of a sequence must not jump"


def test_a_value_above_the_range_widens_it_and_says_so(caplog):
    depth = BitDepth("/left/camera_info")
    with caplog.at_level(logging.WARNING):
        depth.to_8_bits(np.full((2, 3), 900, np.uint16))
        depth.to_8_bits(np.full((2, 3), 900, np.uint16))
        assert [record.getMessage() for record in caplog.records] == [
            "/left/camera_info: the 16-bit images use values up to 900 and are read as 10 bits"
        ]
        assert depth.to_8_bits(np.full((2, 3), 4095, np.uint16)).tolist() == [[255] * 3] * 2
    assert depth.bits == 12 and "got 4095" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("to_8_bits", [full_range, upper_8_bits])
def test_the_whole_range_of_16_bits(to_8_bits):
    image = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    np.testing.assert_array_equal(to_8_bits(image), np.arange(256).reshape(16, 16))
