"""Curves through given places."""

from __future__ import annotations

import numpy as np

from recon3d_ros.world.scenes.paths import Loop, Walk

POINTS = np.array([[0, 0, 0, 10], [2, 0, 90, 20], [2, 1, 180, 0], [0, 2, 300, -15]], float)


def test_a_walk_passes_its_points_with_their_gaze():
    walk = Walk(POINTS)
    for i, (x, y, yaw, pitch) in enumerate(POINTS):
        pose = walk.pose(i / len(POINTS))
        np.testing.assert_allclose(pose[:2, 3], [x, y], atol=1e-12)
        ahead = pose[:3, 2]
        np.testing.assert_allclose(np.degrees(np.arctan2(ahead[1], ahead[0])) % 360, yaw % 360, atol=1e-6)
        np.testing.assert_allclose(np.degrees(np.arcsin(-ahead[2])), pitch, atol=1e-6)
        np.testing.assert_allclose(pose[2, 0], 0, atol=1e-12)  # no roll


def test_a_walk_that_turns_once_goes_on_turning_where_it_closes():
    walk = Walk(POINTS)
    before, after = walk.pose(0.97), walk.pose(0.03)
    assert before[:3, 2] @ after[:3, 2] > 0.7
    np.testing.assert_allclose(walk.pose(1.0), walk.pose(0.0))
    parts = np.linspace(0, 1, 400)
    path = np.array([walk.pose(part)[:3, 3] for part in parts])
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 0.03


def test_a_loop_looks_at_its_target():
    loop = Loop(np.array([0.0, 0, 1]), np.array([1.0, 2, 0]), np.array([5.0, 0, 1]), np.zeros(3))
    for part in (0.0, 0.3):
        pose = loop.pose(part)
        toward = [5, 0, 1] - pose[:3, 3]
        np.testing.assert_allclose(pose[:3, 2], toward / np.linalg.norm(toward), atol=1e-12)
    np.testing.assert_allclose(loop.pose(0.25)[:3, 3], [0, 2, 1], atol=1e-12)
