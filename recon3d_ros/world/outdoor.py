"""Outdoor scenes: streets with houses, cars, trees, poles and fences, ground to the horizon, a sky."""

from __future__ import annotations

import numpy as np

from recon3d_ros.world import furniture, looks
from recon3d_ros.world.bank import texture_bank
from recon3d_ros.world.indoor import look_at
from recon3d_ros.world.scene import (
    CUTOUT,
    ELLIPSE,
    Light,
    Material,
    Scene,
    SceneBuilder,
    random_rotation,
    rotation_z,
)

Rng = np.random.Generator
FAR_M = 1500.0


def tree(b: SceneBuilder, rng: Rng, tall: float) -> None:
    """Add a tree: deciduous (leaf cards around ellipsoids), conifer (cones) or bare."""
    bark = looks.surface(rng, ("wood", "noise"), looks.hsv(0.08, 0.3, rng.uniform(0.3, 0.6)), 0.6, (0.5, 1.0))
    kind = rng.random()
    b.cylinder((0, 0, 0), (0, 0, tall * 0.55), tall * rng.uniform(0.015, 0.035), bark, caps=False)
    if kind < 0.15:
        green = looks.hsv(rng.uniform(0.25, 0.4), 0.5, rng.uniform(0.3, 0.6))
        needles = looks.surface(rng, ("grass", "noise"), green, 0.8, (0.5, 1.2))
        for k in range(3):
            b.cone((0, 0, tall * (0.6 + 0.2 * k)), tall * 0.4, tall * (0.2 - 0.045 * k), needles)
        return
    if kind < 0.25:
        leaf = looks.leaves(rng, "branches")
        for k in range(3):
            spot = b.at((0, 0, tall * 0.5), k * np.pi / 3)
            spot.patch((0, 0, 0), furniture.UPRIGHT, (tall * 0.5, tall * 0.5), leaf, CUTOUT)
        return
    crown_of_leaves(b.at((0, 0, tall * 0.68)), rng, tall * rng.uniform(0.2, 0.3))


