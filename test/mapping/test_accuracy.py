"""Scores of surfaces and trajectories, on cases whose result is known."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.geometry.rotations import matrices_of
from recon3d_ros.mapping.accuracy import align, score_surface, score_trajectory
from recon3d_ros.mapping.trajectory import Trajectory


def test_half_of_a_plane_three_cm_off():
    pytest.importorskip("scipy")
    truth = np.stack(np.meshgrid(np.arange(100), np.arange(50), [0.0]), axis=-1).reshape(-1, 3) / 100
    result = truth[truth[:, 0] < 0.5] + [0, 0, 0.03]
    near, far = score_surface(result, truth, (0.02, 0.05))
    assert (near.precision, near.recall, near.f_score) == (0, 0, 0)
    assert far.precision == 1
    assert far.recall == pytest.approx(0.54, abs=0.011)
    assert far.f_score == pytest.approx(2 * far.recall / (1 + far.recall))
    with pytest.raises(DataError, match="points"):
        score_surface(result[:0], truth, (0.1,))


def walk(count: int = 40) -> Trajectory:
    rng = np.random.default_rng(5)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = matrices_of(rng.normal(size=(count, 4)) * 0.1 + [0, 0, 0, 1])
    poses[:, :3, 3] = np.cumsum(rng.normal(size=(count, 3)) * 0.1, axis=0)
    return Trajectory(np.arange(count) * 100_000_000, poses)


def test_alignment_takes_away_another_world():
    truth, world = walk(), np.eye(4)
    world[:3, :3] = matrices_of(np.array([[0.3, -0.2, 0.5, 0.7]]))[0]
    world[:3, 3] = (5, -2, 1)
    moved = truth.moved(world)
    score = score_trajectory(moved, truth)
    assert score.ate_m < 1e-9
    assert score.rpe_m < 1e-9
    assert score.rpe_deg < 1e-4
    assert score.length_m == pytest.approx(truth.length_m)
    assert score_trajectory(moved, truth, aligned=False).ate_m > 1
    assert np.allclose(align(2 * truth.positions, truth.positions, with_scale=True)[:3, :3], np.eye(3) / 2)


def test_one_wrong_pose_has_its_error():
    truth = walk()
    poses = truth.T_world_camera.copy()
    poses[7, 2, 3] += 0.4
    score = score_trajectory(Trajectory(truth.stamps_ns, poses), truth, aligned=False)
    assert score.ate_max_m == pytest.approx(0.4)
    assert score.ate_m == pytest.approx(0.4 / np.sqrt(40))
    assert score.rpe_m == pytest.approx(0.4 * np.sqrt(2 / 39))


def test_poses_out_of_time_do_not_count():
    truth = walk()
    late = Trajectory(truth.stamps_ns + 50_000_000, truth.T_world_camera)
    assert score_trajectory(late, truth).poses == 39
    with pytest.raises(DataError, match="in common"):
        score_trajectory(Trajectory(truth.stamps_ns + 10**12, truth.T_world_camera), truth)


def test_poses_of_images_in_their_order_are_those_of_as_many_stamps():
    """The poses of KITTI have no stamps; ours have."""
    truth = walk()
    by_order = Trajectory(np.arange(len(truth)), truth.T_world_camera, key="order")
    assert score_trajectory(truth, by_order).ate_m < 1e-9
    assert score_trajectory(by_order, truth).poses == len(truth)
    fewer = Trajectory(truth.stamps_ns[1:], truth.T_world_camera[1:])
    with pytest.raises(DataError, match=r"got one of 39 poses by stamp for 40"):
        score_trajectory(fewer, by_order)
