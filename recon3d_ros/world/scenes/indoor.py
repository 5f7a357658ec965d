"""Indoor scenes: furnished rooms and heaps of clutter close to the camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.scenes import furniture, materials, thin_objects
from recon3d_ros.world.scenes.scene import Light, Material, Scene, SceneBuilder, rotation_z
from recon3d_ros.world.textures.atlas import texture_atlas

Rng = np.random.Generator


def look_at(position: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Return the (4, 4) world pose of an optical frame (x right, y down, z forward) looking at `target`."""
    forward = np.asarray(target, float) - position
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
    pose[:3, 3] = position
    return pose


def shell(b: SceneBuilder, rng: Rng, low: np.ndarray, high: np.ndarray) -> None:
    """Add floor, ceiling, four walls and skirting boards of a room between two corners (m)."""
    size, middle = high - low, (low + high) / 2
    ceiling = materials.surface(rng, ("plain",), (0.95, 0.95, 0.93), 0.2, (2, 5), (0.0, 0.08))
    floor, above = b.labelled(PointLabel.GROUND), b.labelled(PointLabel.OVERHEAD)
    floor.patch((*middle[:2], low[2]), np.eye(3), size[:2] / 2, materials.floor(rng))
    above.patch((*middle[:2], high[2]), np.diag([1.0, -1.0, -1.0]), size[:2] / 2, ceiling)
    b = b.labelled(PointLabel.STRUCTURE)
    paint, board = materials.wall(rng), materials.wood(rng)
    for k, yaw in enumerate((0.0, np.pi / 2, np.pi, -np.pi / 2)):
        half = (size[0] if k % 2 == 0 else size[1]) / 2
        width = size[1] if k % 2 == 0 else size[0]
        side = b.at((*middle[:2], low[2]), yaw).at((-half, 0, 0))
        material = materials.wall(rng) if rng.random() < 0.3 else paint
        if rng.random() < 0.3:
            open_wall(side, rng, width, size[2], material)
        else:
            side.patch((0, 0, size[2] / 2), furniture.UPRIGHT, (width / 2, size[2] / 2), material)
            if rng.random() < 0.35:
                window_row(side, rng, width, size[2])
        side.box((0.01, 0, 0.05), (0.02, width, 0.1), board)
        for _ in range(int(rng.integers(0, 4))):
            half_w, half_h = rng.uniform(0.15, 0.6), rng.uniform(0.15, 0.6)
            spot = (0, rng.uniform(-0.4, 0.4) * width, rng.uniform(1.2, 1.7))
            furniture.frame(side.at(spot), rng, half_w, half_h)


def window_row(b: SceneBuilder, rng: Rng, width: float, tall: float) -> None:
    """Add one to four bright windows to the wall x = 0, `width` by `tall` m."""
    count = int(rng.integers(1, 5))
    half_w = min(rng.uniform(0.3, 1.2), 0.42 * width / count)
    half_h = rng.uniform(0.15, 0.48) * tall
    z = rng.uniform(half_h + 0.05, tall - half_h - 0.02)
    for k in range(count):
        furniture.window(b.at((0, ((k + 0.5) / count - 0.5) * width, z)), rng, half_w, half_h)


def open_wall(b: SceneBuilder, rng: Rng, width: float, tall: float, material: Material) -> None:
    """Add the wall x = 0 with a framed opening: outside lie bright ground and a bright wall."""
    half_w, half_h = rng.uniform(0.12, 0.45) * width, rng.uniform(0.2, 0.46) * tall
    y = rng.uniform(half_w - width / 2, width / 2 - half_w) * 0.9
    z = rng.uniform(half_h, tall - half_h)
    for side in (-1, 1):
        long = width / 2 - side * y - half_w
        b.patch(
            (0, side * (width - long) / 2, tall / 2),
            furniture.UPRIGHT,
            (max(long, 0) / 2, tall / 2),
            material,
        )
        rest = tall / 2 - side * (z - tall / 2) - half_h
        b.patch(
            (0, y, tall / 2 + side * (tall - rest) / 2),
            furniture.UPRIGHT,
            (half_w, max(rest, 0) / 2),
            material,
        )
    furniture.panes(b.at((-0.05, y, z)), rng, half_w, half_h)
    ground = replace(materials.weak_ground(rng), emission=float(rng.uniform(1, 5)))
    outside = b.labelled(PointLabel.UNKNOWN)
    outside.patch((-60.5, 0, -rng.uniform(0.1, 6)), np.eye(3), (60, 90), ground)
    far = float(np.exp(rng.uniform(np.log(0.8), np.log(25))))
    # No sky in a room's window: overexposed windows must not be learnt as infinitely far.
    outside.patch((-far, y, 0), furniture.UPRIGHT, (40 + 8 * far, 60), furniture.glowing(rng))


