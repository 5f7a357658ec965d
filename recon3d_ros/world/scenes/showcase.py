"""Two places for the demo's camera: a sunny living room and a street, laid out by hand, coloured by seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.scenes import furniture, materials, outdoor, street_furniture
from recon3d_ros.world.scenes.furniture import UPRIGHT
from recon3d_ros.world.scenes.paths import CameraPath, Loop
from recon3d_ros.world.scenes.scene import Light, Material, Scene, SceneBuilder, rotation_z
from recon3d_ros.world.textures.atlas import texture_atlas

Rng = np.random.Generator
SIZE_M = np.array([6.4, 5.2, 2.7])  # of the living room, m
DOOR_M, WALL_M = (1.1, 2.1), 0.12  # width and height of the doorway between them, thickness of the wall
QUARTERS = (0.0, np.pi / 2, np.pi, -np.pi / 2)  # walls at -x, -y, +x, +y seen from inside


@dataclass(frozen=True)
class Place:
    """A scene with a loop for a camera that meets nothing.

    Attributes:
        scene: The scene.
        path: Of the camera.
        frames: Of one turn, so that neighbours overlap well.
        gain: Exposure, the same for the whole film.
        baseline_m: Of the stereo camera that suits the place.
    """

    scene: Scene
    path: CameraPath
    frames: int
    gain: float
    baseline_m: float


def tone(group: str, k: int, high: materials.Colour, low: float, tile: float, **more: float) -> Material:
    """Return a material of texture `k` of a group, `low` times as dark in its darkest places."""
    atlas = texture_atlas()
    names = atlas.names[group]
    detail = {"detail": atlas.names["noise"][0], "detail_m": 0.4, "detail_strength": 0.08}
    return Material(
        texture=names[k % len(names)],
        tile_m=(tile, tile),
        low=materials.darker(high, low),
        high=high,
        **{**detail, **more},  # type: ignore[arg-type]
    )


def painting(k: int) -> Material:
    """Return landscape `k`, stretched over its frame."""
    names = texture_atlas().names["landscape"]
    return Material(texture=names[k % len(names)], tile_m=None, gloss=0.1, shininess=60)


def living_room(seed: int) -> Place:
    """Return a living room, 6.4 by 5.2 m, with the sun in its window."""
    rng = np.random.default_rng([seed, 11])
    b = SceneBuilder()
    room_with_garden(b, rng)
    sun = np.array([0.25, 1.0, 0.75])
    light = Light(
        key_position=tuple(np.array([0.5, 0, 1.0]) + 120 * sun / np.linalg.norm(sun)),
        key_target=(0.5, 0.0, 1.0),
        key_half_angle=float(np.arctan(4.6 / 120)),
        key_colour=(3.6, 3.2, 2.6),
        ambient=(0.34, 0.35, 0.37),
        fill_position=(0.3, 0.4, 2.55),
        fill_reach_m=2.6,
        fill_colour=(1.0, 0.95, 0.87),
        fill_points=6,
        fill_radius_m=0.7,
        fill_half_angle=1.25,
        sky_texture=texture_atlas().names["noise"][3],
        room=np.stack([[-3.2, -2.6, 0], [3.2, 2.6, 2.7]]),
    )
    place = (np.array([-1.75, -0.35, 1.45]), np.array([0.55, 0.75, 0.12]))
    target = (np.array([2.2, 0.25, 0.8]), np.array([0.0, 0.35, 0.08]))
    return Place(b.build(light), Loop(*place, *target), frames=40, gain=1.0, baseline_m=0.12)


def room_with_garden(b: SceneBuilder, rng: Rng, with_door: bool = False) -> None:
    """Add the living room and its garden; with a doorway in the wall at -x."""
    oak = materials.hsv(rng.uniform(0.07, 0.09), 0.5, 0.8)
    planks = tone("wood", 5, oak, 0.45, 1.6, gloss=0.05)
    b.labelled(PointLabel.GROUND).patch((0, 0, 0), rotation_z(np.pi / 2), SIZE_M[[1, 0]] / 2, planks)
    white = tone("plain", 1, (0.96, 0.95, 0.93), 0.85, 3.0)
    ceiling = b.labelled(PointLabel.OVERHEAD)
    ceiling.patch((0, 0, SIZE_M[2]), np.diag([1.0, -1.0, -1.0]), SIZE_M[:2] / 2, white)
    _walls(b.labelled(PointLabel.STRUCTURE), rng, SIZE_M, white, with_door)
    _seats(b, rng)
    _middle(b, rng)
    _garden(b, rng)


def wall_with_door(b: SceneBuilder, width: float, tall: float, paint: Material, white: Material) -> None:
    """Add the wall x = 0, seen from +x, with a doorway in its middle and one half of its frame."""
    wide, high = DOOR_M
    for side in (-1, 1):
        rest = (width - wide) / 2
        middle = side * (wide + rest) / 2
        b.patch((0, middle, tall / 2), UPRIGHT, (rest / 2, tall / 2), paint)
        b.box((0.01, middle, 0.05), (0.02, rest, 0.1), white)
        b.box((-WALL_M / 4, side * (wide / 2 + 0.03), high / 2), (WALL_M / 2 + 0.06, 0.07, high), white)
    b.patch((0, 0, (tall + high) / 2), UPRIGHT, (wide / 2, (tall - high) / 2), paint)
    b.box((-WALL_M / 4, 0, high + 0.03), (WALL_M / 2 + 0.06, wide + 0.13, 0.07), white)


def _walls(b: SceneBuilder, rng: Rng, size: np.ndarray, white: Material, with_door: bool) -> None:
    """Add four walls, a window in the left one (+y), skirting boards, and what hangs there."""
    paint = tone("plain", 0, materials.hsv(rng.random(), 0.16, 0.9), 0.8, 2.5)
    accent = tone("bricks", 4, materials.hsv(rng.uniform(0.02, 0.07), 0.45, 0.75), 0.35, 1.1)
    for k, yaw in enumerate(QUARTERS):
        side = b.at((0, 0, 0), yaw).at((-size[k % 2] / 2, 0, 0))
        width = size[1 - k % 2]
        if k == 0 and with_door:
            wall_with_door(side, width, size[2], paint, white)
            continue
        side.box((0.01, 0, 0.05), (0.02, width, 0.1), white)
        surface = accent if k == 2 else paint
        if k != 3:
            side.patch((0, 0, size[2] / 2), UPRIGHT, (width / 2, size[2] / 2), surface)
            continue
        left, right, low, high = -0.5, 2.3, 0.75, 2.3
        side.patch(
            (0, (left - width / 2) / 2, size[2] / 2), UPRIGHT, ((left + width / 2) / 2, size[2] / 2), surface
        )
        side.patch(
            (0, (right + width / 2) / 2, size[2] / 2),
            UPRIGHT,
            ((width / 2 - right) / 2, size[2] / 2),
            surface,
        )
        middle, half = (left + right) / 2, (right - left) / 2
        side.patch((0, middle, low / 2), UPRIGHT, (half, low / 2), surface)
        side.patch((0, middle, (high + size[2]) / 2), UPRIGHT, (half, (size[2] - high) / 2), surface)
        for y in np.linspace(left, right, 4):
            side.box((0, y, (low + high) / 2), (0.08, 0.06, high - low), white)
        for z in (low, high):
            side.box((0.03, middle, z), (0.16, right - left + 0.1, 0.06), white)
        _curtains(side, rng, left, right)
    far = b.at((0, 0, 0), np.pi).at((-size[0] / 2, 0, 0))
    first = int(rng.integers(6))
    furniture.frame(far.at((0, -1.0, 1.75)), rng, 0.42, 0.3, painting(first))
    furniture.frame(far.at((0, 0.1, 1.8)), rng, 0.3, 0.4, painting(first + 1))
    near = b.at((0, 0, 0), np.pi / 2).at((-size[1] / 2, 0, 0))
    furniture.frame(near.at((0, 0.6, 1.6)), rng, 0.5, 0.35, materials.paper(rng, "picture"))


def _curtains(b: SceneBuilder, rng: Rng, left: float, right: float) -> None:
    """Add curtains on a rod at both sides of a window in the wall x = 0, m."""
    curtain = tone("stripes", 6, materials.hsv(rng.random(), 0.3, 0.9), 0.75, 0.5)
    for y in (left - 0.25, right + 0.25):
        for j in range(5):
            fold = (0.09 + 0.02 * (j % 2), y + 0.09 * (j - 2), 0.1)
            b.cylinder(fold, (fold[0], fold[1], 2.45), 0.05, curtain, caps=False)
    b.cylinder((0.1, left - 0.6, 2.46), (0.1, right + 0.6, 2.46), 0.015, materials.metal(rng))


def _seats(b: SceneBuilder, rng: Rng) -> None:
    """Add what stands along the walls: sofa, shelf, cabinet, lamp, plants."""
    cloth = tone(
        "plain", 4, materials.hsv(rng.random(), 0.3, 0.75), 0.7, 0.6, detail_m=0.15, detail_strength=0.2
    )
    furniture.sofa(b.at((2.55, 0.25, 0), np.pi), rng, cloth)
    furniture.shelf(b.at((1.9, -2.38, 0), np.pi / 2), rng)
    side = b.at((0.2, -2.32, 0), np.pi / 2)
    tall = furniture.cabinet(side, rng)
    furniture.lamp(side.at((0.0, 0.2, tall)), rng, 0.4)
    furniture.thing(side.at((0.0, -0.25, tall)), rng, 0.2)
    furniture.plant(b.at((2.75, 2.15, 0)), rng, 1.5)
    furniture.plant(b.at((1.2, 2.2, 0)), rng, 0.8)
    furniture.lamp(b.at((2.8, -1.75, 0)), rng, 1.35)


def _middle(b: SceneBuilder, rng: Rng) -> None:
    """Add a rug, a laid coffee table, chairs and some toys."""
    hue = rng.random()
    rug = tone("stripes", 3, materials.hsv(hue, 0.3, 0.85), 0.45, 0.9, detail_m=0.1, detail_strength=0.25)
    b.labelled(PointLabel.GROUND).box((1.2, 0.2, 0.006), (2.2, 2.6, 0.012), rug)
    table = b.at((1.25, 0.25, 0.012), np.pi / 2)
    length, width, height = furniture.table(table, rng, (1.15, 0.6, 0.43))
    for x, y, size in ((-0.4, 0.1, 0.2), (-0.1, -0.12, 0.12), (0.12, 0.14, 0.16), (0.4, -0.05, 0.22)):
        furniture.thing(
            table.at((x * length / 1.15, y * width / 0.6, height), rng.uniform(0, 6.28)), rng, size
        )
    furniture.chair(b.at((0.75, -1.35, 0), 0.9), rng)
    furniture.chair(b.at((0.9, 1.65, 0), -0.7), rng)
    ball = replace(materials.paper(rng, "picture"), tile_m=(0.5, 0.5))
    b.ellipsoid((0.15, -0.75, 0.13), (0.13, 0.13, 0.13), ball)
    furniture.thing(b.at((0.1, 0.95, 0), 0.5), rng, 0.3)


def _garden(b: SceneBuilder, rng: Rng) -> None:
    """Add lawn, hedge and a tree outside of the window."""
    lawn = tone("grass", 0, (0.45, 0.62, 0.3), 0.4, 1.5)
    b.labelled(PointLabel.UNKNOWN).patch((0, 203, -0.3), np.eye(3), (200, 200), lawn)
    for x in np.arange(-2, 12, 1.9):
        street_furniture.bush(b.at((x, 9.5 + rng.uniform(-0.5, 0.5), -0.3)), rng, rng.uniform(1.2, 1.9))
    for x, y in ((3.0, 14.0), (8.0, 16.0), (14.0, 15.0)):
        street_furniture.tree(b.at((x, y, -0.3)), rng, rng.uniform(5, 7))


def street(seed: int) -> Place:
    """Return a village street in the sun."""
    rng = np.random.default_rng([seed, 13])
    b = SceneBuilder()
    half, pavement = 3.4, 2.0
    outdoor.road(b, rng, half, pavement)
    for side in (-1, 1):
        _houses(b, rng, side, half + pavement)
        for x in np.arange(6.5, 60, 12.0):
            street_furniture.tree(b.at((x + 3.5, side * (half + 1.3), 0.1)), rng, rng.uniform(3.5, 5))
            street_furniture.pole(b.at((x, side * (half + 0.4), 0.1), -side * np.pi / 2), rng)
    for x, y in ((7.5, -2.3), (14.0, -2.3), (27.0, -2.3), (11.0, 2.3), (22.0, 2.3), (34.0, 2.3)):
        street_furniture.car(b.at((x, y, 0), 0.0 if y < 0 else np.pi), rng, vans=0.0 if x < 20 else 0.3)
    for x, y in ((6.5, 4.6), (12.5, -4.4), (18.0, 4.3)):
        street_furniture.person(b.at((x, y, 0.11), rng.uniform(0, 6.28)), rng)
    place = (np.array([0.5, -0.2, 1.5]), np.array([1.6, 0.9, 0.15]))
    target = (np.array([14.0, 0.4, 1.2]), np.array([0.0, 1.0, 0.2]))
    return Place(b.build(_afternoon()), Loop(*place, *target), frames=40, gain=1.0, baseline_m=0.4)


def _houses(b: SceneBuilder, rng: Rng, side: int, edge: float) -> None:
    """Line one side of the street with houses and gardens."""
    x = -4.0
    while x < 75:
        long = rng.uniform(7, 12)
        spot = b.at((x + long / 2, side * (edge + 0.3), 0))
        if rng.random() < 0.65:
            street_furniture.house(spot.at((0, side * 4.5, 0)), rng, (long, 8.0, rng.uniform(5, 10)))
        else:
            street_furniture.tree(spot.at((0, side * 2.5, 0)), rng, rng.uniform(5, 8))
            for dx in (-0.3, 0.3):
                street_furniture.bush(spot.at((dx * long, side * 0.6, 0)), rng, rng.uniform(0.9, 1.5))
        x += long + rng.uniform(0.3, 2.0)


def _afternoon() -> Light:
    """Return a low sun, and the sky as a wide lamp that leaves soft shadows under cars."""
    sun = np.array([-0.55, 0.45, 0.75])
    return Light(
        key_position=tuple(np.array([12.0, 0, 0]) + 200 * sun / np.linalg.norm(sun)),
        key_target=(12.0, 0.0, 0.0),
        key_half_angle=float(np.arctan(17 / 200)),
        key_colour=(1.5, 1.4, 1.2),
        ambient=(0.26, 0.28, 0.32),
        fill_position=(12.0, 0.0, 150.0),
        fill_reach_m=np.inf,
        fill_colour=(0.4, 0.43, 0.5),
        fill_points=6,
        fill_radius_m=140.0,
        fill_half_angle=float(np.arctan(17 / 150)),
        sky_low=(0.82, 0.88, 0.95),
        sky_high=(0.32, 0.52, 0.85),
        sky_texture=texture_atlas().names["noise"][3],
        cloudiness=0.9,
        haze_per_m=0.0015,
    )
