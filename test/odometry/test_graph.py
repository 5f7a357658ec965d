from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d_ros.odometry import VisualOdometry, close_loops, graph
from recon3d_ros.odometry.loops import find_loops

pytest.importorskip("gtsam")


ELSEWHERE = -1  # a place that the walk does not see


def drive(walk, numbers):
    odometry = VisualOdometry()
    for i in numbers:
        frame, depth_map = walk[max(i, 0)]
        if i == ELSEWHERE:
            image = np.random.default_rng(1).permutation(frame.image.ravel()).reshape(frame.image.shape)
            frame = replace(frame, image=image)
        odometry.track(frame, depth_map)
    return odometry


@pytest.fixture(scope="module")
def round_trip(walk):
    """A closed walk: the last frames show what the first ones do."""
    return drive(walk, [*range(40), 0, 1])


def error_m(found, walk, numbers):
    truth = np.stack([walk.pose(i, numbers[found.frame_numbers[0]]) for i in numbers])[found.frame_numbers]
    return np.linalg.norm(found.T_world_camera[:, :3, 3] - truth[:, :3, 3], axis=1)


def test_a_closed_walk_closes(round_trip, walk, monkeypatch):
    numbers = [*range(40), 0, 1]
    closed_m = error_m(close_loops(round_trip), walk, numbers)
    monkeypatch.setattr(graph, "find_loops", lambda *_: [])
    open_m = error_m(close_loops(round_trip), walk, numbers)
    assert len(open_m) == len(closed_m) == 42
    assert closed_m[-2] < 0.5 * open_m[-2]  # frame 0 is met again
    assert np.sqrt((closed_m**2).mean()) < np.sqrt((open_m**2).mean())


def test_loops_are_true(round_trip, walk):
    numbers = [*range(40), 0, 1]
    keyframes = round_trip.keyframes
    loops = find_loops(keyframes, round_trip.edges, round_trip.camera, round_trip.config)
    assert loops
    for edge in loops:
        here, there = (numbers[keyframes[i].frame_number] for i in (edge.source, edge.target))
        difference = edge.T_source_target[:3, 3] - walk.pose(there, here)[:3, 3]
        assert np.linalg.norm(difference) < 0.15, (here, there)


def test_submaps_are_joined_by_what_both_show(walk):
    first = [0, 1, 2, 3, 4, 5, 6, 7]
    jump = [ELSEWHERE] * 3
    odometry = drive(walk, [*first, *jump, *reversed(first)])
    submaps = {keyframe.submap for keyframe in odometry.keyframes}
    assert len(submaps) == 3
    found = close_loops(odometry)
    assert found.joined == (0, 2) and found.separate == (1,)
    assert found.frame_numbers.tolist() == [*range(8), *range(11, 19)]
    assert error_m(found, walk, [*first, *jump, *reversed(first)]).max() < 0.15


def test_the_same_twice_is_the_same(round_trip):
    first, second = (close_loops(round_trip).T_world_camera.tobytes() for _ in range(2))
    assert first == second


def test_nothing_tracked_is_an_empty_map():
    found = close_loops(VisualOdometry())
    assert len(found.frame_numbers) == len(found.stamps_ns) == 0