def against_wall(b: SceneBuilder, rng: Rng) -> None:
    """Add a piece of furniture whose back is the plane x = 0."""
    kind = rng.random()
    if kind < 0.3:
        furniture.shelf(b.at((0.22, 0, 0)), rng)
    elif kind < 0.5:
        spot = b.at((0.27, 0, 0))
        tall = furniture.cabinet(spot, rng)
        for y in (-0.25, 0.1):
            furniture.thing(spot.at((0, y, tall)), rng, rng.uniform(0.12, 0.3))
    elif kind < 0.65:
        furniture.sofa(b.at((0.5, 0, 0)), rng)
    elif kind < 0.8:
        laid_table(b.at((0.45, 0, 0), np.pi / 2), rng)
    elif kind < 0.9:
        furniture.plant(b.at((0.35, 0, 0)), rng, rng.uniform(0.6, 1.6))
    else:
        furniture.lamp(b.at((0.35, 0, 0)), rng, rng.uniform(1.2, 1.6))


def laid_table(b: SceneBuilder, rng: Rng) -> None:
    """Add a table with things on it."""
    length, width, height = furniture.table(b, rng)
    for _ in range(int(rng.integers(1, 7))):
        spot = (rng.uniform(-0.42, 0.42) * length, rng.uniform(-0.38, 0.38) * width, height)
        furniture.thing(b.at(spot, rng.uniform(0, 6.28)), rng, rng.uniform(0.08, 0.3))


def room_light(rng: Rng, low: np.ndarray, high: np.ndarray) -> Light:
    """Return a ceiling lamp somewhere in the room, a fill light and the room's ambient."""
    key = low + (high - low) * [rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75), rng.uniform(0.9, 0.96)]
    fill = low + (high - low) * [*rng.uniform(0.1, 0.9, 2), rng.uniform(0.3, 0.9)]
    warm = rng.uniform(0.75, 1.0)
    ambient = rng.uniform(0.2, 0.5) * np.array([1.0, 0.98, 0.96])
    return Light(
        key_position=tuple(key),
        key_target=(*(key[:2] + rng.normal(0, 0.05, 2)), float(low[2])),
        key_half_angle=1.2,
        key_reach_m=float(rng.uniform(1.5, 5.0)),
        key_colour=tuple(rng.uniform(0.7, 1.6) * np.array([1.0, 0.5 + 0.5 * warm, warm])),
        ambient=tuple(ambient),
        fill_position=tuple(fill),
        fill_reach_m=float(rng.uniform(0.7, 3.0)),
        fill_colour=tuple(rng.uniform(0.0, 0.6) * rng.uniform(0.8, 1.0, 3)),
        room=np.stack([low, high]),
        mirrored=texture_atlas().pick(rng, "facade", "picture", "landscape"),
        exposure=materials.exposure(rng),
    )


def room(rng: Rng) -> tuple[Scene, np.ndarray]:
    """Return a furnished room and the pose (4, 4) of a camera in it."""
    size = np.array([rng.uniform(3, 10), rng.uniform(3, 8), rng.uniform(2.3, 4.0)])
    low, high = (np.array([-size[0] / 2, -size[1] / 2, 0]), np.array([size[0] / 2, size[1] / 2, size[2]]))
    b = SceneBuilder()
    shell(b, rng, low, high)
    for k, yaw in enumerate((0.0, np.pi / 2, np.pi, -np.pi / 2)):
        half, width = size[k % 2] / 2, size[1 - k % 2]
        for _ in range(int(rng.integers(1, 4))):
            spot = b.at((0, 0, 0), yaw).at((-half, rng.uniform(-0.42, 0.42) * width, 0))
            against_wall(spot, rng)
    position = np.array([*(rng.uniform(-0.4, 0.4, 2) * size[:2]), rng.uniform(0.5, min(2.0, size[2] - 0.3))])
    target = np.array([*(rng.uniform(-0.4, 0.4, 2) * size[:2]), rng.uniform(-0.8, 1.6)])
    if np.linalg.norm(target[:2] - position[:2]) < 1.0:
        target[:2] -= np.sign(position[:2]) * 1.5
    ahead = target[:2] - position[:2]
    for _ in range(int(rng.integers(3, 14))):
        along, aside = rng.uniform(0.5, 1.6), rng.normal(0, 0.5)
        spot = position[:2] + ahead * along + aside * np.array([-ahead[1], ahead[0]])
        if (np.abs(spot) < size[:2] / 2 - 0.5).all() and np.linalg.norm(spot - position[:2]) > 0.9:
            island(b.at((*spot, 0), rng.uniform(0, 6.28)), rng)
    for _ in range(int(rng.integers(0, 3))):
        furniture.junk(
            b.at(position + (target - position) * rng.uniform(0.4, 1.0) + rng.normal(0, 0.4, 3)), rng, 0.25
        )
    return b.build(room_light(rng, low, high)), look_at(position, target, rng.normal(0, 0.05))


