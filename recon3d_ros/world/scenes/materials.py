"""Random but plausible materials: what walls, floors, furniture, plants and streets are made of."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np

from recon3d_ros.world.scenes.scene import Material
from recon3d_ros.world.textures.atlas import texture_atlas
from recon3d_ros.world.textures.patterns import PATTERNS

Colour = tuple[float, float, float]
Range = tuple[float, float]
#: Every group of textures without an outline.
ANY = tuple(PATTERNS)


def hsv(h: float, s: float, v: float) -> Colour:
    """Return sRGB of a hue, saturation, value in [0, 1]."""
    return colorsys.hsv_to_rgb(h % 1.0, min(max(s, 0), 1), min(max(v, 0), 1))


def colour(rng: np.random.Generator, saturation: Range = (0.0, 0.7), value: Range = (0.2, 0.95)) -> Colour:
    """Return a random colour."""
    return hsv(rng.random(), rng.uniform(*saturation), rng.uniform(*value))


def darker(c: Colour, factor: float) -> Colour:
    """Return `c` scaled."""
    return tuple(min(x * factor, 1.0) for x in c)  # type: ignore[return-value]


def surface(
    rng: np.random.Generator,
    groups: tuple[str, ...],
    high: Colour,
    contrast: float = 0.5,
    tile: Range = (0.6, 2.0),
    detail: Range = (0.05, 0.25),
    gloss: float = 0.0,
    shininess: float = 20.0,
) -> Material:
    """Return a tinted texture of one of `groups`; `contrast` is how far its dark tone lies below `high`."""
    atlas = texture_atlas()
    size = float(np.exp(rng.uniform(*np.log(tile))))
    return Material(
        texture=atlas.pick(rng, *groups),
        tile_m=(size, size),
        offset=(float(rng.random()), float(rng.random())),
        low=darker(high, 1 - contrast),
        high=high,
        detail=atlas.pick(rng, "noise", "plain"),
        detail_m=float(np.exp(rng.uniform(np.log(0.15), np.log(3.0)))),
        detail_strength=float(rng.uniform(*detail)),
        gloss=gloss,
        shininess=shininess,
    )


def wall(rng: np.random.Generator) -> Material:
    """Painted, papered, tiled or brick walls; many are nearly textureless."""
    kind = rng.random()
    if kind < 0.45:
        return surface(rng, ("plain",), colour(rng, (0, 0.35), (0.6, 0.98)), 0.5, (1.5, 5), (0.02, 0.12))
    if kind < 0.6:
        return surface(
            rng, ("stripes",), colour(rng, (0, 0.4), (0.5, 0.95)), rng.uniform(0.08, 0.4), (0.3, 1.5)
        )
    if kind < 0.75:
        return surface(rng, ("bricks", "stones"), colour(rng, (0.0, 0.5), (0.5, 0.95)), 0.6, (0.8, 2.0))
    if kind < 0.85:
        return surface(
            rng, ("tiles",), colour(rng, (0, 0.3), (0.7, 1.0)), 0.5, (0.3, 1.0), gloss=0.15, shininess=60
        )
    return surface(rng, ("noise", "blotches", "marble", "wood"), colour(rng), rng.uniform(0.1, 0.7), (0.5, 3))


def white(rng: np.random.Generator) -> Material:
    """White paint with next to no texture, which the sun or a lamp burns out."""
    tone = rng.uniform(0.86, 1.0)
    high = (tone, tone * rng.uniform(0.97, 1.0), tone * rng.uniform(0.92, 1.0))
    return surface(rng, ("plain",), high, rng.uniform(0.01, 0.15), (1.5, 6), (0.0, 0.05))


def polished(rng: np.random.Generator, material: Material) -> Material:
    """Return `material` waxed, wet or glazed: a moving highlight and mirrored surroundings."""
    shininess = float(np.exp(rng.uniform(np.log(15), np.log(250))))
    mirror = float(rng.uniform(0.1, 0.65)) if rng.random() < 0.85 else 0.0
    return replace(material, gloss=float(rng.uniform(0.1, 1.0)), shininess=shininess, mirror=mirror)


def glass(rng: np.random.Generator) -> Material:
    """Dark panes that mirror: their plane is the truth, not what is seen in them."""
    tone = rng.uniform(0.1, 0.4)
    material = surface(rng, ("plain",), (tone, tone * 1.05, tone * 1.1), 0.5, (1, 3), (0, 0.1), 0.6, 150)
    return replace(material, mirror=float(rng.uniform(0.4, 1.0)))


def weak_ground(rng: np.random.Generator) -> Material:
    """Ground with next to no texture, or one that repeats: concrete, tar, paving; some are wet."""
    tone = rng.uniform(0.25, 0.98)
    high = hsv(rng.uniform(0.02, 0.7), rng.uniform(0, 0.15), tone)
    if rng.random() < 0.6:
        material = surface(
            rng, ("plain", "noise", "asphalt"), high, rng.uniform(0.03, 0.3), (1.0, 6), (0.0, 0.12)
        )
    else:
        material = surface(
            rng, ("tiles", "bricks", "stripes"), high, rng.uniform(0.1, 0.5), (0.5, 3), (0.0, 0.1)
        )
    return polished(rng, material) if rng.random() < 0.4 else material


def exposure(rng: np.random.Generator) -> float:
    """Return a target for the mean of the image: most are well exposed, some burnt out, some dark."""
    kind = rng.random()
    if kind < 0.3:
        return float(rng.uniform(0.6, 1.05))
    return float(rng.uniform(0.12, 0.3) if kind < 0.42 else rng.uniform(0.3, 0.58))


def floor(rng: np.random.Generator) -> Material:
    """Planks, tiles, carpet, stone, plain screed; many are polished."""
    if rng.random() < 0.2:
        return weak_ground(rng)
    if rng.random() < 0.6:
        return polished(rng, _floor(rng))
    return _floor(rng)


def _floor(rng: np.random.Generator) -> Material:
    kind = rng.random()
    if kind < 0.4:
        high = hsv(rng.uniform(0.05, 0.11), rng.uniform(0.3, 0.7), rng.uniform(0.45, 0.95))
        return surface(rng, ("wood",), high, 0.55, (0.7, 1.8), gloss=rng.choice([0.0, 0.12]), shininess=30)
    if kind < 0.65:
        return surface(
            rng, ("tiles", "stones"), colour(rng, (0, 0.3), (0.5, 0.95)), 0.5, (0.6, 2), gloss=0.08
        )
    return surface(
        rng,
        ("noise", "asphalt", "stripes", "blotches", "marble"),
        colour(rng),
        rng.uniform(0.2, 0.6),
        (0.3, 1.5),
    )


def wood(rng: np.random.Generator) -> Material:
    """Furniture wood."""
    high = hsv(rng.uniform(0.05, 0.11), rng.uniform(0.25, 0.7), rng.uniform(0.35, 0.95))
    return surface(rng, ("wood",), high, rng.uniform(0.3, 0.6), (0.5, 1.5), gloss=rng.choice([0.0, 0.1]))


def fabric(rng: np.random.Generator) -> Material:
    """Cloth: plain, striped, patterned."""
    return surface(
        rng, ("stripes", "noise", "blotches", "plain"), colour(rng), rng.uniform(0.1, 0.7), (0.15, 0.8)
    )


def plastic(rng: np.random.Generator) -> Material:
    """Smooth, coloured, glossy."""
    return surface(
        rng,
        ("plain",),
        colour(rng, (0, 0.9)),
        0.3,
        (0.5, 2),
        (0, 0.08),
        rng.uniform(0.1, 0.5),
        rng.uniform(20, 90),
    )


def metal(rng: np.random.Generator) -> Material:
    """Grey, glossy."""
    tone = rng.uniform(0.2, 0.8)
    return surface(
        rng, ("plain", "noise"), (tone, tone, tone), 0.3, (0.3, 1), (0, 0.1), rng.uniform(0.1, 0.4), 40
    )


def paper(rng: np.random.Generator, *groups: str) -> Material:
    """A poster, page, label or row of books, stretched over its patch."""
    texture = texture_atlas().pick(rng, *(groups or ("picture", "landscape", "text", "books")))
    dim = float(rng.uniform(0.7, 1.0))
    return Material(
        texture=texture, tile_m=None, high=(dim, dim, dim), gloss=float(rng.choice([0.0, 0.1])), shininess=60
    )


def carton(rng: np.random.Generator) -> Material:
    """Boxes: cardboard, packages, toys."""
    kind = rng.random()
    if kind < 0.3:
        return surface(rng, ("plain", "noise"), hsv(0.08, rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.9)), 0.3)
    if kind < 0.65:
        return paper(rng)
    return wild(rng)


def wild(rng: np.random.Generator) -> Material:
    """Any texture in any colours: not real, but it keeps a matcher from learning what things look like."""
    material = surface(rng, ANY, colour(rng, (0, 1.0), (0.3, 1.0)), 0.5, (0.15, 3.0), (0, 0.6))
    material = replace(material, low=colour(rng, (0, 1), (0, 0.6)), angle=float(rng.uniform(0, 2 * np.pi)))
    stretch = float(np.exp(rng.normal(0, 0.3)))
    material = replace(material, tile_m=(material.tile_m[0] * stretch, material.tile_m[1] / stretch))  # type: ignore[index]
    return (
        replace(material, gloss=float(rng.uniform(0, 0.4)), shininess=float(rng.uniform(5, 60)))
        if rng.random() < 0.3
        else material
    )


def leaves(rng: np.random.Generator, group: str = "foliage") -> Material:
    """A stretched cut-out of leaves, branches or blades."""
    green = hsv(rng.uniform(0.16, 0.38), rng.uniform(0.3, 0.8), rng.uniform(0.45, 0.95))
    if rng.random() < 0.08:
        green = hsv(rng.uniform(0.0, 0.15), rng.uniform(0.4, 0.9), rng.uniform(0.5, 0.95))
    return Material(
        texture=texture_atlas().pick(rng, group), tile_m=None, low=darker(green, 0.15), high=green
    )


def cut(rng: np.random.Generator, group: str) -> Material:
    """A stretched cut-out of any colour (fences, grids)."""
    high = colour(rng, (0, 0.4), (0.15, 0.95))
    return Material(
        texture=texture_atlas().pick(rng, group), tile_m=None, low=darker(high, 0.4), high=high, gloss=0.1
    )