def crown_of_leaves(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add lumps of leaves with cards of single leaves standing out of them, within `size` of the origin."""
    leaf = looks.leaves(rng)
    core = looks.surface(rng, ("leafage",), looks.darker(leaf.high, 0.95), 0.85, (0.7, 1.4), (0.0, 0.2))
    for _ in range(int(rng.integers(4, 8))):
        spot = _on_sphere(rng) * size * rng.uniform(0.2, 0.55)
        radius = size * rng.uniform(0.35, 0.6)
        b.ellipsoid(spot, radius * rng.uniform(0.8, 1.1, 3), core)
        for _ in range(int(rng.integers(2, 6))):
            place = spot + _on_sphere(rng) * radius * rng.uniform(0.8, 1.1)
            b.patch(place, random_rotation(rng), np.full(2, size * rng.uniform(0.25, 0.42)), leaf, CUTOUT)


def _on_sphere(rng: Rng) -> np.ndarray:
    way = rng.normal(size=3)
    return way / np.linalg.norm(way)


def bush(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add a bush `size` metres high."""
    crown_of_leaves(b.at((0, 0, 0.45 * size)), rng, 0.55 * size)


def car(b: SceneBuilder, rng: Rng, vans: float = 0.2) -> None:
    """Add a car along x, or with probability `vans` a van or truck."""
    paint = looks.surface(
        rng, ("plain",), looks.colour(rng, (0, 0.8), (0.1, 0.95)), 0.2, (1, 3), (0, 0.05), 0.5, 60
    )
    glass = looks.surface(rng, ("plain",), (0.22, 0.26, 0.3), 0.8, (1, 3), (0, 0.1), 0.6, 80)
    tyre, rim = looks.surface(rng, ("asphalt",), (0.12, 0.12, 0.12), 0.5), looks.metal(rng)
    long, wide = rng.uniform(3.8, 4.8), rng.uniform(1.65, 1.9)
    if rng.random() < vans:
        long, tall = rng.uniform(4.8, 8.0), rng.uniform(2.0, 3.2)
        b.box(
            (-0.2, 0, 0.35 + tall / 2),
            (long - 0.4, wide, tall - 0.35),
            looks.carton(rng) if rng.random() < 0.3 else paint,
        )
        b.box((long / 2 - 0.3, 0, 0.75), (0.7, wide, 0.9), paint)
    else:
        low, tall = rng.uniform(0.75, 0.95), rng.uniform(1.4, 1.7)
        b.box((0, 0, (0.25 + low) / 2), (long, wide, low - 0.25), paint)
        cabin = long * rng.uniform(0.45, 0.6)
        shift = -long * rng.uniform(0.03, 0.12)
        b.box((shift, 0, (low + tall) / 2), (cabin, wide - 0.14, tall - low), glass, top=paint)
        for x in (-0.5, -0.02, 0.5):
            b.box((shift + x * cabin, 0, (low + tall) / 2), (0.1, wide - 0.12, tall - low + 0.02), paint)
        for slope in (-1, 1):
            spot = (shift + slope * (cabin / 2 + 0.22), 0, low + 0.2)
            tilt = np.array([[0, slope * -0.75, slope * 0.66], [slope * 1.0, 0, 0], [0, 0.66, 0.75]])
            b.patch(spot, tilt, (wide / 2 - 0.1, 0.38), glass)
        lamp = Material(texture=0, low=(0.8, 0.2, 0.2), high=(1.0, 0.5, 0.5), gloss=0.4, emission=0.4)
        for side in (-1, 1):
            b.box((-long / 2, side * (wide / 2 - 0.2), low - 0.2), (0.03, 0.3, 0.15), lamp)
            b.box((long / 2, side * (wide / 2 - 0.22), low - 0.18), (0.03, 0.34, 0.14), rim)
        for end in (-1, 1):
            b.box((end * long / 2, 0, 0.36), (0.12, wide - 0.06, 0.16), tyre)
        b.box((long / 2, 0, low - 0.19), (0.02, 0.6, 0.1), tyre)
        b.patch(
            (-long / 2 - 0.01, 0, 0.5),
            furniture.UPRIGHT @ np.diag([-1.0, 1.0, -1.0]),
            (0.26, 0.06),
            looks.paper(rng, "text"),
        )
    for x in (-long * 0.3, long * 0.32):
        for side in (-1, 1):
            y = side * (wide / 2 - 0.09)
            b.cylinder((x, y - 0.1, 0.32), (x, y + 0.1, 0.32), 0.32, tyre)
            turn = furniture.UPRIGHT @ np.eye(3)
            turn = rotation_z(side * np.pi / 2) @ turn
            b.patch((x, y + side * 0.103, 0.32), turn, (0.19, 0.19), rim, ELLIPSE)


def house(b: SceneBuilder, rng: Rng, size) -> None:
    """Add a building of full size (x, y, z) with its middle at the origin on the ground."""
    storey = rng.uniform(6.0, 14.0)
    plaster = looks.hsv(rng.uniform(-0.02, 0.15), rng.uniform(0, 0.35), rng.uniform(0.6, 1))
    wall = looks.surface(
        rng,
        ("facade",) if rng.random() < 0.75 else ("bricks", "plain", "stones"),
        plaster if rng.random() < 0.8 else looks.colour(rng, (0, 0.35), (0.6, 1)),
        0.95,
        (storey, storey * 1.1),
    )
    b.box((0, 0, size[2] / 2), size, wall, top=looks.surface(rng, ("noise", "tiles"), (0.5, 0.4, 0.38), 0.5))
    if rng.random() < 0.5:
        b.box((0, 0, size[2]), (size[0] + 0.6, size[1] + 0.6, 0.4), looks.wall(rng))


def pole(b: SceneBuilder, rng: Rng) -> None:
    """Add a lamp post, traffic sign, bollard or bare mast."""
    metal, kind = looks.metal(rng), rng.random()
    if kind < 0.35:
        tall = rng.uniform(4, 8)
        b.cylinder((0, 0, 0), (0, 0, tall), rng.uniform(0.04, 0.1), metal, caps=False)
        b.cylinder((0, 0, tall), (1.4, 0, tall + 0.1), 0.04, metal)
        b.box((1.5, 0, tall + 0.1), (0.6, 0.25, 0.1), metal)
    elif kind < 0.7:
        tall = rng.uniform(2.0, 3.2)
        b.cylinder((0, 0, 0), (0, 0, tall), 0.035, metal)
        shape = ELLIPSE if rng.random() < 0.5 else 0
        b.patch(
            (0.05, 0, tall - 0.3),
            furniture.UPRIGHT,
            rng.uniform(0.22, 0.5, 2),
            looks.paper(rng, "picture", "text"),
            shape,
        )
        b.patch((0.045, 0, tall - 0.3), furniture.UPRIGHT, (0.2, 0.2), metal, shape)
    elif kind < 0.85:
        b.cylinder((0, 0, 0), (0, 0, 1.0), rng.uniform(0.05, 0.12), looks.plastic(rng))
    else:
        b.cylinder((0, 0, 0), (0, 0, rng.uniform(5, 10)), rng.uniform(0.08, 0.2), looks.wood(rng), caps=False)


def person(b: SceneBuilder, rng: Rng) -> None:
    """Add somebody made of ellipsoids and cylinders."""
    coat, trousers = looks.fabric(rng), looks.fabric(rng)
    skin = Material(texture=0, low=(0.55, 0.4, 0.3), high=(0.85, 0.65, 0.52))
    stride = rng.uniform(0.05, 0.25)
    for side in (-1, 1):
        b.cylinder((side * stride, side * 0.1, 0), (0, side * 0.09, 0.85), 0.075, trousers)
        b.cylinder((-side * stride, side * 0.27, 0.8), (0, side * 0.2, 1.4), 0.05, coat)
    b.ellipsoid((0, 0, 1.15), (0.15, 0.22, 0.38), coat)
    b.ellipsoid((0, 0, 1.64), (0.1, 0.09, 0.13), skin)
    b.ellipsoid((-0.02, 0, 1.69), (0.105, 0.095, 0.1), looks.fabric(rng))


def daylight(rng: Rng, centre: np.ndarray) -> Light:
    """Return a sun (or an overcast sky) whose shadow map surrounds `centre`."""
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.2)
    way = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
    overcast = rng.random() < 0.3
    sun = rng.uniform(0.1, 0.3) if overcast else rng.uniform(0.8, 1.5)
    high = looks.hsv(
        rng.uniform(0.55, 0.62), 0.1 if overcast else rng.uniform(0.3, 0.7), rng.uniform(0.6, 0.95)
    )
    return Light(
        key_position=tuple(centre + 150 * way),
        key_target=tuple(centre),
        key_half_angle=float(np.arctan(rng.uniform(14, 24) / 150)),
        key_colour=tuple(sun * np.array([1.0, 0.95, rng.uniform(0.7, 0.9)])),
        ambient=tuple(rng.uniform(0.3, 0.6) * np.array([0.92, 0.97, 1.05])),
        sky_low=looks.hsv(0.58, rng.uniform(0, 0.15), rng.uniform(0.8, 1.0)),
        sky_high=high,
        sky_texture=texture_bank().pick(rng, "noise"),
        cloudiness=float(rng.uniform(0, 1)) if rng.random() < 0.6 else 0.0,
        haze_per_m=float(rng.choice([0.0, 0.001, 0.004])),
        exposure=float(rng.uniform(0.3, 0.55)),
    )


