"""Depth as others store it: units, what is unknown, and what is no depth."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recon3d_ros.errors import DataError, ImageError
from recon3d_ros.files import DEPTH_SUFFIXES, metres, read_depth, write_depth_png16, write_pfm

STORED = np.array([[0, 1, 1234], [65534, 65535, 5000]], np.uint16)
FLOATS = np.array([[0, -1, 1.25], [np.nan, np.inf, 1e-3]], np.float32)
KNOWN = np.array([[np.nan, np.nan, 1.25], [np.nan, np.inf, 1e-3]], np.float32)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".pgm", ".npy"])
def test_16_bits_are_millimetres_and_0_and_65535_unknown(tmp_path, suffix):
    path = tmp_path / f"d{suffix}"
    np.save(path, STORED) if suffix == ".npy" else cv2.imwrite(str(path), STORED)
    depth = read_depth(path)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(
        depth, np.float32([[np.nan, 0.001, 1.234], [65.534, np.nan, 5.0]]), strict=True
    )
    np.testing.assert_array_equal(read_depth(path, 5000.0)[1, 2], np.float32(1.0))


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".pfm", ".npy"])
def test_floats_are_metres_and_what_is_not_above_0_unknown(tmp_path, suffix):
    path = tmp_path / f"d{suffix}"
    if suffix == ".npy":
        np.save(path, FLOATS)
    elif suffix == ".pfm":
        write_pfm(path, FLOATS)
    else:
        cv2.imwrite(str(path), FLOATS)
    np.testing.assert_array_equal(read_depth(path), KNOWN, strict=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_of_numpy(tmp_path, dtype):
    np.save(tmp_path / "d.npy", np.array([[1.5, 0, 2]], dtype))
    np.testing.assert_array_equal(read_depth(tmp_path / "d.npy"), np.float32([[1.5, np.nan, 2]]), strict=True)


def test_exr_where_opencv_may_read_it(tmp_path):
    """OpenCV looks at the variable once in a process, so that each answer needs its own."""
    script = (
        "import sys, cv2, numpy as np; from pathlib import Path; from recon3d_ros.files import read_depth\n"
        "path = Path(sys.argv[1]); made = np.float32([[1.5, 0, 2.25]])\n"
        "if sys.argv[2] == 'write': cv2.imwrite(str(path), made)\n"
        "print(read_depth(path).tolist())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "d.exr")]
    allowed = {**os.environ, "OPENCV_IO_ENABLE_OPENEXR": "1"}
    done = subprocess.run([*command, "write"], capture_output=True, text=True, env=allowed, check=False)
    if done.returncode and "disabled" not in done.stderr and "imgcodecs" in done.stderr:
        pytest.skip("this OpenCV has no OpenEXR")
    assert done.stdout.strip() == "[[1.5, nan, 2.25]]", done.stderr
    plain = {key: value for key, value in os.environ.items() if key != "OPENCV_IO_ENABLE_OPENEXR"}
    done = subprocess.run([*command, "read"], capture_output=True, text=True, env=plain, check=False)
    assert done.returncode and "environment variable OPENCV_IO_ENABLE_OPENEXR" in done.stderr


@given(hnp.arrays(np.uint16, (3, 5), elements=st.integers(0, 13000)))
def test_millimetres_and_their_five_thousandths_are_the_same_float(mm):
    np.testing.assert_array_equal(metres(mm, None, "mm"), metres(mm * np.uint16(5), 5000.0, "tum"))


@given(hnp.arrays(np.uint16, (3, 5), elements=st.integers(0, 65534)))
def test_what_we_write_comes_back(tmp_path_factory, mm):
    path = tmp_path_factory.mktemp("depth") / "d.png"
    write_depth_png16(path, metres(mm, None, "mm"))
    np.testing.assert_array_equal(read_depth(path), metres(mm, None, "mm"))


def test_what_is_no_depth_is_one_sentence(tmp_path):
    cv2.imwrite(str(tmp_path / "eight.png"), np.full((7, 9), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "colour.png"), np.full((7, 9, 3), 90, np.uint16))
    np.save(tmp_path / "ints.npy", np.full((7, 9), 90, np.int64))
    np.save(tmp_path / "cube.npy", np.ones((7, 9, 1), np.float32))
    for name, said in (
        ("eight.png", "8 bits are too coarse"),
        ("colour.png", "one channel"),
        ("ints.npy", "got int64"),
        ("cube.npy", "one channel"),
    ):
        with pytest.raises(ImageError, match=said) as raised:
            read_depth(tmp_path / name)
        assert name in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pfm", ".npy"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.98])
def test_a_file_that_is_cut_off_is_damaged(tmp_path, suffix, kept):
    path = tmp_path / f"d{suffix}"
    plane = np.random.default_rng(0).uniform(1, 5, (61, 83)).astype(np.float32)
    if suffix == ".pfm":
        write_pfm(path, plane)
    elif suffix == ".npy":
        np.save(path, plane)
    else:
        cv2.imwrite(str(path), (plane * 1000).astype(np.uint16) if suffix == ".png" else plane)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises((DataError, ImageError), match="whole"):
        read_depth(path)


def test_what_is_not_there_or_would_run_code_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_depth(tmp_path / "no.png")
    np.save(tmp_path / "pickled.npy", np.array([[{"a": 1}]], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match="NumPy array"):
        read_depth(tmp_path / "pickled.npy")


def test_every_suffix_is_read_by_a_test():
    assert DEPTH_SUFFIXES == {".png", ".tif", ".tiff", ".pgm", ".npy", ".pfm", ".exr"}
