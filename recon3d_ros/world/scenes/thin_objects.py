"""Thin things, which matchers lose: wires, railings, bars, twigs, tripods; each around its own origin."""

from __future__ import annotations

import numpy as np

from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.scenes import furniture, materials
from recon3d_ros.world.scenes.scene import CUTOUT, Material, SceneBuilder, rotation_z

Rng = np.random.Generator
ALONG = rotation_z(-np.pi / 2) @ furniture.UPRIGHT  # a patch that faces -y, u along x


def rod_material(rng: Rng) -> Material:
    """Return paint, metal or wood for rods."""
    kind = rng.random()
    if kind < 0.3:
        return materials.white(rng)
    return (
        materials.metal(rng) if kind < 0.7 else materials.wood(rng) if kind < 0.85 else materials.plastic(rng)
    )


def wires(b: SceneBuilder, rng: Rng, start: np.ndarray, end: np.ndarray) -> None:
    """Add one to four sagging wires between two points (m)."""
    b = b.labelled(PointLabel.OVERHEAD)
    tone = rng.uniform(0.03, 0.3)
    material = Material(texture=0, low=(tone,) * 3, high=(tone,) * 3)
    radius, parts = rng.uniform(0.006, 0.02), int(rng.integers(1, 4))
    sag = rng.uniform(0, 0.04) * float(np.linalg.norm(end - start))
    for k in range(int(rng.integers(1, 5))):
        apart = np.array([0, 0, 0.35 * k]) + rng.normal(0, 0.1, 3)
        t = np.linspace(0, 1, parts + 1)
        line = start + apart + t[:, None] * (end - start) - (4 * sag * t * (1 - t))[:, None] * [0, 0, 1]
        for low, high in zip(line[:-1], line[1:]):
            b.cylinder(low, high, radius, material, caps=False)


def railing(b: SceneBuilder, rng: Rng, long: float, tall: float) -> None:
    """Add a railing along x: posts, two or more rails and, for some, upright bars."""
    material, r = rod_material(rng), tall * rng.uniform(0.008, 0.03)
    levels = np.linspace(tall, tall * rng.uniform(0.1, 0.5), int(rng.integers(2, 5)))
    for z in levels:
        b.cylinder((-long / 2, 0, z), (long / 2, 0, z), r, material, caps=False)
    gap = tall * rng.uniform(0.12, 0.5) if rng.random() < 0.5 else tall * rng.uniform(1, 2)
    count = int(np.clip(long / gap, 2, 28))
    for k, x in enumerate(np.linspace(-long / 2, long / 2, count)):
        low = 0.0 if k % 6 == 0 else levels[-1]
        b.cylinder((x, 0, low), (x, 0, tall), r * rng.uniform(0.5, 1.2), material, caps=False)


def mesh(b: SceneBuilder, rng: Rng, long: float, tall: float) -> None:
    """Add a mesh or picket fence along x with thin posts."""
    material, post = materials.cut(rng, "mesh" if rng.random() < 0.6 else "fence"), rod_material(rng)
    panels = int(np.clip(long / (tall * 1.4), 1, 8))
    step = long / panels
    for k in range(panels):
        x = (k + 0.5) * step - long / 2
        b.patch((x, 0, tall / 2), ALONG, (step / 2, tall / 2), material, CUTOUT)
        b.cylinder((x - step / 2, 0, 0), (x - step / 2, 0, tall * 1.05), 0.02 * tall, post, caps=False)


def twigs(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add bare twigs that rise from the origin and fork, within about `size` metres."""
    b = b.labelled(PointLabel.VEGETATION)
    material, radius = materials.wood(rng), size * rng.uniform(0.003, 0.012)

    def grow(foot: np.ndarray, way: np.ndarray, length: float, thick: float, forks: int) -> None:
        tip = foot + way / np.linalg.norm(way) * length
        b.cylinder(foot, tip, thick, material, caps=False)
        for _ in range(int(rng.integers(2, 4)) if forks else 0):
            grow(tip, way + rng.normal(0, 0.55, 3), length * rng.uniform(0.5, 0.8), thick * 0.7, forks - 1)

    for _ in range(int(rng.integers(1, 4))):
        grow(np.zeros(3), np.array([*rng.normal(0, 0.3, 2), 1.0]), size * 0.4, radius, 2)


def stand(b: SceneBuilder, rng: Rng, tall: float) -> None:
    """Add a tripod or a stool: three or four thin slanted legs under a small head."""
    material, r, wide = rod_material(rng), tall * rng.uniform(0.006, 0.02), tall * rng.uniform(0.15, 0.35)
    legs = int(rng.integers(3, 5))
    for k in range(legs):
        angle = 2 * np.pi * k / legs + rng.normal(0, 0.1)
        foot = (wide * np.cos(angle), wide * np.sin(angle), 0)
        b.cylinder(foot, (foot[0] * 0.4, foot[1] * 0.4, tall), r, material, caps=False)
    b.cylinder((0, 0, tall), (0, 0, tall * 1.04), wide * rng.uniform(0.45, 1.1), materials.plastic(rng))


def rods(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add a few thin rods and cords that cross each other, about `size` metres long."""
    for _ in range(int(rng.integers(2, 7))):
        way = rng.normal(size=3)
        way *= size * rng.uniform(0.4, 1.0) / np.linalg.norm(way)
        middle = rng.normal(0, 0.25 * size, 3)
        b.cylinder(
            middle - way, middle + way, size * rng.uniform(0.002, 0.012), rod_material(rng), caps=False
        )


def indoors(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add one thin thing that may stand in a room or in a heap of things, about `size` metres high."""
    kind = rng.random()
    if kind < 0.25:
        stand(b, rng, size)
    elif kind < 0.45:
        rods(b.at((0, 0, size / 2)), rng, size)
    elif kind < 0.65:
        twigs(b, rng, size)
    elif kind < 0.82:
        railing(b, rng, size * rng.uniform(1, 3), size)
    else:
        mesh(b, rng, size * rng.uniform(1, 2.5), size)
