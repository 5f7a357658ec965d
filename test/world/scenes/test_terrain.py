from __future__ import annotations

import numpy as np

from recon3d_ros import world
from recon3d_ros.geometry import StereoRig
from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.rendering.render import render_mono
from recon3d_ros.world.scenes import materials, terrain
from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.scene import SceneBuilder
from recon3d_ros.world.scenes.terrain import floor_with_pit, raised

RIG = StereoRig.simple(95, 64, 60.0, 0.1)


def seen(builder: SceneBuilder) -> tuple[np.ndarray, np.ndarray]:
    """Heights and labels of what a camera at 1.5 m sees 3 m ahead."""
    rng = np.random.default_rng(0)
    light = terrain.terrain(rng)[0].light
    pose = look_at(np.array([0.0, 0, 1.5]), np.array([3.0, 0, 0]))
    sample = render_mono(builder.build(light), RIG, pose)
    v, u = np.nonzero(np.isfinite(sample.depth))
    z = sample.depth[v, u]
    rays = np.stack([(u - RIG.left.cx) / RIG.left.fx, (v - RIG.left.cy) / RIG.left.fy, np.ones(len(u))])
    return (rays * z).T @ pose[2, :3] + pose[2, 3], sample.labels[v, u]


def test_the_bottom_of_a_pit_is_no_ground():
    rng, b = np.random.default_rng(3), SceneBuilder()
    floor_with_pit(b, rng, materials.floor(rng), (3.0, 0.0), np.array([0.8, 0.6]), 0.5)
    heights, labels = seen(b)
    assert (labels[heights < -0.05] == PointLabel.OBSTACLE).all() and (heights < -0.45).sum() > 50
    assert (labels[heights > -0.01] == PointLabel.GROUND).mean() > 0.98


def test_a_ramp_and_the_tops_of_steps_are_ground():
    kinds = set()
    for seed in range(8):
        rng, b = np.random.default_rng(seed), SceneBuilder()
        b.labelled(PointLabel.GROUND).patch((0, 0, 0), np.eye(3), (50, 50), materials.floor(rng))
        raised(b.at((2.0, 0.0, 0.0)), rng)
        heights, labels = seen(b)
        above = heights > 0.03
        kinds |= set(labels[above].tolist())
        assert (labels[np.abs(heights) < 0.002] == PointLabel.GROUND).mean() > 0.95
    assert kinds == {PointLabel.GROUND, PointLabel.OBSTACLE}


def test_scenes_for_robots_have_ground_and_obstacles_of_many_kinds():
    labels, sizes = set(), (96, 64)
    for seed in range(12):
        sample, pose = world.ground_sample(seed, sizes)
        assert sample.labels.shape == (64, 96) and pose.shape == (4, 4)
        assert (sample.labels[np.isinf(sample.depth)] == PointLabel.UNKNOWN).all()
        assert np.isinf(sample.depth).any() <= world.is_outdoor(seed)
        labels |= set(np.unique(sample.labels).tolist())
    assert labels == set(PointLabel)
    again, _ = world.ground_sample(3, sizes)
    assert np.array_equal(again.labels, world.ground_sample(3, sizes)[0].labels)
