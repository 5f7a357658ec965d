from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ManifestError
from recon3d_ros.estimation.point_labels import (
    PointLabeller,
    decide,
    grid_step,
    labelled_points,
    spread_labels,
)
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.geometry.level import level_transform
from recon3d_ros.model_zoo.manifest import Licence, Manifest
from recon3d_ros.model_zoo.points import LabelOutputContract, PointInputContract, PolarGrid

WIDTH, HEIGHT = 93, 61
CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, 70.0)


class ByHeight:
    """A backend that calls ground what is lower than 10 cm, and counts."""

    def __init__(self):
        self.calls = 0

    def infer(self, feed):
        self.calls += 1
        low = feed["points"][..., 2] < 0.1
        return {"probability": np.stack([low * 0.9 + 0.05, 0.95 - low * 0.9], axis=2).astype(np.float32)}

    def close(self):
        pass


def labeller(count: int = 1000) -> PointLabeller:
    contract = PointInputContract(count=count, grid=PolarGrid(8, 8, 4))
    output = LabelOutputContract(classes=("ground", "obstacle"))
    manifest = Manifest("heights", "point_labels", contract, output, Licence("none"))
    return PointLabeller(manifest, ByHeight())


def room(height_m: float = 0.8, pitch: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Depth of a floor and a wall 3 m ahead as a pitched camera sees them, with a hole; True is floor."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], axis=2)
    T = level_transform(np.array([0, -np.cos(pitch), -np.sin(pitch)]), height_m)
    level = rays @ T[:3, :3].T
    with np.errstate(divide="ignore"):
        floor = np.where(level[..., 2] < 0, -height_m / level[..., 2], np.inf)
    wall = 3.0 / level[..., 0]
    depth = np.minimum(floor, wall).astype(np.float32)
    depth[5:9, 20:40] = np.nan
    return depth, floor < wall


def test_every_pixel_with_depth_gets_the_label_of_its_surface():
    depth, floor = room()
    found = labeller().label_image(depth, CAMERA)
    known = np.isfinite(depth)
    assert found.labels.shape == depth.shape and found.labels.dtype == np.uint8
    assert (found.labels[~known] == PointLabel.UNKNOWN).all() and np.isnan(found.probability[~known]).all()
    right = np.where(floor, PointLabel.GROUND, PointLabel.OBSTACLE) == found.labels
    assert right[known].mean() > 0.95  # the foot of the wall is lower than 10 cm
    assert found.T_level_optical[2, 3] == pytest.approx(0.8, abs=0.03)  # from the floor
    np.testing.assert_allclose(found.probability[known], 0.95, atol=1e-6)


def test_a_transform_is_taken_as_it_is():
    depth, _ = room()
    T = level_transform(np.array([0.0, -1.0, -0.3]), 5.0)  # all is higher than 10 cm then
    found = labeller().label_image(depth, CAMERA, T)
    assert np.array_equal(found.T_level_optical, T)
    assert (found.labels[np.isfinite(depth)] == PointLabel.OBSTACLE).all()


def test_the_last_floor_is_kept_until_a_reset():
    depth, _ = room()
    wall = np.full(depth.shape, 2.0, np.float32)
    one = labeller()
    before = one.label_image(depth, CAMERA).T_level_optical
    assert np.array_equal(one.label_image(wall, CAMERA).T_level_optical, before)
    one.reset()
    assert not np.array_equal(one.label_image(wall, CAMERA).T_level_optical, before)


def test_without_depth_nothing_is_asked():
    one = labeller()
    found = one.label_image(np.full((HEIGHT, WIDTH), np.nan, np.float32), CAMERA)
    assert not found.labels.any() and one._backend.calls == 0


@pytest.mark.parametrize(
    ("shape", "count", "step"), [((61, 93), 10000, 1), ((61, 93), 1000, 3), ((1, 5), 1, 5)]
)
def test_steps_of_the_grid(shape, count, step):
    assert grid_step(shape, count) == step


def test_kinds_of_obstacles_add_up_before_one_is_chosen():
    classes = np.array([1, 2, 3, 5], np.uint8)
    probabilities = np.array(
        [[0.4, 0.3, 0.25, 0.05], [0.6, 0.2, 0.2, 0.0], [0.35, 0.2, 0.1, 0.35], [0.1, 0.1, 0.1, 0.7]],
        np.float32,
    )
    labels, probability = decide(probabilities, classes)
    assert labels.tolist() == [2, 1, 0, 5]
    np.testing.assert_allclose(probability, [0.3, 0.6, 0.35, 0.7])


def test_labels_end_where_surfaces_do():
    depth = np.full((9, 13), 4.0, np.float32)
    depth[:, 6:] = 1.0  # an edge between two pixels of the grid: columns 4 and 8
    coarse = np.where(depth[::4, ::4] > 2, np.uint8(1), np.uint8(3))
    labels, probability = spread_labels(coarse, np.full(coarse.shape, 0.9, np.float32), depth, 4)
    assert np.array_equal(labels, np.where(depth > 2, 1, 3))
    assert (probability == np.float32(0.9)).all()


def test_points_of_a_kind():
    depth, _ = room()
    found = labeller().label_image(depth, CAMERA)
    ground = labelled_points(DepthMap(depth, CAMERA), found, (PointLabel.GROUND,), 2, "camera")
    assert ground.frame_id == "camera" and ground.fields == ("x", "y", "z")
    assert len(ground) == (found.labels[::2, ::2] == PointLabel.GROUND).sum()
    level = ground.xyz @ found.T_level_optical[:3, :3].T + found.T_level_optical[:3, 3]
    assert np.abs(level[:, 2]).mean() < 0.03


def test_the_included_model_sees_a_floor_and_a_wall():
    depth, floor = room(height_m=1.0, pitch=0.2)
    with PointLabeller.open("recon3d_point_labels") as one:
        found = one.label_image(depth, CAMERA)
    known = np.isfinite(depth)
    assert (found.labels[known & floor] == PointLabel.GROUND).mean() > 0.9
    assert (found.labels[known & ~floor] == PointLabel.STRUCTURE).mean() > 0.6


def test_a_model_of_depth_is_refused():
    with pytest.raises(ManifestError, match="expected a model that labels points, got fake_stereo"):
        PointLabeller.open("fake_stereo")
