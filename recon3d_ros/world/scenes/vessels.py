"""Vessels and solids composed of a few parts, each around its own origin on what it stands on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recon3d_ros.world.scenes import furniture, materials
from recon3d_ros.world.scenes.scene import ELLIPSE, Material, SceneBuilder, random_rotation, rotation_z

Rng = np.random.Generator


def glaze(rng: Rng) -> Material:
    """Return china, plastic, metal or print."""
    kind = rng.random()
    if kind < 0.5:
        high = materials.colour(rng, (0, 0.7), (0.25, 1.0))
        return materials.surface(
            rng, ("plain", "noise", "stripes"), high, rng.uniform(0.05, 0.5), (0.05, 0.4)
        )
    if kind < 0.7:
        return materials.plastic(rng)
    return materials.metal(rng) if kind < 0.8 else materials.wild(rng)


def frustum(b: SceneBuilder, z: float, tall: float, low: float, high: float, material: Material) -> None:
    """Add the side of a truncated cone from height `z` on, of radius `low`, at its top `high` (m)."""
    if abs(high - low) < 1e-3 * max(low, high):
        b.cylinder((0, 0, z), (0, 0, z + tall), low, material, caps=False)
        return
    wide, narrow = max(low, high), min(low, high)
    height = tall * wide / (wide - narrow)
    if low > high:
        b.cone((0, 0, z + height), height, wide, material, cut=narrow / wide)
        return
    upside_down = replace(b, rotation=b.rotation @ np.diag([1.0, -1.0, -1.0]))
    upside_down.cone((0, 0, height - z - tall), height, wide, material, cut=narrow / wide)


def lid(b: SceneBuilder, z: float, radius: float, material: Material) -> None:
    """Add a disc at height `z`: a lid, or what a vessel is filled with."""
    b.patch((0, 0, z), np.eye(3), (radius, radius), material, ELLIPSE)


def handle(
    b: SceneBuilder, place: tuple[float, float], reach: float, tall: float, material: Material
) -> None:
    """Add a bow in the plane of x and z at `place` (x, z of its middle), standing out by `reach` m."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 6)
    line = [(place[0] + reach * np.cos(a), 0.0, place[1] + tall / 2 * np.sin(a)) for a in angles]
    for start, end in zip(line[:-1], line[1:]):
        b.cylinder(start, end, 0.09 * tall, material, caps=False)


def cup(b: SceneBuilder, rng: Rng) -> None:
    """Add a cup, mug, beaker, bowl or bucket, some with a handle."""
    clay, tall = glaze(rng), float(np.exp(rng.uniform(np.log(0.06), np.log(0.35))))
    top = tall * rng.uniform(0.35, 1.1)
    foot = top * rng.uniform(0.45, 1.05)
    frustum(b, 0.0, tall, foot, top, clay)
    full = rng.uniform(0.9, 0.99)
    content = clay if rng.random() < 0.4 else glaze(rng)
    lid(b, full * tall, foot + full * (top - foot), content)
    if rng.random() < 0.6:
        bow = tall * rng.uniform(0.45, 0.75)
        handle(b, ((foot + top) / 2, tall * rng.uniform(0.45, 0.6)), bow * rng.uniform(0.4, 0.6), bow, clay)


def bottle(b: SceneBuilder, rng: Rng) -> None:
    """Add a bottle, jar or can."""
    tall = rng.uniform(0.12, 0.4)
    radius, shoulder = tall * rng.uniform(0.1, 0.3), rng.uniform(0.5, 0.85)
    body, neck = glaze(rng), radius * rng.uniform(0.25, 0.7)
    b.cylinder((0, 0, 0), (0, 0, shoulder * tall), radius, body, caps=False)
    rise = rng.uniform(0.05, 0.6) * (1 - shoulder) * tall
    frustum(b, shoulder * tall, rise, radius, neck, body)
    cap = body if rng.random() < 0.4 else glaze(rng)
    b.cylinder((0, 0, shoulder * tall + rise), (0, 0, tall), neck * rng.uniform(0.9, 1.1), cap)
    if rng.random() < 0.5:
        low, high = sorted(rng.uniform(0.1, 0.95, 2) * shoulder * tall)
        b.cylinder((0, 0, low), (0, 0, high), 1.01 * radius, materials.paper(rng), caps=False)


