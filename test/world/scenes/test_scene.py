"""What a scene is built of: solids that are closed and stand where they were put, frames within frames."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.scene import (
    ELLIPSE,
    QUADRIC,
    RECT,
    Light,
    Material,
    SceneBuilder,
    random_rotation,
    rotation_between,
    rotation_z,
)

LIGHT = Light(key_position=(0.0, 0.0, 9.0), key_target=(0.0, 0.0, 0.0), key_half_angle=0.5)


def test_rotations_are_rotations_and_turn_where_they_say():
    rng = np.random.default_rng(0)
    for turn in (rotation_z(0.4), rotation_between(rng.normal(size=3)), random_rotation(rng)):
        assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-12) and np.linalg.det(turn) == pytest.approx(
            1
        )
    assert rotation_z(np.pi / 2) @ [1, 0, 0] == pytest.approx([0, 1, 0], abs=1e-12)
    assert rotation_between(np.array([0, 0, -3.0]))[:, 2] == pytest.approx([0, 0, -1])


@pytest.mark.parametrize("roll", [0.0, 0.3])
def test_a_camera_looks_at_its_target(roll):
    position, target = np.array([1.0, -2.0, 1.5]), np.array([4.0, 1.0, 0.5])
    pose = look_at(position, target, roll)
    seen = np.linalg.inv(pose) @ [*target, 1]
    assert seen[:3] == pytest.approx([0, 0, np.linalg.norm(target - position)], abs=1e-9)
    up = pose[:3, :3].T @ [0, 0, 1]
    assert up[1] < 0  # y of the image points down
    assert np.arctan2(up[0], -up[1]) == pytest.approx(-roll, abs=1e-9)


def test_a_box_is_closed_and_its_faces_look_outwards():
    b = SceneBuilder()
    turn = random_rotation(np.random.default_rng(1))
    b.box((1, 2, 3), (0.4, 0.6, 0.8), Material(), rotation=turn, top=Material(texture=5))
    scene = b.build(LIGHT)
    assert (scene.shape == RECT).all() and scene.one_sided.all() and len(scene) == 6
    from_middle = scene.origin - np.float32((1, 2, 3))
    assert (np.einsum("ni,ni->n", from_middle, scene.axes[:, 2]) > 0).all()
    reach = np.abs(from_middle @ turn).max(axis=0)
    assert reach == pytest.approx([0.2, 0.3, 0.4], abs=1e-6)
    area = 4 * scene.half[:, 0] * scene.half[:, 1]
    assert area.sum() == pytest.approx(2 * (0.4 * 0.6 + 0.4 * 0.8 + 0.6 * 0.8), rel=1e-5)
    assert (scene.materials[:, 0] == 5).sum() == 1
    # u, v and the normal are a right-handed frame: textures are not mirrored
    assert np.linalg.det(scene.axes) == pytest.approx(np.ones(6), abs=1e-5)


def test_a_cylinder_reaches_from_end_to_end_and_its_caps_look_away():
    b = SceneBuilder()
    low, high = np.array([1.0, 0.0, 0.5]), np.array([1.0, 3.0, 4.5])
    b.cylinder(low, high, 0.25, Material())
    scene = b.build(LIGHT)
    assert scene.shape.tolist() == [QUADRIC, ELLIPSE, ELLIPSE]
    assert scene.half[0] == pytest.approx([0.25, 0.25, 2.5])
    along = (high - low) / 5
    assert scene.axes[1, 2] == pytest.approx(along, abs=1e-6)
    assert scene.axes[2, 2] == pytest.approx(-along, abs=1e-6)
    # a point of the surface satisfies the quadric
    point = low + 2 * along + 0.25 * np.cross(along, [1, 0, 0])
    q = scene.axes[0] @ (point - scene.origin[0])
    assert scene.diag[0] @ q**2 == pytest.approx(scene.const[0], rel=1e-5)


def test_a_cone_is_as_wide_as_it_says_at_its_foot():
    b = SceneBuilder()
    b.cone((0, 0, 2), 1.6, 0.4, Material(), cut=0.25)
    scene = b.build(LIGHT)
    foot = np.array([0.4, 0.0, -1.6])  # from the apex
    assert scene.diag[0] @ foot**2 == pytest.approx(scene.const[0], abs=1e-6)
    z = scene.middle[0] + scene.half[0, 2] * np.array([-1, 1])
    assert z == pytest.approx([-1.6, -0.4])


def test_frames_within_frames_add_up():
    b = SceneBuilder()
    b.at((1, 0, 0), np.pi / 2).at((2, 0, 0.5), -np.pi / 2).ellipsoid((0.1, 0, 0), (1, 2, 3), Material())
    scene = b.build(LIGHT)
    assert scene.origin[0] == pytest.approx([1.1, 2.0, 0.5], abs=1e-6)
    assert scene.axes[0] == pytest.approx(np.eye(3), abs=1e-6)


def test_a_texture_repeats_every_tile_or_fills_the_patch():
    half = np.array([0.8, 0.3, 0.0])
    stretched = Material(tile_m=None).row(half)
    u, v = stretched[1] * 0.8 + stretched[5], stretched[4] * 0.3 + stretched[6]
    assert (u, v) == pytest.approx((1.0, 0.0))  # the upper right corner; v runs down in an image
    tiled = Material(tile_m=(0.5, 0.25), angle=np.pi / 2).row(half)
    assert np.reshape(tiled[1:5], (2, 2)) == pytest.approx(np.array([[0, -2], [-4, 0]]), abs=1e-12)
