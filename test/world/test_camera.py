"""The demo's camera: a closed, smooth loop that meets nothing."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ConfigError
from recon3d_ros.world import WorldCamera
from recon3d_ros.world.camera import PLACES


@pytest.mark.parametrize("kind", PLACES)
def test_the_loop_closes_and_meets_nothing(kind: str) -> None:
    camera = WorldCamera(seed=1, kind=kind, size_wh=(40, 30), rate_hz=20, loop_frames=12)
    first, again = camera.sample(3), camera.sample(15)
    np.testing.assert_array_equal(first.frame.image, again.frame.image)
    np.testing.assert_array_equal(first.depth, again.depth)
    assert (first.frame.stamp_ns, again.frame.stamp_ns) == (150_000_000, 750_000_000)
    assert first.frame.rig == camera.rig and first.frame.image.shape == (30, 40, 3)
    nearest = [camera.sample(i).depth.min() for i in range(12)]
    assert min(nearest) > 0.4


@pytest.mark.parametrize("kind", PLACES)
def test_the_path_is_smooth(kind: str) -> None:
    camera = WorldCamera(kind=kind, size_wh=(16, 12))
    poses = np.array([camera.pose(i) for i in range(camera.loop_frames + 1)])
    np.testing.assert_allclose(poses[-1], poses[0], atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(poses[:, :3, :3]), 1)
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    assert steps.max() < 0.3 and steps.min() > 0.02
    turns = np.linalg.norm(np.diff(poses[:, :3, 2], axis=0), axis=1)
    assert turns.max() < np.radians(6)


def test_the_walk_through_the_house_sees_both_rooms_through_its_doorway() -> None:
    camera = WorldCamera(kind="house", size_wh=(40, 30))
    poses = np.array([camera.pose(i) for i in range(camera.loop_frames)])
    x, y = poses[:, 0, 3], poses[:, 1, 3]
    in_wall = (x > -3.32) & (x < -3.2)
    assert (x > -2).sum() > 40 and (x < -5).sum() > 40
    assert in_wall.any() and np.abs(y[in_wall]).max() < 0.3  # of the doorway, 1.1 m wide
    back = camera.sample(0).frame.image.astype(int), camera.sample(camera.loop_frames).frame.image
    np.testing.assert_array_equal(*back)
    assert camera.sample(8).depth.max() > 4  # the far wall of the living room


def test_pictures_are_exposed_and_the_seed_changes_them() -> None:
    images = [WorldCamera(seed, "indoor", (48, 36)).sample(0).frame.image for seed in (0, 1)]
    for image in images:
        assert 40 < image.mean() < 200 and (image == 255).mean() < 0.1
    assert np.abs(images[0].astype(int) - images[1]).mean() > 2


@pytest.mark.parametrize(
    "arguments",
    [{"kind": "moon"}, {"size_wh": (0, 10)}, {"rate_hz": 0.0}, {"rate_hz": float("nan")}, {"loop_frames": 0}],
)
def test_bad_arguments_are_one_sentence(arguments: dict) -> None:
    with pytest.raises(ConfigError, match="expected"):
        WorldCamera(**arguments)
