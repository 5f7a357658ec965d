"""Procedural surfaces, all tileable, and the table of everything that is baked into the texture atlas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recon3d_ros.world.textures import cutouts, prints
from recon3d_ros.world.textures.noise import GRID, SIZE, spectral_noise


def _grey(value: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(value, 0, 1)[:, :, None], 3, axis=2)


def _cells(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (nearest, second nearest distance in tiles, owner) of random points on the torus."""
    points = rng.random((count, 2)).astype(np.float32)
    first = np.full((SIZE, SIZE), 9.0, np.float32)
    second, owner = first.copy(), np.zeros((SIZE, SIZE), np.int32)
    for k, (px, py) in enumerate(points):
        dx = np.abs(GRID - px)
        dy = np.abs(GRID - py)
        distance = np.hypot(np.minimum(dx, 1 - dx)[None], np.minimum(dy, 1 - dy)[:, None])
        closer = distance < first
        second = np.where(closer, first, np.minimum(second, distance))
        owner[closer] = k
        first = np.minimum(first, distance)
    return first, second, owner


def noise(rng: np.random.Generator) -> np.ndarray:
    """Cloudy to grainy noise."""
    return _grey(spectral_noise(rng, rng.uniform(0.4, 1.6), low=rng.choice([1, 3, 8])))


def plain(rng: np.random.Generator) -> np.ndarray:
    """A nearly textureless wall: faint large stains and a faint grain."""
    stains = spectral_noise(rng, 1.6, high=12) - 0.5
    grain = spectral_noise(rng, 0.3, low=20) - 0.5
    return _grey(0.75 + rng.uniform(0.03, 0.2) * stains + rng.uniform(0.01, 0.1) * grain)


def blotches(rng: np.random.Generator) -> np.ndarray:
    """Two or three tones with soft or hard borders."""
    a = spectral_noise(rng, 0.5, low=3, high=rng.uniform(8, 24))
    edge = rng.uniform(0.01, 0.1)
    value = 1 / (1 + np.exp(-(a - 0.5) / edge * 2))
    return _grey(0.2 + 0.6 * value + 0.2 * spectral_noise(rng, 0.8) - 0.1)


def colour_blotches(rng: np.random.Generator) -> np.ndarray:
    """Coloured noise, the kind nothing in the world has but every matcher should handle."""
    power, low = rng.uniform(0.3, 1.4), rng.choice([1, 2, 6])
    return np.stack([spectral_noise(rng, power, low=low) for _ in range(3)], axis=2)


def wood(rng: np.random.Generator) -> np.ndarray:
    """Planks or plain grain running along v."""
    warp = spectral_noise(rng, 1.5, high=10)
    grain = spectral_noise(rng, 0.7, squash=(1.0, rng.uniform(6, 16)))
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.integers(3, 8) * GRID[None] + 3 * warp))
    value = 0.25 * rings + 0.75 * grain
    planks = int(rng.choice([1, 2, 4, 8]))
    if planks > 1:
        row = (GRID * planks).astype(int)
        tone = rng.uniform(-0.18, 0.18, planks)[row]
        gap = ((GRID * planks) % 1.0) < 0.03
        joint = np.abs(GRID[:, None] - rng.random(planks)[row][None]) < 0.004
        value = np.where(gap[None] | joint, 0.05, value + tone[None])
    return _grey(value)


def bricks(rng: np.random.Generator) -> np.ndarray:
    """Bricks or wall tiles in a running or stacked bond with mortar and per-brick tone."""
    rows, columns = int(rng.choice([4, 8, 12, 16])), int(rng.choice([2, 4, 6, 8]))
    row = np.floor(GRID * rows).astype(int)
    shift = (row % 2) * (0.5 if rng.random() < 0.7 and rows % 2 == 0 else 0.0)
    x = (GRID[None] * columns + shift[:, None]) % columns
    y = (GRID * rows)[:, None] % 1.0
    tone = rng.normal(0, rng.uniform(0.02, 0.16), (rows, columns))[row[:, None], x.astype(int) % columns]
    gap_x, gap_y = rng.uniform(0.02, 0.08), rng.uniform(0.05, 0.18)
    mortar = ((x % 1.0) < gap_x) | (y < gap_y)
    face = 0.5 + tone + 0.3 * (spectral_noise(rng, 0.6) - 0.5)
    return _grey(np.where(mortar, rng.choice([0.9, 0.15]), face))


