"""Somebody walks through the room: the map shows them while they are there, and nothing afterwards."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skimage")
X = 0.2  # of the way across the room


def person(y: float) -> tuple[np.ndarray, np.ndarray]:
    """A box of 0.4 x 0.5 x 1.7 m."""
    return np.array([X - 0.2, y - 0.25, 0.0]), np.array([X + 0.2, y + 0.25, 1.7])


def on_the_way(points: np.ndarray) -> int:
    """How many are where nothing stands, but somebody walked."""
    low, high = np.array([X - 0.3, -1.3, 0.12]), np.array([X + 0.3, 1.3, 2.0])
    return int(((points > low) & (points < high)).all(axis=1).sum())


def test_a_person_leaves_no_ghost(make_map_bench):
    bench = make_map_bench("/ghost", outputs=("map/mesh", "map/grid"))
    pose = bench.room.pose(-1.6, 0.0, 0.0, pitch_deg=10.0)
    for _ in range(10):
        bench.fuse(pose)
    for y in np.arange(-1.2, 1.2, 0.12):  # 1.2 m/s at 10 Hz
        bench.fuse(pose, (person(y),))
    bench.wait(lambda: on_the_way(bench.vertices()) > 200, "they are not in the map")
    for _ in range(10):
        bench.fuse(pose)
    bench.wait(lambda: on_the_way(bench.vertices()) == 0, "a ghost in the mesh")

    def row(msg) -> list[int]:
        """Cells of the floor across the way."""
        cells = np.array(msg.data).reshape(msg.info.height, msg.info.width)
        column = int((X - msg.info.origin.position.x) / msg.info.resolution)
        first = int((-0.3 - msg.info.origin.position.y) / msg.info.resolution)
        return cells[first : first + 12, column].tolist()

    bench.newest("map/grid", lambda msg: 100 in msg.data and set(row(msg)) == {0}, "the way is not free")
