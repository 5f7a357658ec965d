from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry import XYZ, XYZI, XYZRGB, OrganizedCloud, UnorganizedCloud


def test_columns_have_names():
    data = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    cloud = OrganizedCloud(data, (*XYZI, "confidence"))
    assert (cloud.shape_hw, cloud.point_step, cloud.organized) == ((2, 3), 20, True)
    assert np.shares_memory(cloud["confidence"], data)
    np.testing.assert_array_equal(cloud["confidence"], data[..., 4])
    np.testing.assert_array_equal(cloud.xyz, data[..., :3])
    with pytest.raises(KeyError):
        cloud["rgb"]


@pytest.mark.parametrize("fields", [(*XYZRGB, "sigma"), (*XYZ, "sigma", "rgb")])
def test_colours_are_found_in_any_column(fields):
    data = np.zeros((2, 3, 5), np.float32)
    data[1, 2, fields.index("rgb")] = np.uint32(0x00ABCDEF).view(np.float32)
    cloud = OrganizedCloud(data, fields)
    assert cloud.rgb.shape == (2, 3, 3)
    assert cloud.rgb[1, 2].tolist() == [0xAB, 0xCD, 0xEF] and cloud.rgb.sum() == 0xAB + 0xCD + 0xEF


def test_intensity_is_grey_and_points_without_either_are_black():
    data = np.full((1, 2, 4), 2.0, np.float32)
    data[..., 3] = [[200.0, np.nan]]
    data[0, 1, 2] = np.nan
    assert OrganizedCloud(data, XYZI).rgb.tolist() == [[[200] * 3, [0] * 3]]
    assert not OrganizedCloud(np.ascontiguousarray(data[..., :3]), XYZ).rgb.any()


def test_the_valid_points_of_a_grid_are_a_list():
    data = np.arange(3 * 4 * 4, dtype=np.float32).reshape(3, 4, 4)
    data[1, 2, :3] = np.nan
    points = OrganizedCloud(data).points()
    assert (len(points), points.organized, points.fields) == (11, False, XYZRGB)
    np.testing.assert_array_equal(points.data, np.delete(data.reshape(-1, 4), 6, axis=0))
    assert points.points() is points and points.valid.all()
    assert not np.shares_memory(points.data, data)


@pytest.mark.parametrize(
    "make",
    [
        lambda: OrganizedCloud(np.empty((4, 5), np.float32)),
        lambda: OrganizedCloud(np.empty((4, 5, 8), np.float32)[..., ::2]),
        lambda: OrganizedCloud(np.empty((4, 5, 5), np.float32)),
        lambda: OrganizedCloud(np.empty((4, 5, 4), np.float64)),
        lambda: OrganizedCloud(np.empty((4, 5, 4), np.float32), ("x", "z", "y", "rgb")),
        lambda: OrganizedCloud(np.empty((4, 5, 4), np.float32), (*XYZ, "colour")),
        lambda: OrganizedCloud(np.empty((4, 5, 5), np.float32), (*XYZI, "intensity")),
        lambda: UnorganizedCloud(np.empty((4, 5, 4), np.float32)),
        lambda: UnorganizedCloud(np.empty((4, 3), np.float32)),
    ],
)
def test_arrays_that_are_no_clouds_are_refused(make):
    with pytest.raises(ImageError, match=r"expected (cloud data|fields)"):
        make()
