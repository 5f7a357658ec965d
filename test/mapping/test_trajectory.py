"""Poses at a time, refusal where there are none, and the few rules a trajectory keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import DataError, FrameError
from recon3d_ros.geometry.rotations import matrices_of
from recon3d_ros.mapping.trajectory import Trajectory, between, joined


def pose(yaw: float, x: float = 0.0) -> np.ndarray:
    """Turned around y by an angle (rad), at (x, 2, 3) m."""
    t = np.eye(4)
    t[:3, :3] = matrices_of(np.array([[0, np.sin(yaw / 2), 0, np.cos(yaw / 2)]]))[0]
    t[:3, 3] = (x, 2, 3)
    return t


def line(count: int = 3) -> Trajectory:
    return Trajectory(
        np.arange(count) * 500_000_000 + 7, np.stack([pose(0.2 * i, float(i)) for i in range(count)])
    )


def test_a_stored_pose_comes_back_and_others_lie_between():
    path = line()
    assert np.array_equal(path.at(500_000_007), path.T_world_camera[1])
    assert np.allclose(path.at(7 + 750_000_000), pose(0.3, 1.5))
    assert path.length_m == pytest.approx(2.0)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 1))
def test_between_turns_evenly_along_the_short_way(first, second, part):
    turn = (second - first + np.pi) % (2 * np.pi) - np.pi
    if abs(abs(turn) - np.pi) > 1e-3:  # half a turn has two short ways
        assert np.allclose(between(pose(first), pose(second), part), pose(first + part * turn), atol=1e-6)


@pytest.mark.parametrize("stamp", [6, 1_000_000_008])
def test_outside_is_refused(stamp):
    with pytest.raises(FrameError, match="within the poses"):
        line().at(stamp)


def test_a_gap_is_refused_but_not_the_poses_at_its_ends():
    path = line()
    with pytest.raises(FrameError, match=r"at most 0\.2 s apart"):
        path.at(8, max_gap_s=0.2)
    assert np.array_equal(path.at(7, max_gap_s=0.2), path.T_world_camera[0])


def test_images_are_found_by_what_the_poses_are_known_by():
    poses = np.stack([pose(0.1), pose(0.2)])
    by_order = Trajectory(np.array([0, 2]), poses, key="order")
    assert np.array_equal(by_order.of_image(2, 99, "x"), poses[1])
    with pytest.raises(FrameError, match="number 1"):
        by_order.of_image(1, 0, "x")
    by_name = Trajectory(np.arange(2), poses, ("a", "b"), key="name")
    assert np.array_equal(by_name.of_image(9, 99, "b"), poses[1])
    with pytest.raises(FrameError, match="'c'"):
        by_name.of_image(0, 0, "c")
    assert np.array_equal(line().of_image(9, 7, "x"), line().T_world_camera[0])


@pytest.mark.parametrize(
    ("stamps", "poses", "says"),
    [
        ([], np.empty((0, 4, 4)), "at least one pose"),
        ([2, 1], np.stack([np.eye(4)] * 2), "rising"),
        ([1, 1], np.stack([np.eye(4)] * 2), "rising"),
        ([1], 2 * np.eye(4)[None], "rigid"),
        ([1], np.diag([1.0, 1.0, -1.0, 1.0])[None], "rigid"),
        ([1], np.full((1, 4, 4), np.nan), "rigid"),
        ([1], np.eye(3)[None], "matrices"),
    ],
)
def test_what_is_no_trajectory_is_refused(stamps, poses, says):
    with pytest.raises(DataError, match=says):
        Trajectory(np.array(stamps, np.int64), poses)


def test_rotations_of_few_digits_are_made_orthogonal():
    rough = np.round(pose(0.7), 3)
    rotation = Trajectory(np.array([0]), rough[None]).T_world_camera[0, :3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.allclose(rotation, rough[:3, :3], atol=2e-3)


def test_worlds_and_sensors_are_changed_from_their_sides():
    path, shift = line(), pose(0.5, 4.0)
    assert np.allclose(path.moved(shift).T_world_camera[2], shift @ path.T_world_camera[2])
    assert np.allclose(path.of_sensor(shift).T_world_camera[2], path.T_world_camera[2] @ shift)


def test_pieces_are_joined_in_the_order_of_time():
    whole = line(4)
    odd = Trajectory(whole.stamps_ns[1::2], whole.T_world_camera[1::2])
    even = Trajectory(whole.stamps_ns[::2], whole.T_world_camera[::2])
    assert np.array_equal(joined([odd, even]).T_world_camera, whole.T_world_camera)
    with pytest.raises(DataError, match="rising"):
        joined([odd, odd])
