"""A house of two rooms with a walk through both: the living room, and a study behind a doorway."""

from __future__ import annotations

import numpy as np

from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.scenes import furniture, materials
from recon3d_ros.world.scenes.furniture import UPRIGHT
from recon3d_ros.world.scenes.paths import Walk
from recon3d_ros.world.scenes.scene import Light, SceneBuilder
from recon3d_ros.world.scenes.showcase import (
    DOOR_M,
    QUARTERS,
    SIZE_M,
    WALL_M,
    Place,
    painting,
    room_with_garden,
    tone,
    wall_with_door,
)
from recon3d_ros.world.textures.atlas import texture_atlas

Rng = np.random.Generator
_STUDY = np.array([4.4, 5.2, 2.7])  # of the room behind it
# x, y (m), yaw and pitch (degrees, to the left and downwards) of a walk: around in the living room, through
# the doorway, around the table of the study and back.
_WALK = (
    (-3.26, 0.0, 0, 12),
    (-2.3, -0.5, 10, 16),
    (-1.6, -1.25, 30, 18),
    (-0.75, -1.2, 40, 20),
    (-0.45, 0.0, 0, 22),
    (-0.75, 1.1, -45, 18),
    (-1.6, 1.35, -85, 18),
    (-2.4, 0.7, -135, 14),
    (-3.26, 0.0, -180, 12),
    (-4.2, 0.35, -170, 18),
    (-4.5, 1.0, -140, 20),
    (-5.4, 1.25, -95, 22),
    (-6.7, 1.15, -45, 20),
    (-6.95, 0.0, 0, 20),
    (-6.6, -1.15, 45, 20),
    (-5.4, -1.3, 75, 20),
    (-4.4, -1.1, 45, 16),
    (-4.1, -0.3, 10, 12),
)


def house(seed: int) -> Place:
    """Return the living room and a study behind a doorway, 4.4 by 5.2 m, and a walk through both."""
    rng = np.random.default_rng([seed, 11])
    b = SceneBuilder()
    room_with_garden(b, rng, with_door=True)
    _study(b.at((-SIZE_M[0] / 2 - WALL_M - _STUDY[0] / 2, 0, 0)), rng)
    sun = np.array([0.25, 1.0, 0.75])
    middle = (-2.2, 0.0, 1.0)
    light = Light(
        key_position=tuple(np.array(middle) + 120 * sun / np.linalg.norm(sun)),
        key_target=middle,
        key_half_angle=float(np.arctan(7.0 / 120)),
        key_colour=(3.6, 3.2, 2.6),
        ambient=(0.62, 0.62, 0.62),
        sky_texture=texture_atlas().names["noise"][3],
        room=np.stack([[-SIZE_M[0] / 2 - WALL_M - _STUDY[0], -2.6, 0], [3.2, 2.6, 2.7]]),
    )
    return Place(b.build(light), Walk(np.array(_WALK)), frames=160, gain=1.0, baseline_m=0.12)


def _study(b: SceneBuilder, rng: Rng) -> None:
    """Add a room whose wall at +x has a doorway, a table in its middle and furniture along its walls."""
    floor = tone("wood", 2, materials.hsv(rng.uniform(0.05, 0.1), 0.4, 0.6), 0.5, 1.2, gloss=0.05)
    b.labelled(PointLabel.GROUND).patch((0, 0, 0), np.eye(3), _STUDY[:2] / 2, floor)
    sill = (_STUDY[0] / 2 + WALL_M / 2, 0, 0)
    b.labelled(PointLabel.GROUND).patch(sill, np.eye(3), (WALL_M / 2, DOOR_M[0] / 2), floor)
    white = tone("plain", 1, (0.96, 0.95, 0.93), 0.85, 3.0)
    b.labelled(PointLabel.OVERHEAD).patch(
        (0, 0, _STUDY[2]), np.diag([1.0, -1.0, -1.0]), _STUDY[:2] / 2, white
    )
    walls = b.labelled(PointLabel.STRUCTURE)
    paint = tone("plain", 2, materials.hsv(rng.random(), 0.25, 0.85), 0.75, 1.5)
    for k, yaw in enumerate(QUARTERS):
        side = walls.at((0, 0, 0), yaw).at((-_STUDY[k % 2] / 2, 0, 0))
        width = _STUDY[1 - k % 2]
        if k == 2:
            wall_with_door(side, width, _STUDY[2], paint, white)
            continue
        side.patch((0, 0, _STUDY[2] / 2), UPRIGHT, (width / 2, _STUDY[2] / 2), paint)
        side.box((0.01, 0, 0.05), (0.02, width, 0.1), white)
        furniture.frame(side.at((0, rng.uniform(-1, 1), 1.7)), rng, 0.45, 0.32, painting(k))
    furniture.table(b.at((-0.1, 0, 0), np.pi / 2), rng, (1.2, 0.7, 0.74))
    furniture.thing(b.at((-0.1, 0.3, 0.74)), rng, 0.25)
    furniture.thing(b.at((-0.1, -0.25, 0.74)), rng, 0.2)
    furniture.chair(b.at((-0.65, 0.1, 0), 0.2), rng)
    furniture.shelf(b.at((-0.9, -_STUDY[1] / 2 + 0.21, 0), np.pi / 2), rng)
    furniture.cabinet(b.at((0.9, -_STUDY[1] / 2 + 0.27, 0), np.pi / 2), rng)
    furniture.sofa(b.at((-0.1, _STUDY[1] / 2 - 0.5, 0), -np.pi / 2), rng)
    furniture.plant(b.at((-1.75, 2.15, 0)), rng, 1.4)
    furniture.lamp(b.at((-1.85, -1.9, 0)), rng, 1.35)
    furniture.thing(b.at((1.8, 2.2, 0), 0.4), rng, 0.5)