def road(b: SceneBuilder, rng: Rng, half: float, pavement: float) -> None:
    """Add ground to the horizon, a road along x (half width `half`) with markings and pavements with kerbs."""
    green = looks.hsv(rng.uniform(0.12, 0.35), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.75))
    field = looks.surface(rng, ("grass", "asphalt", "noise"), green, 0.6, (0.8, 3.0), (0.2, 0.5))
    tar = looks.surface(rng, ("asphalt",), (rng.uniform(0.3, 0.6),) * 3, 0.5, (0.8, 2.5), (0.1, 0.4))
    slabs = looks.surface(
        rng,
        ("tiles", "stones", "asphalt", "bricks"),
        looks.colour(rng, (0, 0.2), (0.5, 0.8)),
        0.4,
        (1.0, 3.0),
    )
    paint = looks.surface(rng, ("noise",), (0.9, 0.9, 0.88), 0.3, (0.3, 0.6))
    b.patch((0, 0, -0.02), np.eye(3), (FAR_M, FAR_M), field)
    b.patch((0, 0, 0), np.eye(3), (FAR_M / 3, half), tar)
    for side in (-1, 1):
        b.box((0, side * (half + pavement / 2), 0.05), (FAR_M / 3, pavement, 0.12), slabs)
        if rng.random() < 0.5:
            b.patch((0, side * (half - 0.25), 0.008), np.eye(3), (120, 0.06), paint)
    if rng.random() < 0.7:
        dash, gap = rng.uniform(1.5, 4), rng.uniform(3, 7)
        for k in range(-3, 12):
            b.patch((k * (dash + gap), 0, 0.008), np.eye(3), (dash / 2, 0.07), paint)


