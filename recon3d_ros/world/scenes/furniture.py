"""Things that stand in rooms, each written around its own origin on the floor (or on a table), x forward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.scenes import materials
from recon3d_ros.world.scenes.scene import (
    CUTOUT,
    ELLIPSE,
    Material,
    SceneBuilder,
    random_rotation,
    rotation_between,
    rotation_z,
)

UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # columns: y, z, x: a patch facing x
Rng = np.random.Generator
Size = tuple[float, float, float]


def table(b: SceneBuilder, rng: Rng, size: Size | None = None) -> Size:
    """Add a table; return (length, width, height) of its top."""
    length, width, height = size or (rng.uniform(0.7, 1.8), rng.uniform(0.5, 0.9), rng.uniform(0.4, 0.8))
    wood, thick = materials.wood(rng), rng.uniform(0.02, 0.06)
    legs = wood if rng.random() < 0.6 else materials.metal(rng)
    b.box((0, 0, height - thick / 2), (length, width, thick), wood)
    radius, square = rng.uniform(0.015, 0.04), rng.random() < 0.5
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (length / 2 - 0.06), sy * (width / 2 - 0.06)
            if square:
                b.box((x, y, (height - thick) / 2), (2 * radius, 2 * radius, height - thick), legs)
            else:
                b.cylinder((x, y, 0), (x, y, height - thick), radius, legs, caps=False)
    return length, width, height


def chair(b: SceneBuilder, rng: Rng) -> None:
    """Add a chair with its back at -x."""
    seat, wide, back = (rng.uniform(0.4, 0.5), rng.uniform(0.38, 0.5), rng.uniform(0.75, 1.1))
    frame = materials.wood(rng) if rng.random() < 0.6 else materials.metal(rng)
    cloth = materials.fabric(rng) if rng.random() < 0.5 else frame
    b.box((0, 0, seat), (wide, wide, 0.045), cloth)
    e, r = wide / 2 - 0.025, rng.uniform(0.012, 0.022)
    for x, y, top in ((e, e, seat), (e, -e, seat), (-e, e, back), (-e, -e, back)):
        b.cylinder((x, y, 0), (x, y, top), r, frame, caps=top > seat)
    if rng.random() < 0.5:
        for z in np.linspace(seat + 0.15, back - 0.04, int(rng.integers(2, 5))):
            b.box((-e, 0, z), (0.02, 2 * e, 0.05), frame)
    else:
        b.box((-e, 0, (seat + back) / 2 + 0.06), (0.03, 2 * e, (back - seat) * 0.7), cloth)


def sofa(b: SceneBuilder, rng: Rng, cloth: Material | None = None) -> None:
    """Add a sofa that faces x, 0.9 m deep."""
    length, cloth = rng.uniform(1.3, 2.2), cloth or materials.fabric(rng)
    b.box((0, 0, 0.22), (0.85, length, 0.36), cloth)
    b.box((-0.36, 0, 0.55), (0.2, length, 0.5), cloth)
    for side in (-1, 1):
        b.box((0, side * (length / 2 + 0.08), 0.3), (0.9, 0.17, 0.56), cloth)
    seats = int(rng.integers(2, 4))
    for k in range(seats):
        y = (k + 0.5) / seats * length - length / 2
        b.box((0.06, y, 0.45), (0.7, length / seats - 0.02, 0.13), cloth)
        if rng.random() < 0.7:
            tilt = rotation_between(np.array([1.0, rng.normal(0, 0.2), 0.5]))
            b.ellipsoid((-0.14, y, 0.66), (0.24, 0.24, 0.09), materials.fabric(rng), tilt)


def shelf(b: SceneBuilder, rng: Rng) -> None:
    """Add a shelf that faces x with books and things in it."""
    wide, tall, deep = (rng.uniform(0.6, 1.4), rng.uniform(0.9, 2.1), rng.uniform(0.25, 0.4))
    wood = materials.wood(rng)
    for side in (-1, 1):
        b.box((0, side * wide / 2, tall / 2), (deep, 0.03, tall), wood)
    if rng.random() < 0.8:
        b.box((-deep / 2 + 0.01, 0, tall / 2), (0.02, wide, tall), wood)
    boards = np.linspace(0.06, tall, int(rng.integers(3, 6)))
    for low, high in zip(boards[:-1], boards[1:]):
        b.box((0, 0, low), (deep, wide, 0.03), wood)
        y, room = -wide / 2 + 0.05, high - low - 0.05
        while y < wide / 2 - 0.12:
            length = min(rng.uniform(0.12, 0.5), wide / 2 - 0.04 - y)
            if rng.random() < 0.6:
                tall_b = room * rng.uniform(0.6, 0.95)
                place = (0.02, y + length / 2, low + 0.015 + tall_b / 2)
                b.box(place, (deep * 0.7, length, tall_b), materials.paper(rng, "books"), top=wood)
            elif rng.random() < 0.7:
                thing(b.at((0.03, y + length / 2, low + 0.015)), rng, min(length, room, deep) * 0.8)
            y += length + 0.02
    b.box((0, 0, tall), (deep, wide, 0.03), wood)


def cabinet(b: SceneBuilder, rng: Rng) -> float:
    """Add a chest of drawers that faces x; return its height (m)."""
    wide, tall, deep = (rng.uniform(0.5, 1.4), rng.uniform(0.5, 1.2), rng.uniform(0.35, 0.5))
    wood, knob = materials.wood(rng), materials.metal(rng)
    b.box((0, 0, tall / 2 + 0.05), (deep, wide, tall - 0.1), wood)
    rows = int(rng.integers(2, 5))
    for k in range(rows):
        z, h = 0.12 + (k + 0.5) * (tall - 0.2) / rows, (tall - 0.2) / rows - 0.03
        b.box((deep / 2 + 0.006, 0, z), (0.02, wide - 0.06, h), wood)
        for side in (-1, 1):
            b.ellipsoid((deep / 2 + 0.035, side * wide * 0.25, z), (0.018, 0.018, 0.018), knob)
    return tall


def plant(b: SceneBuilder, rng: Rng, tall: float) -> None:
    """Add a plant in a pot, `tall` metres."""
    b = b.labelled(PointLabel.VEGETATION)
    pot = materials.plastic(rng) if rng.random() < 0.6 else materials.fabric(rng)
    radius = 0.13 * tall + 0.04
    b.cylinder((0, 0, 0), (0, 0, 0.25 * tall), radius, pot)
    group = "blades" if rng.random() < 0.5 else "foliage"
    leaf = materials.leaves(rng, group)
    if group == "blades":
        for k in range(3):
            b.at((0, 0, 0.62 * tall), k * np.pi / 3 + rng.random()).patch(
                (0, 0, 0), UPRIGHT, (0.38 * tall, 0.4 * tall), leaf, CUTOUT
            )
        return
    b.cylinder((0, 0, 0.2 * tall), (0, 0, 0.6 * tall), 0.015, materials.wood(rng), caps=False)
    for _ in range(int(rng.integers(5, 10))):
        spot = rng.normal(0, 0.09 * tall, 3) + [0, 0, 0.68 * tall]
        b.patch(spot, random_rotation(rng), np.full(2, tall * rng.uniform(0.16, 0.26)), leaf, CUTOUT)


def lamp(b: SceneBuilder, rng: Rng, tall: float) -> None:
    """Add a floor or table lamp."""
    metal, shade = materials.metal(rng), materials.fabric(rng)
    b.cylinder((0, 0, 0), (0, 0, 0.03), 0.09 * tall + 0.03, metal)
    b.cylinder((0, 0, 0), (0, 0, 0.85 * tall), 0.012, metal, caps=False)
    b.cone((0, 0, 1.25 * tall), 0.45 * tall, 0.17 * tall + 0.05, shade, cut=0.5)


def thing(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add a small object about `size` metres wide: box, ball, can, bottle, mug, cone, stack, bowl."""
    kind, s = int(rng.integers(9)), size / 2
    material = (
        materials.carton(rng)
        if rng.random() < 0.5
        else materials.plastic(rng)
        if rng.random() < 0.6
        else materials.wild(rng)
    )
    if kind <= 1:
        extent = s * rng.uniform(0.5, 1.6, 3)
        b.box((0, 0, extent[2] / 2), extent, material, rotation_z(rng.uniform(0, 6.28)))
    elif kind == 2:
        b.ellipsoid((0, 0, s), (s, s, s), material)
    elif kind == 3:
        tall = s * rng.uniform(1.0, 3.0)
        b.cylinder((0, 0, 0), (0, 0, tall), s * 0.6, material)
    elif kind == 4:
        b.cylinder((0, 0, 0), (0, 0, 1.4 * s), s * 0.4, material)
        b.cone((0, 0, 2.4 * s), 1.0 * s, s * 0.4, material, cut=0.35)
        b.cylinder((0, 0, 1.7 * s), (0, 0, 2.3 * s), s * 0.15, material)
    elif kind == 5:
        b.cone((0, 0, 2 * s), 2 * s, s * 0.8, material)
    elif kind == 6:
        z = 0.0
        for _ in range(int(rng.integers(2, 6))):
            thick = s * rng.uniform(0.15, 0.4)
            slab = (2 * s * rng.uniform(0.6, 1), 1.4 * s * rng.uniform(0.6, 1), thick)
            b.box((0, 0, z + thick / 2), slab, materials.carton(rng), rotation_z(rng.normal(0, 0.3)))
            z += thick
    elif kind == 7:
        b.ellipsoid((0, 0, 0.55 * s), (s, s, 0.55 * s), material)
    else:
        plant(b, rng, 2 * size)


