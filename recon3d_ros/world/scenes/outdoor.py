"""Outdoor scenes: streets with houses, cars, trees, poles and fences, ground to the horizon, a sky."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.scenes import furniture, materials, thin_objects
from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.scene import CUTOUT, Light, Material, Scene, SceneBuilder
from recon3d_ros.world.scenes.street_furniture import bush, car, house, person, pole, tree
from recon3d_ros.world.textures.atlas import texture_atlas

Rng = np.random.Generator
FAR_M = 1500.0


def daylight(rng: Rng, centre: np.ndarray) -> Light:
    """Return a sun (or an overcast sky) whose shadow map surrounds `centre`."""
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.2)
    way = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
    overcast, white = rng.random() < 0.3, rng.random() < 0.35
    sun = rng.uniform(0.1, 0.3) if overcast else rng.uniform(0.8, 1.5)
    high = materials.hsv(
        rng.uniform(0.55, 0.62), 0.1 if overcast else rng.uniform(0.3, 0.7), rng.uniform(0.6, 0.95)
    )
    return Light(
        key_position=tuple(centre + 150 * way),
        key_target=tuple(centre),
        key_half_angle=float(np.arctan(rng.uniform(14, 24) / 150)),
        key_colour=tuple(sun * np.array([1.0, 0.95, rng.uniform(0.7, 0.9)])),
        ambient=tuple(rng.uniform(0.3, 0.6) * np.array([0.92, 0.97, 1.05])),
        sky_low=(rng.uniform(0.95, 1.4),) * 3
        if white
        else materials.hsv(0.58, rng.uniform(0, 0.15), rng.uniform(0.8, 1.0)),
        sky_high=(rng.uniform(0.85, 1.3),) * 3 if white else high,
        sky_texture=texture_atlas().pick(rng, "noise"),
        cloudiness=float(rng.uniform(0, 1)) if rng.random() < 0.6 and not white else 0.0,
        haze_per_m=float(rng.choice([0.0, 0.001, 0.004])),
        mirrored=texture_atlas().pick(rng, "facade", "landscape", "noise"),
        exposure=materials.exposure(rng),
    )


def road(b: SceneBuilder, rng: Rng, half: float, pavement: float, tar: Material | None = None) -> None:
    """Add ground to the horizon and a road along x (half width `half`) with pavements; `tar` is its look."""
    green = materials.hsv(rng.uniform(0.12, 0.35), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.75))
    field = materials.surface(rng, ("grass", "asphalt", "noise"), green, 0.6, (0.8, 3.0), (0.2, 0.5))
    tar = tar or materials.surface(
        rng, ("asphalt",), (rng.uniform(0.3, 0.6),) * 3, 0.5, (0.8, 2.5), (0.1, 0.4)
    )
    slabs = materials.surface(
        rng,
        ("tiles", "stones", "asphalt", "bricks"),
        materials.colour(rng, (0, 0.2), (0.5, 0.8)),
        0.4,
        (1.0, 3.0),
    )
    paint = materials.surface(rng, ("noise",), (0.9, 0.9, 0.88), 0.3, (0.3, 0.6))
    b = b.labelled(PointLabel.GROUND)
    b.patch((0, 0, -0.02), np.eye(3), (FAR_M, FAR_M), field)
    b.patch((0, 0, 0), np.eye(3), (FAR_M / 3, half), tar)
    for side in (-1, 1):
        kerb, place = b.labelled(PointLabel.OBSTACLE), (0, side * (half + pavement / 2), 0.05)
        kerb.box(place, (FAR_M / 3, pavement, 0.12), slabs, top_label=PointLabel.GROUND)
        if rng.random() < 0.5:
            b.patch((0, side * (half - 0.25), 0.008), np.eye(3), (120, 0.06), paint)
    if rng.random() < 0.7:
        dash, gap = rng.uniform(1.5, 4), rng.uniform(3, 7)
        for k in range(-3, 12):
            b.patch((k * (dash + gap), 0, 0.008), np.eye(3), (dash / 2, 0.07), paint)


def street(rng: Rng) -> tuple[Scene, np.ndarray]:
    """Return a street along x, for some wide and empty, and the pose (4, 4) of a camera on it."""
    b = SceneBuilder()
    empty = rng.random() < 0.4
    half, pavement = rng.uniform(2.2, 14 if empty else 6), rng.uniform(0.5, 5 if empty else 3.5)
    road(b, rng, half, pavement, materials.weak_ground(rng) if empty or rng.random() < 0.25 else None)
    edge = half + pavement
    for side in (-1, 1):
        if rng.random() < (0.45 if empty else 0.15):
            long_side(b, rng, side, edge)
        else:
            frontage(b, rng, side, edge)
        roadside(b, rng, side, half, pavement, empty)
    for _ in range(int(rng.integers(0, 2 if empty else 4))):
        lane = rng.choice([-0.5, 0.5]) * half
        any_car(b.at((rng.uniform(6, 45), lane, 0), 0.0 if lane < 0 else np.pi), rng)
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.5 else 0):
        x, across = np.exp(rng.uniform(np.log(5), np.log(50))), rng.random() < 0.6
        tall = rng.uniform(3, 8)
        start = np.array([x, -edge, tall]) if across else np.array([-5, rng.uniform(-1, 1) * edge, tall])
        end = np.array([x + rng.normal(0, 4), edge, tall]) if across else start + [70, rng.normal(0, 2), 0]
        thin_objects.wires(b, rng, start, end)
    high = rng.uniform(0.3, 1.2) if rng.random() < 0.45 else rng.uniform(0.8, 2.2)
    position = np.array([rng.uniform(-3, 3), rng.uniform(-0.6, 0.6) * half, high])
    turn = 6.0 if empty and rng.random() < 0.4 else 3.0
    target = position + [10.0, rng.normal(0, turn), rng.normal(-1.2 if empty else -0.4, 1.0)]
    centre = position + (target - position) * 0.9
    centre[2] = 0.0
    return b.build(daylight(rng, centre)), look_at(position, target, rng.normal(0, 0.02))


def roadside(b: SceneBuilder, rng: Rng, side: int, half: float, pavement: float, empty: bool) -> None:
    """Add what stands on one side of a road: parked cars, poles, trees, people, railings."""
    parked = rng.random() < (0.2 if empty else 0.5)
    x = rng.uniform(2, 10)
    while x < 60:
        if parked and rng.random() < 0.75:
            spot = b.at((x, side * (half - 1.1), 0), 0.0 if side < 0 else np.pi)
            any_car(spot.at((0, 0, 0), rng.normal(0, 0.03)), rng)
        x += rng.uniform(5, 9)
    for x in np.cumsum(rng.uniform(1.5, 9, int(rng.integers(0, 5) if empty else rng.integers(2, 14)))):
        spot = b.at(
            (x, side * (half + rng.uniform(0.2, max(pavement, 0.3))), 0.1),
            rng.uniform(0, 6.28) if rng.random() < 0.3 else -side * np.pi / 2,
        )
        kind = rng.random()
        if kind < 0.45:
            pole(spot, rng)
        elif kind < 0.55:
            thin_objects.twigs(spot, rng, rng.uniform(1, 4))
        elif kind < 0.75:
            tree(spot, rng, rng.uniform(2.5, 9))
        else:
            person(spot, rng)
    if rng.random() < 0.35:
        x = rng.uniform(3, 12)
        for _ in range(int(rng.integers(1, 4))):
            long, tall = rng.uniform(3, 10), rng.uniform(0.8, 1.4)
            spot = b.at((x + long / 2, side * (half + 0.15), 0.1))
            (thin_objects.railing if rng.random() < 0.6 else thin_objects.mesh)(spot, rng, long, tall)
            x += long + rng.uniform(0, 6)


def any_car(b: SceneBuilder, rng: Rng) -> None:
    """Add a car; a third are white, and most have panes that mirror."""
    paint = replace(materials.white(rng), gloss=0.4, shininess=60.0) if rng.random() < 0.33 else None
    car(b, rng, 0.35 if paint else 0.2, paint, materials.glass(rng) if rng.random() < 0.7 else None)


def bright_wall(rng: Rng) -> Material | None:
    """Return white plaster or mirroring panes for a building, or None for any facade."""
    kind = rng.random()
    return materials.white(rng) if kind < 0.25 else materials.glass(rng) if kind < 0.35 else None


def long_side(b: SceneBuilder, rng: Rng, side: int, edge: float) -> None:
    """Line one side of a street with a single long straight building, wall or fence."""
    long, kind = rng.uniform(40, 150), rng.random()
    spot = b.at((long / 2 - 6, side * (edge + 0.2), 0))
    if kind < 0.55:
        house(spot.at((0, side * 4, 0)), rng, (long, 8, rng.uniform(3, 15)), bright_wall(rng))
    elif kind < 0.85:
        tall = rng.uniform(0.8, 5)
        material = materials.white(rng) if rng.random() < 0.5 else materials.wall(rng)
        wall = spot.labelled(PointLabel.STRUCTURE)
        wall.box((0, side * 0.2, tall / 2), (long, 0.3, tall), material)
    else:
        for x in range(0, int(min(long, 50)), 8):
            thin_objects.mesh(b.at((x + 2, side * (edge + 0.2), 0)), rng, 8, rng.uniform(1, 2.5))


def frontage(b: SceneBuilder, rng: Rng, side: int, edge: float) -> None:
    """Add what lines one side of a street: houses, walls, fences, hedges, trees."""
    x, open_land = rng.uniform(-10, 0), rng.random() < 0.3
    while x < 110:
        kind, long = rng.random(), rng.uniform(5, 18)
        spot = b.at((x + long / 2, side * (edge + 0.2), 0), 0.0)
        if kind < (0.1 if open_land else 0.5):
            deep = rng.uniform(6, 12)
            house(
                spot.at((0, side * (deep / 2 + rng.uniform(0, 4)), 0)),
                rng,
                (long, deep, rng.uniform(3, 14)),
                bright_wall(rng),
            )
        elif kind < 0.62:
            material = materials.white(rng) if rng.random() < 0.3 else materials.wall(rng)
            wall = spot.labelled(PointLabel.STRUCTURE)
            wall.box((0, side * 0.2, 0.8), (long, 0.25, rng.uniform(0.8, 2.4)), material)
        elif kind < 0.76:
            fence = thin_objects.mesh if rng.random() < 0.75 else thin_objects.railing
            fence(spot.at((0, side * 0.1, 0)), rng, long, rng.uniform(0.8, 2.2))
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
    tint = materials.colour(rng, (0, 0.5), (0.4, 0.9))
    groups = ("grass", "asphalt", "stones", "tiles", "noise")
    ground = materials.surface(rng, groups, tint, 0.6, (0.6, 3), (0.1, 0.5))
    ground = materials.weak_ground(rng) if rng.random() < 0.4 else ground
    soil = b.labelled(PointLabel.GROUND)
    soil.patch((0, 0, 0), np.eye(3), (FAR_M, FAR_M), ground)
    for _ in range(int(rng.integers(0, 5))):
        x, radius = rng.uniform(6, 70), rng.uniform(2, 14)
        place = (x, rng.uniform(-1, 1) * x, 0)
        radii = (radius, radius * rng.uniform(0.4, 2), radius * rng.uniform(0.08, 0.35))
        soil.ellipsoid(place, radii, ground)
    for _ in range(int(rng.integers(4, 16) if rng.random() < 0.3 else rng.integers(12, 40))):
        x = np.exp(rng.uniform(np.log(2.0), np.log(50)))
        anything(b.at((x, rng.uniform(-0.8, 0.8) * x, 0), rng.uniform(0, 6.28)), rng)
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(25, 90)
        spot = b.at((x, rng.uniform(-1, 1) * x, 0), rng.uniform(0, 1.5))
        house(spot, rng, (*rng.uniform(6, 25, 2), rng.uniform(4, 16)), bright_wall(rng))
    position = np.array([0.0, 0.0, rng.uniform(0.3, 2.2)])
    target = np.array([10.0, rng.normal(0, 1), position[2] + rng.normal(-0.6, 0.8)])
    return b.build(daylight(rng, np.array([8.0, 0, 0]))), look_at(position, target, rng.normal(0, 0.03))


def anything(b: SceneBuilder, rng: Rng) -> None:
    """Add one thing of any kind that may stand outdoors."""
    kind = int(rng.integers(12))
    generators = (pole, person, any_car)
    if kind < 3:
        generators[kind](b, rng)
    elif kind == 3:
        tree(b, rng, rng.uniform(2, 10))
    elif kind == 4:
        bush(b, rng, rng.uniform(0.5, 2))
    elif kind == 5:
        size = (rng.uniform(1, 8), rng.uniform(0.2, 3), rng.uniform(0.6, 5))
        b.labelled(PointLabel.STRUCTURE).box((0, 0, 1), size, bright_wall(rng) or materials.wall(rng))
    elif kind == 6:
        furniture.junk(b.at((0, 0, rng.uniform(0, 2))), rng, rng.uniform(0.5, 3))
    elif kind == 7:
        half = (rng.uniform(0.8, 2), 0.6)
        b.patch((0, 0, 0.6), furniture.UPRIGHT, half, materials.cut(rng, "fence"), CUTOUT)
    elif kind == 8:
        furniture.thing(b, rng, rng.uniform(0.4, 1.5))
    elif kind == 9:
        thin_objects.twigs(b, rng, rng.uniform(0.6, 3))
    elif kind == 10:
        thin_objects.railing(b, rng, rng.uniform(1, 6), rng.uniform(0.6, 1.4))
    else:
        thin_objects.mesh(b, rng, rng.uniform(1, 8), rng.uniform(0.6, 2.2))
