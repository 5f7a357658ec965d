"""Floors of synthetic rooms, whose true scale is known; tables, walls and ceilings, which are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros.config import ScaleConfig
from recon3d_ros.datasets import open_dataset
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.scale import Mount, ScaleRecovery
from recon3d_ros.scale.fits import Unobservable
from recon3d_ros.scale.floor import floor_anchors

CAMERA = PinholeCamera.simple(161, 119, fx=120.0, cy=62.0)
V, U = np.mgrid[:119, :161]
RAYS = np.stack([(U - CAMERA.cx) / CAMERA.fx, (V - CAMERA.cy) / CAMERA.fy, np.ones(U.shape)], axis=2)


def mount_of(height_m: float, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> Mount:
    return Mount.of(
        ScaleConfig(camera_height_m=height_m, camera_pitch_deg=pitch_deg, camera_roll_deg=roll_deg)
    )


def plane(normal: np.ndarray, distance_m: float) -> np.ndarray:
    """Depth of the plane normal . point = distance; +Inf where rays miss it."""
    along = RAYS @ np.asarray(normal, float)
    return np.where(along > 1e-6, distance_m / np.maximum(along, 1e-6), np.inf)


def room(mount: Mount, wall_m: float = 5.0, table: float = 0.0) -> np.ndarray:
    """A floor, a wall ahead, and a table over a share of the columns, halfway between camera and floor."""
    depth = np.minimum(plane(mount.down, mount.height_m), plane((0, 0, 1), wall_m))
    if table:
        top = plane(mount.down, 0.5 * mount.height_m)
        top[(top > 2.5) | (U > table * U.shape[1])] = np.inf
        depth = np.minimum(depth, top)
    return depth.astype(np.float32)


def noisy(depth: np.ndarray, seed: int, sigma: float = 0.03) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, depth.shape)
    return (depth * np.exp(noise)).astype(np.float32)


@settings(max_examples=30)
@given(
    height_m=st.floats(0.3, 2.0),
    pitch_deg=st.floats(5, 45),
    roll_deg=st.floats(-15, 15),
    gain=st.floats(0.1, 10),
    seed=st.integers(0, 99),
)
def test_the_floor_tells_its_own_depth(height_m, pitch_deg, roll_deg, gain, seed):
    mount = mount_of(height_m, pitch_deg, roll_deg)
    depth = room(mount, wall_m=6 * height_m)
    anchors = floor_anchors(noisy(depth, seed) * np.float32(gain), False, CAMERA, mount, 0.3)
    u, v = anchors.u.astype(int), anchors.v.astype(int)
    on_floor = np.isclose(depth[v, u], plane(mount.down, height_m)[v, u], rtol=1e-4)
    assert on_floor.mean() > 0.85 and len(anchors) > 100  # the foot of the wall is as low as the floor
    np.testing.assert_allclose(anchors.depth[on_floor], depth[v, u][on_floor], rtol=1e-4)


@settings(max_examples=20)
@given(
    pitch_deg=st.floats(8, 40),
    a=st.floats(0.05, 100),
    b=st.floats(-5, 5),
    seed=st.integers(0, 99),
)
def test_the_floor_tells_its_depth_to_a_relative_model(pitch_deg, a, b, seed):
    mount = mount_of(1.2, pitch_deg)
    depth = room(mount, wall_m=6.0)
    values = (a / noisy(depth, seed, 0.01) + b).astype(np.float32)
    anchors = floor_anchors(values, True, CAMERA, mount, 0.3)
    u, v = anchors.u.astype(int), anchors.v.astype(int)
    assert len(anchors) > 100
    assert np.mean(np.abs(np.log(anchors.depth / depth[v, u])) < 0.05) > 0.9


def test_a_table_is_not_the_floor_while_the_floor_is_seen_beside_it():
    mount = mount_of(1.2, 30.0)
    depth = room(mount, table=0.5)
    anchors = floor_anchors(noisy(depth, 1), False, CAMERA, mount, 0.25)
    at = depth[anchors.v.astype(int), anchors.u.astype(int)]
    np.testing.assert_allclose(np.median(anchors.depth / at), 1.0, rtol=0.03)
    with pytest.raises(
        Unobservable, match="too many pixels are below the largest level plane, as below a table"
    ):
        floor_anchors(noisy(room(mount, table=0.85), 1), False, CAMERA, mount, 0.25)


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_floor_stands_out_from_the_heights_next_to_it(share):
    """A platform a fifth of the camera's height above the floor: the larger of both is the floor, or none."""
    mount = mount_of(1.2, 40.0)
    floor, platform = plane(mount.down, 1.2), plane(mount.down, 0.8 * 1.2)
    depth = np.where(share * U.shape[1] > U, floor, platform).astype(np.float32)
    if share < 0.5:
        with pytest.raises(
            Unobservable,
            match="no floor in view: the pixels of the lower half of the image have many heights",
        ):
            floor_anchors(depth, False, CAMERA, mount, 0.25)
    else:
        anchors = floor_anchors(depth, False, CAMERA, mount, 0.25)
        at = anchors.v.astype(int), anchors.u.astype(int)
        np.testing.assert_allclose(anchors.depth, floor[at], rtol=1e-5)
        assert anchors.u.max() < share * U.shape[1]


