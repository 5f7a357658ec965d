"""Things that stand outdoors, each written around its own origin on the ground, x forward."""

from __future__ import annotations

import numpy as np

from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.scenes import furniture, materials
from recon3d_ros.world.scenes.scene import (
    CUTOUT,
    ELLIPSE,
    Material,
    SceneBuilder,
    random_rotation,
    rotation_z,
)

Rng = np.random.Generator


def tree(b: SceneBuilder, rng: Rng, tall: float) -> None:
    """Add a tree: deciduous (leaf cards around ellipsoids), conifer (cones) or bare."""
    b = b.labelled(PointLabel.VEGETATION)
    bark = materials.surface(
        rng, ("wood", "noise"), materials.hsv(0.08, 0.3, rng.uniform(0.3, 0.6)), 0.6, (0.5, 1.0)
    )
    kind = rng.random()
    b.cylinder((0, 0, 0), (0, 0, tall * 0.55), tall * rng.uniform(0.015, 0.035), bark, caps=False)
    if kind < 0.15:
        green = materials.hsv(rng.uniform(0.25, 0.4), 0.5, rng.uniform(0.3, 0.6))
        needles = materials.surface(rng, ("grass", "noise"), green, 0.8, (0.5, 1.2))
        for k in range(3):
            b.cone((0, 0, tall * (0.6 + 0.2 * k)), tall * 0.4, tall * (0.2 - 0.045 * k), needles)
        return
    if kind < 0.25:
        leaf = materials.leaves(rng, "branches")
        for k in range(3):
            spot = b.at((0, 0, tall * 0.5), k * np.pi / 3)
            spot.patch((0, 0, 0), furniture.UPRIGHT, (tall * 0.5, tall * 0.5), leaf, CUTOUT)
        return
    crown_of_leaves(b.at((0, 0, tall * 0.68)), rng, tall * rng.uniform(0.2, 0.3))


