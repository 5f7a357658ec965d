"""NumPy's files, whole and damaged."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from recon3d_ros.errors import DataError
from recon3d_ros.files.arrays import read_npy, read_npz

WHOLE = arrays.arrays(
    st.sampled_from(["u1", "<u2", ">i4", "<f4", "f8", "?"]), arrays.array_shapes(min_dims=0, max_side=5)
)


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@given(WHOLE, st.booleans())
def test_whole_ones_come_back(array, fortran):
    array = np.asfortranarray(array) if fortran else array
    back = read_npy(saved(array), "x")
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    buffer = io.BytesIO()
    np.savez_compressed(buffer, one=array, two=array[None])
    both = read_npz(buffer.getvalue(), "x", 1 << 20)
    assert list(both) == ["one", "two"] and both["two"].shape == (1, *array.shape)
    with pytest.raises(DataError, match="more than 100"):
        read_npz(buffer.getvalue(), "x", 100)


@given(st.data())
def test_damaged_ones_are_an_array_or_one_error(data):
    """A byte of the header, or of the zip around it, is another one."""
    buffer = io.BytesIO()
    np.savez(buffer, one=np.arange(6, dtype=np.float32).reshape(2, 3))
    for content, read in (
        (saved(np.arange(6.0)), lambda c: read_npy(c, "x")),
        (buffer.getvalue(), lambda c: read_npz(c, "x", 1 << 20)),
    ):
        changed = bytearray(content[: data.draw(st.integers(0, len(content)))])
        for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)):
            if at < len(changed):
                changed[at] = byte
        try:
            read(bytes(changed))
        except DataError as exc:
            assert "\n" not in str(exc)


def test_objects_are_refused():
    with pytest.raises(DataError, match=r"Object arrays|claims"):
        read_npy(saved(np.array([{}, None], object)), "x")
