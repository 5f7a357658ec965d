"""Ground that is not one plane: ramps, steps, kerbs, pits, and tables close by that look like a floor."""

from __future__ import annotations

import numpy as np

from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.scenes import furniture, indoor, materials
from recon3d_ros.world.scenes.scene import Material, Scene, SceneBuilder

Rng = np.random.Generator
FAR_M = 12.0


def terrain(rng: Rng) -> tuple[Scene, np.ndarray]:
    """Return a hall whose floor has ramps, steps and pits, and the pose (4, 4) of a low camera in it."""
    b = SceneBuilder()
    wide, tall = rng.uniform(2.5, 7), rng.uniform(2.4, 5)
    look = materials.floor(rng)
    pit_x, pit_half, pit_deep = rng.uniform(1.6, 6), rng.uniform(0.25, 1.2, 2), rng.uniform(0.15, 1.2)
    pit_y = rng.uniform(-0.6, 0.6) * wide / 2
    has_pit = rng.random() < 0.4
    if has_pit:
        floor_with_pit(b, rng, look, (pit_x, pit_y), pit_half, pit_deep)
    else:
        b.labelled(PointLabel.GROUND).patch((0, 0, 0), np.eye(3), (60, 60), look)
    walls(b, rng, wide, tall)
    for _ in range(int(rng.integers(0, 3))):
        spot = (rng.uniform(1.5, 7), rng.uniform(-0.7, 0.7) * wide)
        if not has_pit or abs(spot[0] - pit_x) > 2.5:
            raised(b.at((*spot, 0), rng.choice([0, np.pi / 2, np.pi, -np.pi / 2]) + rng.normal(0, 0.1)), rng)
    for _ in range(int(rng.integers(0, 7))):
        indoor.island(b.at((rng.uniform(1.5, 8), rng.uniform(-1, 1) * wide, 0), rng.uniform(0, 6.28)), rng)
    height = float(np.exp(rng.uniform(np.log(0.15), np.log(1.7))))
    if rng.random() < 0.35:
        height = close_table(b, rng)
    position = np.array([0.0, 0.0, height])
    target = np.array([4.0, rng.normal(0, 1.2), height * rng.uniform(0.0, 0.9) + rng.normal(0, 0.3)])
    low, high = np.array([-2, -wide, 0]), np.array([FAR_M, wide, tall])
    light = indoor.room_light(rng, low, high)
    return b.build(light), indoor.look_at(position, target, rng.normal(0, 0.04))


def floor_with_pit(
    b: SceneBuilder, rng: Rng, look: Material, centre: tuple[float, float], half: np.ndarray, deep: float
) -> None:
    """Add a floor at z = 0 around a rectangular pit (m); its bottom and sides are obstacles."""
    ground, (x, y), far = b.labelled(PointLabel.GROUND), centre, 60.0
    for side in (-1, 1):
        long = far - half[0]
        ground.patch((x + side * (half[0] + long / 2), y, 0), np.eye(3), (long / 2, far), look)
        ground.patch((x, y + side * (half[1] + far / 2), 0), np.eye(3), (half[0], far / 2), look)
    side_look = materials.wall(rng)
    b.patch((x, y, -deep), np.eye(3), half[:2], look if rng.random() < 0.5 else side_look)
    for axis in (0, 1):
        for side in (-1, 1):
            normal, along = np.zeros(3), np.zeros(3)
            normal[axis], along[1 - axis] = -side, 1.0
            turn = np.stack([np.cross([0, 0, 1.0], normal), [0, 0, 1.0], normal], axis=1)
            spot = np.array([x, y, -deep / 2]) - normal * half[axis]
            b.patch(spot, turn, (half[1 - axis], deep / 2), side_look)


def walls(b: SceneBuilder, rng: Rng, wide: float, tall: float) -> None:
    """Add two side walls, an end wall and, to most, a ceiling."""
    wall, look = b.labelled(PointLabel.STRUCTURE), materials.wall(rng)
    end = rng.uniform(4, FAR_M)
    wall.at((end, 0, 0), np.pi).patch((0, 0, tall / 2), furniture.UPRIGHT, (30, tall / 2), look)
    wall.at((-4, 0, 0)).patch((0, 0, tall / 2), furniture.UPRIGHT, (30, tall / 2), look)
    for side in (-1, 1):
        spot = wall.at((0, side * wide, 0), -side * np.pi / 2)
        spot.patch((0, 0, tall / 2), furniture.UPRIGHT, (30, tall / 2), materials.wall(rng))
    ceiling = materials.surface(rng, ("plain",), (0.95, 0.95, 0.93), 0.2, (2, 5), (0.0, 0.08))
    overhead = b.labelled(PointLabel.OVERHEAD)
    overhead.patch((0, 0, tall), np.diag([1.0, -1.0, -1.0]), (60, 60), ceiling)


def raised(b: SceneBuilder, rng: Rng) -> None:
    """Add a ramp onto a landing, a step or kerb, or a flight of steps, rising along x."""
    kind, wide = rng.random(), rng.uniform(0.8, 3.0)
    look = materials.floor(rng) if rng.random() < 0.6 else materials.wood(rng)
    if kind < 0.5:
        long, slope = rng.uniform(0.8, 3.0), np.radians(rng.uniform(4, 14))
        rise = long * np.tan(slope)
        c, s = np.cos(slope), np.sin(slope)
        tilt = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        ground = b.labelled(PointLabel.GROUND)
        ground.patch((long / 2, 0, rise / 2 + 0.004), tilt, (long / 2 / c, wide / 2), look)
        deep = rng.uniform(0.8, 2.5)
        place = (long + deep / 2, 0, rise / 2)
        b.box(place, (deep, wide, rise), look, top_label=PointLabel.GROUND)
        return
    steps = 1 if kind < 0.8 else int(rng.integers(2, 6))
    rise, tread = rng.uniform(0.06, 0.2), rng.uniform(0.25, 0.4)
    deep = rng.uniform(0.8, 3.0)
    for k in range(steps):
        long = deep + (steps - 1 - k) * tread
        place = (k * tread + long / 2, 0, (k + 0.5) * rise)
        b.box(place, (long, wide, rise), look, top_label=PointLabel.GROUND)


def close_table(b: SceneBuilder, rng: Rng) -> float:
    """Add a table whose top fills the lower image; return the height of a camera that looks over it (m)."""
    size = (rng.uniform(0.8, 2.0), rng.uniform(0.8, 2.0), rng.uniform(0.35, 0.85))
    spot = b.at((size[0] / 2 + rng.uniform(0.0, 0.6), rng.normal(0, 0.3), 0))
    furniture.table(spot, rng, size)
    for _ in range(int(rng.integers(0, 6))):
        place = (rng.uniform(-0.45, 0.45) * size[0], rng.uniform(-0.45, 0.45) * size[1], size[2])
        furniture.thing(spot.at(place, rng.uniform(0, 6.28)), rng, rng.uniform(0.06, 0.25))
    return float(size[2] + rng.uniform(0.15, 0.7))