def frame(b: SceneBuilder, rng: Rng, half_w: float, half_h: float, material: Material | None = None) -> None:
    """Add a framed picture that hangs on a wall at x = 0 and faces x."""
    b.box((0.012, 0, 0), (0.024, 2 * half_w + 0.05, 2 * half_h + 0.05), materials.wood(rng))
    b.patch((0.026, 0, 0), UPRIGHT, (half_w, half_h), material or materials.paper(rng), one_sided=True)


def window(b: SceneBuilder, rng: Rng, half_w: float, half_h: float) -> None:
    """Add a window that glows white or shows a bright view, on a wall at x = 0, facing x."""
    b.patch((0.01, 0, 0), UPRIGHT, (half_w, half_h), glowing(rng), one_sided=True)
    panes(b, rng, half_w, half_h)


def glowing(rng: Rng) -> Material:
    """Return something bright enough to burn out in most exposures."""
    material = materials.paper(rng, "landscape") if rng.random() < 0.2 else materials.white(rng)
    return replace(material, emission=float(np.exp(rng.uniform(np.log(0.8), np.log(6)))))


def panes(b: SceneBuilder, rng: Rng, half_w: float, half_h: float) -> None:
    """Add the frame and glazing bars of a window at x = 0 and, to some, a blind."""
    kind = rng.random()
    material = (
        materials.white(rng) if kind < 0.5 else materials.wood(rng) if kind < 0.75 else materials.metal(rng)
    )
    thick, deep = rng.uniform(0.015, 0.08), rng.uniform(0.03, 0.12)
    for y in np.linspace(-half_w, half_w, int(rng.integers(2, 5))):
        b.box((deep / 2, y, 0), (deep, thick, 2 * half_h + thick), material)
    for z in np.linspace(-half_h, half_h, int(rng.integers(2, 4))):
        b.box((deep / 2, 0, z), (deep, 2 * half_w, thick), material)
    if rng.random() < 0.2:
        slats, lean = np.linspace(-0.95, 0.95, int(rng.integers(8, 20))) * half_h, rng.uniform(-0.9, 0.9)
        c, s = np.cos(lean), np.sin(lean)
        tilt = np.array([[0, s, c], [1, 0, 0], [0, c, -s]])
        for z in slats[int(rng.integers(0, 6)) :]:
            b.patch((deep + 0.03, 0, z), tilt, (half_w, 0.02), material)


