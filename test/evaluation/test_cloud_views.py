"""Plans of clouds: upright whatever the camera's tilt, straight where the world is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros.datasets import open_dataset
from recon3d_ros.evaluation.cloud_views import cloud_views, upright
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, Sample

WIDTH, HEIGHT = 192, 128
CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, 110.0, 90.0, 66.0)


def _rotation(pitch, roll):
    """Optical from upright: the camera looks down by `pitch` and leans by `roll`, radians."""
    c, s, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    tilt = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ tilt


def _room(rotation):
    """Depth of a room 3 m wide and 2.5 m high, 4 m to its wall, from 1.4 m above the floor."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones_like(u)], -1)
    turned = rays @ rotation  # into the upright frame
    planes = [(0, -1.5), (0, 1.5), (1, -1.1), (1, 1.4), (2, 4.0)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        hits = [at / turned[..., axis] for axis, at in planes]
    return np.min(np.where(np.array(hits) > 0, hits, np.inf), axis=0).astype(np.float32)


@settings(max_examples=12)
@given(pitch=st.floats(-0.5, 0.5), roll=st.floats(-0.35, 0.35))
def test_down_is_found_whatever_the_tilt(pitch, roll):
    rotation = _rotation(pitch, roll)
    turn = upright(_room(rotation), CAMERA)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1)
    down = rotation @ [0, 1, 0]
    assert np.degrees(np.arccos(np.clip(turn[1] @ down, -1, 1))) < 2


def test_without_surfaces_the_camera_is_taken_as_it_is():
    np.testing.assert_allclose(upright(np.full((HEIGHT, WIDTH), np.nan, np.float32), CAMERA), np.eye(3))


@pytest.mark.parametrize("yaw", [0.0, 0.4])
def test_a_bare_wall_leaves_the_roll_as_it_is(yaw):
    u = (np.arange(WIDTH) - CAMERA.cx) / CAMERA.fx
    depth = np.tile(3 / (1 + np.tan(yaw) * u), (HEIGHT, 1)).astype(np.float32)
    turn = upright(depth, CAMERA)
    assert turn[1, 1] > np.cos(np.radians(0.5))


def _sample(depth, rgb=(200, 120, 40)):
    image = np.broadcast_to(np.uint8(rgb), (HEIGHT, WIDTH, 3)).copy()
    return Sample(Frame(0, image, CAMERA, name="room"), None, depth, "room")


def _bright(view):
    return view[..., 0] > 120


def test_the_floor_is_a_line_from_the_side_and_bent_where_the_answer_bends_it():
    """Depth too short by 8 % a metre lifts the far end: the line is spread over many rows."""
    depth = _room(_rotation(0.25, 0.1))
    turn = upright(depth, CAMERA)
    floor_only = depth.copy()
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones_like(u)], -1)
    height = (rays * depth[..., None]) @ turn[1]
    floor_only[height < 1.37] = np.nan
    bent = (floor_only * (1 - 0.08 * floor_only)).astype(np.float32)
    picture = cloud_views(
        _sample(depth), [("floor", DepthMap(floor_only, CAMERA)), ("bent", DepthMap(bent, CAMERA))]
    )
    assert picture.shape[1] == 4 * 420
    rows = []
    for column in (2, 3):
        side = picture[len(picture) - 130 :, column * 420 : (column + 1) * 420]
        rows.append(np.flatnonzero(_bright(side[:110]).any(axis=1)))
    assert 1 <= len(rows[0]) <= 10  # a line, with its spread
    assert len(rows[1]) > 2 * len(rows[0])


def test_what_is_not_drawn_is_counted_and_nothing_is_drawn_of_nothing():
    depth = _room(np.eye(3))
    nothing = np.full_like(depth, np.nan)
    far = cloud_views(
        _sample(depth), [("far", DepthMap(depth * 10, CAMERA)), ("none", DepthMap(nothing, CAMERA))]
    )
    plain = cloud_views(
        _sample(depth), [("far", DepthMap(nothing, CAMERA)), ("none", DepthMap(nothing, CAMERA))]
    )
    title = np.s_[:22, 2 * 420 : 3 * 420]
    assert (far[title] > 0).sum() > (plain[title] > 0).sum()  # "100% outside"
    np.testing.assert_array_equal(far[:, 3 * 420 :], plain[:, 3 * 420 :])
    alone = cloud_views(_sample(None), [("none", DepthMap(nothing, CAMERA))])
    assert alone.shape[1] == 2 * 420


def test_a_real_floor_is_level(data_dir):
    """HoloLens frame 50: the floor of a kitchen, seen by a head that looks down."""
    sample = open_dataset("hololens", data_dir)[50]
    turn = upright(sample.depth, sample.frame.camera)
    camera = sample.frame.camera
    v, u = np.nonzero(np.isfinite(sample.depth))
    z = sample.depth[v, u]
    xyz = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], -1) @ turn.T
    floor = xyz[xyz[:, 1] > np.percentile(xyz[:, 1], 99.5) - 0.1]
    assert len(floor) > 0.3 * len(xyz)
    plane = np.linalg.lstsq(np.c_[floor[:, [0, 2]], np.ones(len(floor))], floor[:, 1], rcond=None)[0]
    assert np.degrees(np.arctan(np.hypot(*plane[:2]))) < 2
    assert 10 < np.degrees(np.arccos(turn[1, 1])) < 60