def crown_of_leaves(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add lumps of leaves with cards of single leaves standing out of them, within `size` of the origin."""
    leaf = materials.leaves(rng)
    core = materials.surface(
        rng, ("leafage",), materials.darker(leaf.high, 0.95), 0.85, (0.7, 1.4), (0.0, 0.2)
    )
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
    crown_of_leaves(b.labelled(PointLabel.VEGETATION).at((0, 0, 0.45 * size)), rng, 0.55 * size)


def car(
    b: SceneBuilder,
    rng: Rng,
    vans: float = 0.2,
    paint: Material | None = None,
    panes: Material | None = None,
) -> None:
    """Add a car along x, or with probability `vans` a van or truck; by default any paint, dull panes."""
    b = b.labelled(PointLabel.MOVING)
    paint = paint or materials.surface(
        rng, ("plain",), materials.colour(rng, (0, 0.8), (0.1, 0.95)), 0.2, (1, 3), (0, 0.05), 0.5, 60
    )
    glass = panes or materials.surface(rng, ("plain",), (0.22, 0.26, 0.3), 0.8, (1, 3), (0, 0.1), 0.6, 80)
    tyre, rim = materials.surface(rng, ("asphalt",), (0.12, 0.12, 0.12), 0.5), materials.metal(rng)
    long, wide = rng.uniform(3.8, 4.8), rng.uniform(1.65, 1.9)
    if rng.random() < vans:
        long, tall = rng.uniform(4.8, 8.0), rng.uniform(2.0, 3.2)
        side = materials.carton(rng) if rng.random() < 0.3 else paint
        b.box((-0.2, 0, 0.35 + tall / 2), (long - 0.4, wide, tall - 0.35), side)
        b.box((long / 2 - 0.3, 0, 0.75), (0.7, wide, 0.9), paint)
    else:
        low, tall = rng.uniform(0.75, 0.95), rng.uniform(1.4, 1.7)
        b.box((0, 0, (0.25 + low) / 2), (long, wide, low - 0.25), paint)
        _cabin(b, rng, (long, wide, tall, low), paint, glass)
        _bumpers(b, rng, (long, wide, low), tyre, rim)
    for x in (-long * 0.3, long * 0.32):
        for end in (-1, 1):
            y = end * (wide / 2 - 0.09)
            b.cylinder((x, y - 0.1, 0.32), (x, y + 0.1, 0.32), 0.32, tyre)
            turn = rotation_z(end * np.pi / 2) @ furniture.UPRIGHT
            b.patch((x, y + end * 0.103, 0.32), turn, (0.19, 0.19), rim, ELLIPSE)


def _cabin(b: SceneBuilder, rng: Rng, size: tuple[float, ...], paint: Material, glass: Material) -> None:
    """Add windows, pillars and the two slanted screens of a car; size: length, width, roof, belt line."""
    long, wide, tall, low = size
    cabin = long * rng.uniform(0.45, 0.6)
    shift = -long * rng.uniform(0.03, 0.12)
    b.box((shift, 0, (low + tall) / 2), (cabin, wide - 0.14, tall - low), glass, top=paint)
    for x in (-0.5, -0.02, 0.5):
        b.box((shift + x * cabin, 0, (low + tall) / 2), (0.1, wide - 0.12, tall - low + 0.02), paint)
    for slope in (-1, 1):
        spot = (shift + slope * (cabin / 2 + 0.22), 0, low + 0.2)
        tilt = np.array([[0, slope * -0.75, slope * 0.66], [slope * 1.0, 0, 0], [0, 0.66, 0.75]])
        b.patch(spot, tilt, (wide / 2 - 0.1, 0.38), glass)


def _bumpers(b: SceneBuilder, rng: Rng, size: tuple[float, ...], dark: Material, bright: Material) -> None:
    """Add lights, bumpers, grille and number plate of a car; size: length, width, belt line."""
    long, wide, low = size
    lamp = Material(texture=0, low=(0.8, 0.2, 0.2), high=(1.0, 0.5, 0.5), gloss=0.4, emission=0.4)
    for side in (-1, 1):
        b.box((-long / 2, side * (wide / 2 - 0.2), low - 0.2), (0.03, 0.3, 0.15), lamp)
        b.box((long / 2, side * (wide / 2 - 0.22), low - 0.18), (0.03, 0.34, 0.14), bright)
    for end in (-1, 1):
        b.box((end * long / 2, 0, 0.36), (0.12, wide - 0.06, 0.16), dark)
    b.box((long / 2, 0, low - 0.19), (0.02, 0.6, 0.1), dark)
    back = furniture.UPRIGHT @ np.diag([-1.0, 1.0, -1.0])
    b.patch((-long / 2 - 0.01, 0, 0.5), back, (0.26, 0.06), materials.paper(rng, "text"))


def house(b: SceneBuilder, rng: Rng, size: tuple[float, ...], wall: Material | None = None) -> None:
    """Add a building of full size (x, y, z) with its middle at the origin on the ground."""
    b = b.labelled(PointLabel.STRUCTURE)
    storey = rng.uniform(6.0, 14.0)
    plaster = materials.hsv(rng.uniform(-0.02, 0.15), rng.uniform(0, 0.35), rng.uniform(0.6, 1))
    wall = wall or materials.surface(
        rng,
        ("facade",) if rng.random() < 0.75 else ("bricks", "plain", "stones"),
        plaster if rng.random() < 0.8 else materials.colour(rng, (0, 0.35), (0.6, 1)),
        0.95,
        (storey, storey * 1.1),
    )
    b.box(
        (0, 0, size[2] / 2), size, wall, top=materials.surface(rng, ("noise", "tiles"), (0.5, 0.4, 0.38), 0.5)
    )
    if rng.random() < 0.5:
        b.box((0, 0, size[2]), (size[0] + 0.6, size[1] + 0.6, 0.4), materials.wall(rng))


def pole(b: SceneBuilder, rng: Rng) -> None:
    """Add a lamp post, traffic sign, bollard or bare mast."""
    metal, kind = materials.metal(rng), rng.random()
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
            materials.paper(rng, "picture", "text"),
            shape,
        )
        b.patch((0.045, 0, tall - 0.3), furniture.UPRIGHT, (0.2, 0.2), metal, shape)
    elif kind < 0.85:
        b.cylinder((0, 0, 0), (0, 0, 1.0), rng.uniform(0.05, 0.12), materials.plastic(rng))
    else:
        b.cylinder(
            (0, 0, 0), (0, 0, rng.uniform(5, 10)), rng.uniform(0.08, 0.2), materials.wood(rng), caps=False
        )


def person(b: SceneBuilder, rng: Rng) -> None:
    """Add somebody made of ellipsoids and cylinders."""
    b = b.labelled(PointLabel.MOVING)
    coat, trousers = materials.fabric(rng), materials.fabric(rng)
    skin = Material(texture=0, low=(0.55, 0.4, 0.3), high=(0.85, 0.65, 0.52))
    stride = rng.uniform(0.05, 0.25)
    for side in (-1, 1):
        b.cylinder((side * stride, side * 0.1, 0), (0, side * 0.09, 0.85), 0.075, trousers)
        b.cylinder((-side * stride, side * 0.27, 0.8), (0, side * 0.2, 1.4), 0.05, coat)
    b.ellipsoid((0, 0, 1.15), (0.15, 0.22, 0.38), coat)
    b.ellipsoid((0, 0, 1.64), (0.1, 0.09, 0.13), skin)
    b.ellipsoid((-0.02, 0, 1.69), (0.105, 0.095, 0.1), materials.fabric(rng))