def street(rng: Rng) -> tuple[Scene, np.ndarray]:
    """Return a street along x and the pose (4, 4) of a camera on it."""
    b = SceneBuilder()
    half, pavement = rng.uniform(2.2, 6), rng.uniform(1.0, 3.5)
    road(b, rng, half, pavement)
    edge = half + pavement
    for side in (-1, 1):
        frontage(b, rng, side, edge)
        parked = rng.random() < 0.5
        x = rng.uniform(2, 10)
        while x < 60:
            if parked and rng.random() < 0.75:
                spot = b.at((x, side * (half - 1.1), 0), 0.0 if side < 0 else np.pi)
                car(spot.at((0, 0, 0), rng.normal(0, 0.03)), rng)
            x += rng.uniform(5, 9)
        for x in np.cumsum(rng.uniform(1.5, 9, int(rng.integers(2, 14)))):
            spot = b.at(
                (x, side * (half + rng.uniform(0.2, pavement)), 0.1),
                rng.uniform(0, 6.28) if rng.random() < 0.3 else -side * np.pi / 2,
            )
            kind = rng.random()
            if kind < 0.5:
                pole(spot, rng)
            elif kind < 0.75:
                tree(spot, rng, rng.uniform(2.5, 9))
            else:
                person(spot, rng)
    for _ in range(int(rng.integers(0, 4))):
        lane = rng.choice([-0.5, 0.5]) * half
        car(b.at((rng.uniform(6, 45), lane, 0), 0.0 if lane < 0 else np.pi), rng)
    position = np.array([rng.uniform(-3, 3), rng.uniform(-0.6, 0.6) * half, rng.uniform(0.8, 2.2)])
    target = position + [10.0, rng.normal(0, 3.0), rng.normal(-0.4, 0.6)]
    centre = position + (target - position) * 0.9
    centre[2] = 0.0
    return b.build(daylight(rng, centre)), look_at(position, target, rng.normal(0, 0.02))


