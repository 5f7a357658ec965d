"""Transforms of clouds: against plain algebra, into another buffer, and nothing else touched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry import OrganizedCloud, UnorganizedCloud
from recon3d_ros.geometry.transform import transform_cloud

XYZRGB = ("x", "y", "z", "rgb")
ALL = (*XYZRGB, "confidence", "sigma", "normal_x", "normal_y", "normal_z")


def pose(rotation_vector, translation_m):
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.asarray(rotation_vector, np.float64))[0]
    matrix[:3, 3] = translation_m
    return matrix


def packed(shape, fields, seed=0):
    rng = np.random.default_rng(seed)
    data = rng.normal(scale=5, size=(*shape, len(fields))).astype(np.float32)
    if "rgb" in fields:  # small numbers, most of them denormal, as colours are
        data.view(np.uint32)[..., fields.index("rgb")] = rng.integers(0, 1 << 24, shape)
    return data


def cloud(shape, fields, seed=0):
    kind = OrganizedCloud if len(shape) == 2 else UnorganizedCloud
    return kind(packed(shape, fields, seed), fields, "optical")


small = st.floats(-3, 3, allow_nan=False)
far = st.floats(-1e4, 1e4, allow_nan=False)


@given(rotation=st.tuples(small, small, small), shift=st.tuples(far, far, far), seed=st.integers(0, 99))
def test_points_and_normals_move_as_algebra_says(rotation, shift, seed):
    matrix, source = pose(rotation, shift), cloud((3, 5), ALL, seed)
    before, after = source.data, transform_cloud(source, matrix, "base").data
    wanted = before[..., :3].astype(float) @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(after[..., :3], wanted, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(after[..., 6:], before[..., 6:] @ matrix[:3, :3].T, rtol=1e-4, atol=1e-4)
    assert np.array_equal(after[..., 3:6].view(np.uint32), before[..., 3:6].view(np.uint32))


@pytest.mark.parametrize("shape", [(211, 317), (70_001,), (1,), (0,), (1, 33_000)], ids=str)
@pytest.mark.parametrize("fields", [("x", "y", "z"), XYZRGB, ALL], ids=len)
def test_every_block_is_moved_and_nan_stays(shape, fields):
    source = cloud(shape, fields)
    before = source.data
    flat = before.reshape(-1, len(fields))
    flat[::7, :3] = np.nan
    if "sigma" in fields:
        flat[::3, fields.index("sigma")] = np.inf  # an unknown sigma must not spoil its point
    kept_as_it_was = before.copy()
    matrix = pose((0.3, -1.2, 0.7), (1.0, -2.0, 30.0))
    moved = transform_cloud(source, matrix, "base")
    assert (moved.frame_id, moved.fields, type(moved)) == ("base", fields, type(source))
    assert source.frame_id == "optical"
    assert np.array_equal(before.view(np.uint32), kept_as_it_was.view(np.uint32))
    after = moved.data
    wanted = before[..., :3].astype(float) @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(after[..., :3], wanted, rtol=1e-5, atol=1e-4)
    kept = slice(3, 6)
    assert np.array_equal(after[..., kept].view(np.uint32), before[..., kept].view(np.uint32))


def test_it_writes_through_a_message_buffer():
    buffer = bytearray(4 * 6 * 16)
    data = np.frombuffer(buffer, np.float32).reshape(4, 6, 4)
    source = OrganizedCloud(np.zeros((4, 6, 4), np.float32), XYZRGB)
    source.data[..., 2] = 2.0
    assert transform_cloud(source, pose((0, 0, 0), (0.5, 0, 0)), "base", data).data is data
    assert np.frombuffer(buffer, np.float32)[:4].tolist() == [0.5, 0.0, 2.0, 0.0]
    assert source.data[0, 0].tolist() == [0.0, 0.0, 2.0, 0.0]


def test_a_target_that_does_not_fit_is_refused():
    source = cloud((4, 6), XYZRGB)
    readonly = np.empty((4, 6, 4), np.float32)
    readonly.flags.writeable = False
    for wrong in (np.empty((6, 4, 4), np.float32), readonly, np.empty((4, 12, 4), np.float32)[:, ::2]):
        with pytest.raises(ImageError, match="expected"):
            transform_cloud(source, np.eye(4), "base", wrong)
