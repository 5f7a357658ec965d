from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros.errors import ConfigError
from recon3d_ros.files import write_image
from recon3d_ros.filters.limits import RegionOfInterest, cut_border, is_within, limit_depth

NAN, INF = np.nan, np.inf


def test_limits():
    depth = np.array([[0.0, 0.49, 0.5, 2.0], [3.0, 3.01, NAN, INF]], np.float32)
    limit_depth(depth, 0.5, 3.0)
    np.testing.assert_array_equal(depth, [[NAN, NAN, 0.5, 2.0], [3.0, INF, NAN, INF]])


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        ([0.5, 3.0], True),
        ([0.49, 2.0], False),
        ([2.0, 3.01], False),
        ([2.0, NAN], False),
        ([2.0, INF], False),
    ],
)
def test_what_is_within_the_limits_is_what_they_would_not_change(depth, expected):
    assert is_within(np.array([depth], np.float32), 0.5, 3.0) is expected


@pytest.mark.parametrize(
    ("border", "rows", "columns"), [(0, 5, 7), (1, 3, 5), (2, 1, 3), (3, 0, 0), (9, 0, 0)]
)
def test_border(border, rows, columns):
    before = np.arange(35, dtype=np.float32).reshape(5, 7)
    depth = before.copy()
    cut_border(depth, border)
    valid = np.isfinite(depth)
    assert valid.sum() == rows * columns
    np.testing.assert_array_equal(depth[valid], before[valid])
    if rows:
        assert valid[border : 5 - border, border : 7 - border].all()


def mask_file(folder, columns, rows, colour=False):
    """Black in the left half and in one pixel of nearly black."""
    image = np.full((rows, columns, 3) if colour else (rows, columns), 255, np.uint8)
    image[:, : columns // 2] = 0
    image[0, 0] = (0, 0, 1) if colour else 1
    path = folder / "mask.png"
    write_image(path, image)
    return str(path)


@pytest.mark.parametrize("colour", [False, True])
def test_black_is_cut_out(tmp_path, colour):
    depth = np.full((6, 10), 2.0, np.float32)
    depth[3, 8] = INF
    RegionOfInterest(mask_file(tmp_path, 10, 6, colour)).apply(depth)
    assert np.isnan(depth[:, :5]).sum() == 29 and depth[0, 0] == 2
    assert not np.isnan(depth[:, 5:]).any() and depth[3, 8] == INF


@pytest.mark.parametrize(("columns", "rows"), [(20, 12), (21, 13), (40, 24), (5, 3)])
def test_a_mask_of_the_same_aspect_is_resized(tmp_path, columns, rows):
    region = RegionOfInterest(mask_file(tmp_path, columns, rows))
    for shape in ((6, 10), (12, 20)):  # the camera may change its size, and back
        depth = np.full(shape, 2.0, np.float32)
        region.apply(depth)
        half = shape[1] // 2
        assert np.isnan(depth[4:, : half - 2]).all() and not np.isnan(depth[:, half + 1 :]).any()


@pytest.mark.parametrize(("columns", "rows"), [(6, 10), (10, 8), (1000, 500)])
def test_a_mask_of_another_aspect_is_refused(tmp_path, columns, rows):
    region = RegionOfInterest(mask_file(tmp_path, columns, rows))
    with pytest.raises(ConfigError, match=rf"10x6 or that aspect, .*mask\.png is {columns}x{rows}"):
        region.apply(np.ones((6, 10), np.float32))


def test_a_file_that_is_no_mask_is_a_wrong_option(tmp_path):
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(ConfigError, match="roi_mask"):
            RegionOfInterest(str(path))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ConfigError, match=r"roi_mask: .*text\.png"):
        RegionOfInterest(str(tmp_path / "text.png"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_was_erased_from_a_mask_is_cut_out(tmp_path, dtype):
    """Programs for painting leave the colour under what they erase; 0 and 1 are a mask of any depth."""
    image = np.ones((6, 10, 4), dtype)
    image[:, :5, 3] = 0
    image[0, :, :3] = 0
    assert cv2.imwrite(str(tmp_path / "mask.png"), image)
    cut = RegionOfInterest(str(tmp_path / "mask.png")).cut((6, 10))
    expected = np.zeros((6, 10), bool)
    expected[:, :5] = expected[0] = True
    np.testing.assert_array_equal(cut, expected)