def frontage(b: SceneBuilder, rng: Rng, side: int, edge: float) -> None:
    """Add what lines one side of a street: houses, walls, fences, hedges, trees."""
    x, open_land = rng.uniform(-10, 0), rng.random() < 0.3
    while x < 110:
        kind, long = rng.random(), rng.uniform(5, 18)
        spot = b.at((x + long / 2, side * (edge + 0.2), 0), 0.0)
        if kind < (0.1 if open_land else 0.5):
            deep = rng.uniform(6, 12)
            house(
                spot.at((0, side * (deep / 2 + rng.uniform(0, 4)), 0)), rng, (long, deep, rng.uniform(3, 14))
            )
        elif kind < 0.62:
            spot.box((0, side * 0.2, 0.8), (long, 0.25, rng.uniform(0.8, 2.4)), looks.wall(rng))
        elif kind < 0.74:
            tall = rng.uniform(0.8, 2.2)
            look, panels = looks.cut(rng, "fence"), max(2, int(long / (tall * 1.4)))
            for k in range(panels):
                place = ((k + 0.5) / panels * long - long / 2, side * 0.1, tall / 2)
                spot.patch(
                    place,
                    rotation_z(-np.pi / 2) @ furniture.UPRIGHT,
                    (long / panels / 2, tall / 2),
                    look,
                    CUTOUT,
                )
        elif kind < 0.88:
            for _ in range(int(rng.integers(1, 5))):
                bush(
                    spot.at((rng.uniform(-0.5, 0.5) * long, side * rng.uniform(0.5, 3), 0)),
                    rng,
                    rng.uniform(0.7, 2.4),
                )
        else:
            for _ in range(int(rng.integers(1, 4))):
                tree(
                    spot.at((rng.uniform(-0.5, 0.5) * long, side * rng.uniform(1, 10), 0)),
                    rng,
                    rng.uniform(4, 14),
                )
        x += long + rng.uniform(0, 4)


def yard(rng: Rng) -> tuple[Scene, np.ndarray]:
    """Return an open place crowded with trees, poles, bushes, cars, walls and things, and a camera pose."""
    b = SceneBuilder()
    ground = looks.surface(
        rng,
        ("grass", "asphalt", "stones", "tiles", "noise"),
        looks.colour(rng, (0, 0.5), (0.4, 0.9)),
        0.6,
        (0.6, 3),
        (0.1, 0.5),
    )
    b.patch((0, 0, 0), np.eye(3), (FAR_M, FAR_M), ground)
    for _ in range(int(rng.integers(0, 5))):
        x, radius = rng.uniform(6, 70), rng.uniform(2, 14)
        b.ellipsoid(
            (x, rng.uniform(-1, 1) * x, 0),
            (radius, radius * rng.uniform(0.4, 2), radius * rng.uniform(0.08, 0.35)),
            ground,
        )
    for _ in range(int(rng.integers(12, 40))):
        x = np.exp(rng.uniform(np.log(2.0), np.log(50)))
        spot = b.at((x, rng.uniform(-0.8, 0.8) * x, 0), rng.uniform(0, 6.28))
        kind = int(rng.integers(9))
        makers = (pole, person, car)
        if kind < 3:
            makers[kind](spot, rng)
        elif kind == 3:
            tree(spot, rng, rng.uniform(2, 10))
        elif kind == 4:
            bush(spot, rng, rng.uniform(0.5, 2))
        elif kind == 5:
            spot.box(
                (0, 0, 1), (rng.uniform(1, 8), rng.uniform(0.2, 3), rng.uniform(0.6, 5)), looks.wall(rng)
            )
        elif kind == 6:
            furniture.junk(spot.at((0, 0, rng.uniform(0, 2))), rng, rng.uniform(0.5, 3))
        elif kind == 7:
            spot.patch(
                (0, 0, 0.6), furniture.UPRIGHT, (rng.uniform(0.8, 2), 0.6), looks.cut(rng, "fence"), CUTOUT
            )
        else:
            furniture.thing(spot, rng, rng.uniform(0.4, 1.5))
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(25, 90)
        house(
            b.at((x, rng.uniform(-1, 1) * x, 0), rng.uniform(0, 1.5)),
            rng,
            (*rng.uniform(6, 25, 2), rng.uniform(4, 16)),
        )
    position = np.array([0.0, 0.0, rng.uniform(0.6, 2.2)])
    target = np.array([10.0, rng.normal(0, 1), position[2] + rng.normal(-0.6, 0.8)])
    return b.build(daylight(rng, np.array([8.0, 0, 0]))), look_at(position, target, rng.normal(0, 0.03))