def tiles(rng: np.random.Generator) -> np.ndarray:
    """Square tiles, checkered or plain, with joints."""
    count = int(rng.choice([2, 4, 8]))
    cell = np.floor(GRID * count).astype(int)
    checker = ((cell[None] + cell[:, None]) % 2) * rng.choice([0.0, 0.1, 0.5, 0.8])
    tone = rng.normal(0, 0.04, (count, count))[cell[:, None], cell[None]]
    line = ((GRID * count) % 1.0) < rng.uniform(0.02, 0.08)
    value = 0.85 - checker + tone + 0.12 * (spectral_noise(rng, 1.0) - 0.5)
    return _grey(np.where(line[None] | line[:, None], 0.35, value))


def stripes(rng: np.random.Generator) -> np.ndarray:
    """Fabric or wallpaper stripes, one way or both, regular or random."""
    count = int(rng.choice([4, 8, 16, 32]))
    tone = rng.random(count) if rng.random() < 0.6 else np.arange(count) % 2
    across = tone[(GRID * count).astype(int)]
    value = np.repeat(across[None], SIZE, 0)
    if rng.random() < 0.4:
        value = 0.5 * (value + across[:, None])
    weave = spectral_noise(rng, 0.1, low=30) - 0.5
    return _grey(0.1 + 0.8 * value + 0.15 * weave)


def stones(rng: np.random.Generator) -> np.ndarray:
    """Cobbles, crazy paving, leather or giraffe cells."""
    first, second, owner = _cells(rng, int(rng.integers(20, 200)))
    tone = rng.uniform(0.3, 0.8, owner.max() + 1)[owner]
    scale = float(np.median(second - first)) + 1e-6
    rim = np.clip((second - first) / (0.5 * scale), 0, 1)
    return _grey(tone * (0.25 + 0.75 * rim) + 0.2 * (spectral_noise(rng, 0.6) - 0.5))


def asphalt(rng: np.random.Generator) -> np.ndarray:
    """Fine bright and dark grains over faint stains."""
    grain = spectral_noise(rng, 0.15, low=12)
    return _grey(0.5 + 0.9 * (grain - 0.5) + 0.5 * (spectral_noise(rng, 1.4, high=10) - 0.5))


def grass(rng: np.random.Generator) -> np.ndarray:
    """Many short strokes."""
    return cutouts.strokes(rng, SIZE)


def marble(rng: np.random.Generator) -> np.ndarray:
    """Veins along the zero crossings of noise."""
    a = np.abs(spectral_noise(rng, 1.3) - 0.5)
    return _grey(
        1 - np.exp(-a * rng.uniform(8, 30)) * rng.uniform(0.4, 0.9) + 0.1 * (spectral_noise(rng, 1) - 0.5)
    )


def leafage(rng: np.random.Generator) -> np.ndarray:
    """Dense leaves, the bright ones on top."""
    return cutouts.leaf_carpet(rng, SIZE)


#: Group -> (pattern, how many variants).
PATTERNS: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], int]] = {
    "noise": (noise, 8),
    "plain": (plain, 8),
    "blotches": (blotches, 6),
    "colour": (colour_blotches, 6),
    "wood": (wood, 8),
    "bricks": (bricks, 8),
    "tiles": (tiles, 6),
    "stripes": (stripes, 8),
    "stones": (stones, 6),
    "asphalt": (asphalt, 4),
    "grass": (grass, 4),
    "marble": (marble, 3),
    "text": (prints.text, 5),
    "picture": (prints.picture, 16),
    "landscape": (prints.landscape, 6),
    "leafage": (leafage, 4),
    "books": (prints.books, 5),
    "facade": (prints.facade, 8),
}


def bake_all(seed: int = 20240) -> dict[str, list[np.ndarray]]:
    """Return group -> list of (SIZE, SIZE, 4) uint8 textures, the same for the same seed.

    Every texture has random numbers of its own, so that a new or changed one leaves all others alone.
    """
    groups: dict[str, list[np.ndarray]] = {}
    for group, (pattern, count) in PATTERNS.items():
        groups[group] = []
        for rng in _generators(seed, group, count):
            colour = np.clip(pattern(rng), 0, 1)
            rgba = np.concatenate([colour, np.ones((SIZE, SIZE, 1))], axis=2)
            groups[group].append(np.rint(rgba * 255).astype(np.uint8))
    for group, (cut, count) in cutouts.CUTOUTS.items():
        groups[group] = [cut(rng, SIZE) for rng in _generators(seed, group, count)]
    return groups


def _generators(seed: int, group: str, count: int) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, *group.encode(), k]) for k in range(count)]