def island(b: SceneBuilder, rng: Rng) -> None:
    """Add something that stands free in a room."""
    kind = rng.random()
    if kind < 0.3:
        furniture.chair(b, rng)
    elif kind < 0.5:
        laid_table(b, rng)
    elif kind < 0.65:
        thin_objects.indoors(b, rng, rng.uniform(0.4, 1.6))
    elif kind < 0.68:
        furniture.plant(b, rng, rng.uniform(0.4, 1.6))
    elif kind < 0.72:
        furniture.lamp(b, rng, rng.uniform(1.1, 1.6))
    elif kind < 0.8:
        pillar = b.labelled(PointLabel.STRUCTURE)
        pillar.cylinder((0, 0, 0), (0, 0, 4.0), rng.uniform(0.02, 0.25), materials.wall(rng), caps=False)
    else:
        furniture.thing(b, rng, rng.uniform(0.2, 0.8))


def card(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add a board that stands on the floor, turned and leaning, facing -x more or less."""
    half = size * rng.uniform(0.4, 1.2, 2)
    lean, yaw = rng.normal(0, 0.3), rng.normal(np.pi, 0.7)
    c, s = np.cos(lean), np.sin(lean)
    tilt = rotation_z(yaw) @ np.array([[0, -s, c], [1, 0, 0], [0, c, s]])
    material = materials.paper(rng) if rng.random() < 0.4 else materials.wild(rng)
    b.patch((0, 0, half[1] * c), tilt, half, material)


def clutter(rng: Rng) -> tuple[Scene, np.ndarray]:
    """Return a dense heap of things before a near background, as stereo benchmarks photograph."""
    b = SceneBuilder()
    depth = rng.uniform(1.5, 5.0)
    floor_z, wide = -rng.uniform(0.3, 1.5), depth * 1.6
    tilt = rotation_z(rng.normal(0, 0.35)) @ furniture.UPRIGHT * np.array([1.0, 1.0, -1.0])
    tilt[:, 0] = np.cross(tilt[:, 1], tilt[:, 2])
    kind = rng.random()
    background = materials.wall if kind < 0.5 else materials.wild if kind < 0.85 else furniture.glowing
    wall = b.labelled(PointLabel.STRUCTURE)
    wall.patch((depth, 0, 0), tilt, (9 * wide, 9 * wide), background(rng))
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.25 else 0):
        half, spot = depth * rng.uniform(0.05, 0.3, 2), depth * rng.uniform(-0.4, 0.4, 2)
        place = np.array([depth, 0, 0]) + tilt @ np.array([*spot, 0.01])
        edge = materials.white(rng) if rng.random() < 0.5 else materials.wood(rng)
        wall.patch(place, tilt, half * 1.06, edge)
        wall.patch(place + 0.01 * tilt[:, 2], tilt, half, furniture.glowing(rng))
    ground = materials.floor if rng.random() < 0.6 else materials.wild
    b.labelled(PointLabel.GROUND).patch((0, 0, floor_z), np.eye(3), (9 * wide, 9 * wide), ground(rng))
    for _ in range(int(rng.integers(14, 60))):
        x = depth * np.exp(rng.uniform(np.log(0.3), np.log(1.02)))
        y, z = rng.uniform(-0.7, 0.7) * x, rng.uniform(-0.45, 0.45) * x
        size = x * np.exp(rng.uniform(np.log(0.06), np.log(0.4)))
        kind = rng.random()
        if kind < 0.33:
            furniture.junk(b.at((x, y, z)), rng, size)
        elif kind < 0.4:
            thin_objects.indoors(b.at((x, y, max(floor_z, -0.35 * x)), rng.uniform(0, 6.28)), rng, size)
        elif kind < 0.55:
            card(b.at((x, y, floor_z)), rng, size * 1.5)
        else:
            furniture.thing(b.at((x, y, max(floor_z, -0.35 * x)), rng.uniform(0, 6.28)), rng, size)
    if rng.random() < 0.3:
        furniture.chair(b.at((depth * 0.6, rng.normal(0, 0.5), floor_z), rng.uniform(0, 6.28)), rng)
    low, high = (np.array([-depth, -wide, floor_z]), np.array([depth, wide, max(floor_z + 2.8, 1.5)]))
    light = room_light(rng, low, high)
    return b.build(light), look_at(
        np.zeros(3), np.array([depth, 0, rng.normal(-0.05, 0.15) * depth]), rng.normal(0, 0.03)
    )