def junk(b: SceneBuilder, rng: Rng, size: float) -> None:
    """Add one object of any kind and orientation, about `size` metres: the stuff of training scenes."""
    kind, material = (
        int(rng.integers(8)),
        materials.wild(rng) if rng.random() < 0.7 else materials.carton(rng),
    )
    turn, s = random_rotation(rng), size / 2
    if kind <= 1:
        b.box((0, 0, 0), s * rng.uniform(0.3, 2.2, 3), material, turn)
    elif kind == 2:
        b.ellipsoid((0, 0, 0), s * rng.uniform(0.4, 1.2, 3), material, turn)
    elif kind == 3:
        axis = turn[:, 2] * s * rng.uniform(0.5, 4)
        b.cylinder(-axis, axis, s * rng.uniform(0.05, 0.5), material)
    elif kind == 4:
        axis = turn[:, 2] * s * rng.uniform(2, 6)
        b.cylinder(-axis, axis, s * rng.uniform(0.02, 0.06), material)
    elif kind == 5:
        b.patch((0, 0, 0), turn, s * rng.uniform(0.5, 2.0, 2), material, int(rng.choice([0, ELLIPSE])))
    elif kind == 6:
        b.labelled(PointLabel.VEGETATION).patch(
            (0, 0, 0),
            turn,
            s * rng.uniform(0.8, 2.0, 2),
            materials.leaves(rng, str(rng.choice(["foliage", "branches", "blades"]))),
            CUTOUT,
        )
    else:
        b.patch((0, 0, 0), turn, s * rng.uniform(1.0, 2.5, 2), materials.cut(rng, "fence"), CUTOUT)