def vase(b: SceneBuilder, rng: Rng) -> None:
    """Add a vase of three or four truncated cones, some with a plant."""
    clay, tall = glaze(rng), rng.uniform(0.15, 0.9)
    radii = tall * rng.uniform(0.08, 0.35, int(rng.integers(4, 6)))
    levels = np.linspace(0.0, tall, len(radii))
    for z, above, low, high in zip(levels, levels[1:], radii, radii[1:]):
        frustum(b, z, above - z, low, high, clay)
    lid(b, 0.98 * tall, radii[-1] * 0.98, clay)
    if rng.random() < 0.25:
        furniture.plant(b.at((0, 0, 0.8 * tall)), rng, tall * rng.uniform(0.8, 1.6))


def pot(b: SceneBuilder, rng: Rng) -> None:
    """Add a teapot, a watering can or a cooking pot with its handles."""
    clay, radius = glaze(rng), rng.uniform(0.06, 0.18)
    tall = radius * rng.uniform(1.1, 2.2)
    if rng.random() < 0.5:
        b.ellipsoid((0, 0, tall / 2), (radius, radius, tall / 2), clay)
    else:
        b.cylinder((0, 0, 0), (0, 0, tall), radius, clay)
    b.ellipsoid((0, 0, tall * 1.03), (0.15 * radius,) * 3, glaze(rng))
    if rng.random() < 0.5:
        tip = (-radius * rng.uniform(1.5, 2.2), 0.0, tall * rng.uniform(0.7, 1.2))
        b.cylinder((-0.7 * radius, 0, 0.4 * tall), tip, 0.13 * radius, clay)
        handle(b, (0.9 * radius, 0.55 * tall), 0.7 * radius, 0.7 * tall, clay)
        return
    for side in (0.0, np.pi):
        handle(b.at((0, 0, 0), side), (0.95 * radius, 0.7 * tall), 0.4 * radius, 0.35 * tall, clay)


def composed(b: SceneBuilder, rng: Rng) -> None:
    """Add two to six solids that lean on each other, half of them mirrored left and right."""
    size, place, mirror = rng.uniform(0.1, 1.0), np.zeros(3), rng.random() < 0.5
    for k in range(int(rng.integers(2, 7))):
        solid, radii = rng.integers(3), size * rng.uniform(0.12, 0.5, 3)
        if k == 0:
            place = np.array([0.0, 0.0, radii[2]])
        turn = np.eye(3) if rng.random() < 0.6 else random_rotation(rng)
        material = glaze(rng)
        for side in (1, -1) if mirror and k else (1,):
            spot, flip = place * [1, side, 1], np.diag([1.0, side, 1.0])
            if solid == 0:
                b.box(spot, 2 * radii, material, flip @ turn @ flip)
            elif solid == 1:
                b.ellipsoid(spot, radii, material, flip @ turn @ flip)
            else:
                axis = flip @ turn[:, 2] * radii[2]
                b.cylinder(spot - axis, spot + axis, float(radii[0]), material)
        way = np.abs(rng.normal(size=3)) * [rng.choice([-1, 1]), 1.0, 1.0]
        place = place + way / np.linalg.norm(way) * radii * rng.uniform(0.7, 1.2)


def cart(b: SceneBuilder, rng: Rng) -> None:
    """Add a cart, trolley or small robot on wheels along x."""
    long, wide, low = rng.uniform(0.3, 1.4), rng.uniform(0.25, 0.7), rng.uniform(0.06, 0.3)
    tall, radius = rng.uniform(0.1, 0.8), rng.uniform(0.05, 0.16)
    body, dark = glaze(rng), materials.surface(rng, ("plain",), (0.12, 0.12, 0.12), 0.5)
    deck = rng.uniform(0.04, 0.5) * tall
    b.box((0, 0, low + deck / 2), (long, wide, deck), body)
    for x in (-0.38, 0.38):
        for side in (-1, 1):
            y = side * wide / 2
            b.cylinder((x * long, y - 0.02, radius), (x * long, y + 0.02, radius), radius, dark)
    kind = rng.random()
    if kind < 0.4:
        for side in (-1, 1):
            b.cylinder(
                (-long / 2, side * wide * 0.45, low), (-long / 2, side * wide * 0.45, low + tall), 0.02, dark
            )
        bar = -long / 2, wide * 0.45, low + tall
        b.cylinder((bar[0], -bar[1], bar[2]), bar, 0.02, dark)
    elif kind < 0.7:
        furniture.thing(b.at((0, 0, low + deck), rng.uniform(0, 6.28)), rng, 0.8 * wide)
    else:
        mast = low + deck + tall * rng.uniform(0.3, 1.0)
        b.cylinder((0.2 * long, 0, low + deck), (0.2 * long, 0, mast), 0.03, dark)
        b.box((0.2 * long, 0, mast), (0.12, 0.2, 0.1), glaze(rng), rotation_z(rng.normal(0, 0.4)))
