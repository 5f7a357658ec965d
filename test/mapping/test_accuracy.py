"""Scores of surfaces and trajectories, on cases whose result is known."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.geometry.rotations import matrices_of
from recon3d_ros.mapping.accuracy import GridScore, align, score_grid, score_surface, score_trajectory
from recon3d_ros.mapping.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyGrid
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


def test_a_map_is_scored_in_another_frame_with_other_cells():
    """The truth is turned by 90 degrees about z, moved, and has cells of half the size."""
    truth_cells = np.full((8, 12), UNKNOWN, np.int8)
    truth_cells[2:6, 4:8], truth_cells[0:2, 4:8] = FREE, OCCUPIED
    truth = OccupancyGrid(truth_cells, (-0.2, 0.1), 0.05, np.eye(4))
    result_from_world = np.eye(4)
    result_from_world[:2, :2] = [[0, -1], [1, 0]]
    # The free square of the truth, x 0.0 to 0.2 and y 0.2 to 0.4 m, is x -0.4 to -0.2 and y 0.0 to 0.2 there.
    cells = np.full((3, 5), UNKNOWN, np.int8)
    cells[0, 1:4] = FREE  # two cells of 0.1 m on free ones, and one on the obstacle
    result = OccupancyGrid(cells, (-0.5, 0.0), 0.1, result_from_world)
    assert score_grid(result, truth) == GridScore(3, 1, 0.5)
    assert score_grid(truth, truth) == GridScore(16, 0, 0.0)
    nothing = OccupancyGrid(np.full((2, 2), UNKNOWN, np.int8), (50.0, 0.0), 0.1, np.eye(4))
    assert score_grid(nothing, truth) == GridScore(0, 0, 1.0)
    assert np.isnan(score_grid(truth, nothing).missing)
