from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.estimation.completion import ObjectCompleter
from recon3d_ros.mapping.surface import Mesh
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.metrics import nearest_distances
from recon3d_ros.model_zoo.manifest import Licence, Manifest
from recon3d_ros.model_zoo.shapes import PartialInputContract, ShapeOutputContract
from recon3d_ros.offline.completion import best_view, complete_boxes
from recon3d_ros.world.scenes.indoor import look_at


class Repeating:
    """A backend that says that the visible part is all there is, and keeps what it saw."""

    def __init__(self) -> None:
        self.given: list[np.ndarray] = []

    def infer(self, feed):
        self.given.append(feed["partial"])
        return {"points": feed["partial"]}

    def close(self) -> None:
        pass


def completer() -> tuple[ObjectCompleter, Repeating]:
    backend = Repeating()
    given, said = PartialInputContract(count=200), ShapeOutputContract(count=200)
    return ObjectCompleter(Manifest("mine", "completion", given, said, Licence("mine")), backend), backend


@pytest.fixture
def scene() -> tuple[Mesh, Trajectory]:
    """A floor of 4 m and two blocks on it; three cameras, of which one looks away."""
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-2, 2, (3000, 2)), np.zeros(3000)])
    blocks = [rng.uniform(-0.2, 0.2, (600, 3)) + middle for middle in ([1, 0, 0.3], [-1, 0.5, 0.3])]
    vertices = np.concatenate([floor, *blocks]).astype(np.float32)
    mesh = Mesh(vertices, np.zeros((0, 3), np.int32), np.zeros((len(vertices), 3), np.uint8))
    eyes = ([3.0, 0, 1], [0.0, -3, 1], [1.0, 0.2, 1])
    targets = ([1.0, 0, 0.3], [1.0, 0, 0.3], [1.0, 9, 1])
    poses = np.stack([look_at(np.array(eye), np.array(target)) for eye, target in zip(eyes, targets)])
    return mesh, Trajectory(np.arange(3), poses, key="order")


def test_what_stands_in_the_boxes_is_completed_in_the_world(scene):
    mesh, path = scene
    model, backend = completer()
    boxes = [(0.7, -0.3, 0.05, 1.3, 0.3, 0.6), (-1.3, 0.2, 0.05, -0.7, 0.8, 0.6)]
    cloud = complete_boxes(mesh, path, boxes, model)
    assert cloud.frame_id == "world" and len(backend.given) == 2
    measured, guessed = cloud.xyz[cloud["guessed"] == 0], cloud.xyz[cloud["guessed"] == 1]
    assert len(measured) == 1200 and len(guessed) == 400
    assert nearest_distances(guessed, measured)[0].max() < 2e-3
    assert np.abs(backend.given[0]).max() < 1.3  # in its unit frame


def test_the_camera_that_looks_at_the_object_is_taken(scene):
    _, path = scene
    assert np.array_equal(best_view(path, np.array([1.0, 0, 0.3])), path.T_world_camera[0])
    assert np.array_equal(best_view(path, np.array([1.0, 5, 1.0])), path.T_world_camera[2])


def test_an_empty_box_is_told_by_its_corners(scene):
    mesh, path = scene
    with pytest.raises(DataError, match=r"box 5,5,5,6,6,6: expected at least 32 points of an object, got 0"):
        complete_boxes(mesh, path, [(5, 5, 5, 6, 6, 6)], completer()[0])
