"""Poses that jump are refused until they jump back, or stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros.errors import PoseError
from recon3d_ros.mapping.pose_guard import STEADY, PoseGuard

STEP_NS = 100_000_000


def pose(x: float, yaw: float = 0.0) -> np.ndarray:
    found = np.eye(4)
    found[:3, :3] = cv2.Rodrigues(np.array([0, yaw, 0.0]))[0]
    found[0, 3] = x
    return found


@pytest.fixture
def guard() -> PoseGuard:
    guard = PoseGuard(max_speed_mps=1.0, max_turn_dps=90.0)
    for i in range(4):
        guard.check(i * STEP_NS, pose(0.08 * i))
    return guard


def refused(guard: PoseGuard, number: int, *pose_of, part: int = 0) -> str:
    with pytest.raises(PoseError) as caught:
        guard.check(number * STEP_NS, pose(*pose_of), part)
    return str(caught.value)


def test_an_outlier_is_left_out(guard):
    assert "a jump of 0.76 m in 0.100 s" in refused(guard, 4, 1.0)
    guard.check(5 * STEP_NS, pose(0.4))
    guard.check(6 * STEP_NS, pose(0.48))


def test_a_turn_is_a_jump_too(guard):
    assert "a jump of 40 degrees in 0.100 s" in refused(guard, 4, 0.3, np.radians(40))


def test_a_new_place_is_refused_however_long_it_stays(guard):
    for i in range(4, 40):  # 3.6 s, in which the camera could have driven there
        assert guard.steady is (i - 4 >= STEADY)
        refused(guard, i, 1.0)
    guard.check(40 * STEP_NS, pose(0.3))  # back
    assert not guard.steady


def test_a_jump_back_to_elsewhere_is_another_jump(guard):
    refused(guard, 4, 1.0)
    refused(guard, 5, 1.0)
    refused(guard, 6, -2.0)
    assert not guard.steady


def test_a_pause_gives_time_to_drive(guard):
    guard.check(23 * STEP_NS, pose(2.0))


def test_another_part_is_a_jump(guard):
    assert "nothing connects" in refused(guard, 4, 0.32, part=1)
    refused(guard, 5, 0.4, part=1)
    guard.forget()
    guard.check(6 * STEP_NS, pose(0.4), part=1)


def test_a_pose_of_nan_is_none(guard):
    assert "finite" in refused(guard, 4, np.nan)
    guard.check(5 * STEP_NS, pose(0.4))


def test_time_that_goes_back_a_little_gives_no_speed(guard):
    guard.check(2 * STEP_NS, pose(0.26))
    refused(guard, 1, 0.5)
