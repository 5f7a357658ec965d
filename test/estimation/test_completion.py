from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros import world
from recon3d_ros.errors import DataError
from recon3d_ros.estimation.completion import ObjectCompleter, guessed_cloud, object_points
from recon3d_ros.geometry.object_in_view import box_of
from recon3d_ros.metrics import nearest_distances
from recon3d_ros.model_zoo.manifest import Licence, Manifest
from recon3d_ros.model_zoo.shapes import PartialInputContract, ShapeOutputContract


class Repeating:
    """A backend that says that the visible part is all there is; it keeps what it was given."""

    def __init__(self) -> None:
        self.given: np.ndarray | None = None

    def infer(self, feed):
        self.given = feed["partial"]
        return {"points": self.given}

    def close(self) -> None:
        pass


def completer(count: int) -> tuple[ObjectCompleter, Repeating]:
    backend = Repeating()
    given, said = PartialInputContract(count=count), ShapeOutputContract(count=count)
    manifest = Manifest("mine", "completion", given, said, Licence("mine"))
    return ObjectCompleter(manifest, backend), backend


def test_the_whole_is_where_the_visible_part_is():
    rng = np.random.default_rng(0)
    for count, least in ((500, 500), (4000, 1000)):  # fewer than there are, and more
        seen = rng.uniform(-0.3, 0.3, (1000, 3)) + [0.5, -0.2, 2.0]
        model, backend = completer(count)
        points = model.complete(seen)
        assert backend.given.shape == (1, count, 3) and np.abs(backend.given).max() < 1.3
        assert len(np.unique(points.round(5), axis=0)) == pytest.approx(least, abs=3)
        assert nearest_distances(points, seen)[0].max() < 1e-3


def test_too_few_points_are_told():
    model, _ = completer(100)
    for points in (np.empty((0, 3)), np.random.default_rng(0).normal(size=(9, 3)) + [0, 0, 5]):
        with pytest.raises(DataError, match="at least 32 points of an object, got"):
            model.complete(points)


def test_measured_points_are_marked_apart_from_guessed_ones():
    cloud = guessed_cloud(np.ones((3, 3), np.float32), np.zeros((2, 3), np.float32), "optical")
    assert cloud["guessed"].tolist() == [0, 0, 1, 1, 1] and cloud.frame_id == "optical"
    assert len(guessed_cloud(np.ones((3, 3), np.float32))) == 3


def test_points_in_a_box_are_of_the_object_not_of_the_floor_nor_the_wall():
    checked = 0
    for seed in (0, 20, 28, 44):
        one = world.object_sample(seed, (161, 113))
        camera, box = one.sample.frame.camera, box_of(one.mask)
        masked = object_points(one.sample.depth, camera, box, one.mask)
        assert len(masked) == one.mask.sum()
        boxed = object_points(one.sample.depth, camera, box)
        x, y, w, h = (int(side) for side in box)
        everything = int(np.isfinite(one.sample.depth[y : y + h, x : x + w]).sum())
        right = nearest_distances(boxed, masked)[0] < 0.02 * np.linalg.norm(np.ptp(one.points, axis=0))
        share = masked.shape[0] / everything
        assert right.mean() > share + 0.3 * (1 - share), (seed, one.kind)
        checked += 1
    assert checked == 4


def test_a_box_beside_the_image_or_without_depth_has_no_points():
    from recon3d_ros.geometry import PinholeCamera

    camera, depth = PinholeCamera.simple(20, 10, 15.0), np.full((10, 20), 2.0, np.float32)
    assert len(object_points(depth, camera, (-9.0, 2.0, 5.0, 5.0))) == 0
    assert len(object_points(np.full_like(depth, np.nan), camera, (2.0, 2.0, 5.0, 5.0))) == 0