def test_walls_and_slopes_are_not_the_floor():
    mount = mount_of(1.2, 20.0)
    wall = np.full(U.shape, 3.0, np.float32)
    with pytest.raises(Unobservable, match="no floor in view"):
        floor_anchors(noisy(wall, 0), False, CAMERA, mount, 0.3)
    slope = plane(mount_of(1.2, 60.0).down, 1.2).astype(np.float32)  # gravity is 40 degrees off
    with pytest.raises(Unobservable, match="no floor in view"):
        floor_anchors(slope, False, CAMERA, mount, 0.1)
    with pytest.raises(Unobservable, match="no floor in view"):
        floor_anchors(1 / noisy(wall, 0), True, CAMERA, mount, 0.3)


def test_a_camera_that_looks_up_or_sees_nothing_has_no_floor():
    depth = room(mount_of(1.2, 20.0))
    with pytest.raises(Unobservable, match="has no depth, or no rays that point down"):
        floor_anchors(depth, False, CAMERA, mount_of(1.2, -60.0), 0.3)
    with pytest.raises(Unobservable, match="has no depth, or no rays that point down"):
        floor_anchors(np.full_like(depth, np.nan), False, CAMERA, mount_of(1.2, 20.0), 0.3)


def test_too_little_floor_is_refused_with_its_share():
    mount = mount_of(1.2, 5.0)
    depth = np.minimum(room(mount, wall_m=9.0), plane((0.6, 0, 0.8), 1.0)).astype(np.float32)
    with pytest.raises(Unobservable, match=r"no floor in view: at most \d+% .* in one plane, 90% needed"):
        floor_anchors(depth, False, CAMERA, mount, 0.9)


def test_what_is_known_of_the_mount_is_what_is_known_of_the_scale():
    """The error that all anchors share grows with that of the height and of the tilt."""
    depth = room(mount_of(1.2, 20.0))
    down = mount_of(1.2, 20.0).down
    exact, high, tilted = (
        floor_anchors(depth, False, CAMERA, Mount(1.2, down, height_sigma_m, tilt_deg), 0.3).common
        for height_sigma_m, tilt_deg in ((0.0, 0.0), (0.12, 0.0), (0.0, 3.0))
    )
    assert high == pytest.approx(np.hypot(exact, 0.1)) and tilted > exact + 0.01


@pytest.mark.parametrize("gain", [0.3, 1.0])
def test_roads_of_kitti_by_the_height_of_its_cameras(data_dir, gain):
    """Lidar depth with another scale: the cameras hang 1.65 m over the road and look ahead (Geiger 2012).

    The constants of the floor were chosen with other data (docs/scale.md). Lidar answers a fifth to a third
    of the pixels, so less floor is asked for.
    """
    config = ScaleConfig(scale_sources=("floor",), camera_height_m=1.65, scale_min_floor=0.15)
    samples = open_dataset("kitti2012", data_dir)
    errors, sigmas = [], []
    for sample in samples:
        frame = sample.frame
        depth = frame.rig.depth_from_disparity(sample.disparity) * np.float32(gain)
        scale = ScaleRecovery(config).update(0, DepthMap(depth, frame.camera))
        if scale.trusted:
            errors.append(np.log(scale.scale * gain))
            sigmas.append(scale.sigma)
    assert len(errors) >= 0.8 * len(samples)
    assert abs(np.median(errors)) < 0.1 and (np.abs(errors) < 2 * np.array(sigmas)).all()
