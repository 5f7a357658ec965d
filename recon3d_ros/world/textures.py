"""Procedural textures, all tileable, baked once: (SIZE, SIZE, 4) uint8 RGBA, alpha is the outline of cut-outs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from recon3d_ros.world import cutouts

SIZE = 256
_GRID = np.arange(SIZE, dtype=np.float32) / SIZE


def spectral_noise(
    rng: np.random.Generator, power: float, low: float = 1.0, high: float = 128.0, squash=(1.0, 1.0)
):
    """Return tileable Gaussian noise in [0, 1] with amplitude spectrum f**-power between two frequencies (1/tile)."""
    f = np.fft.fftfreq(SIZE) * SIZE
    radius = np.hypot(f[None, :] * squash[0], f[:, None] * squash[1])
    gain = np.where((radius >= low) & (radius <= high), np.maximum(radius, 1e-3) ** -power, 0.0)
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIZE, SIZE))) * gain).real
    noise = noise / (noise.std() + 1e-12)
    return np.clip(0.5 + 0.22 * noise, 0, 1).astype(np.float32)


def _grey(value: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(value, 0, 1)[:, :, None], 3, axis=2)


def _cells(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (nearest, second nearest distance in tiles, owner) of random points on the torus."""
    points = rng.random((count, 2)).astype(np.float32)
    first = np.full((SIZE, SIZE), 9.0, np.float32)
    second, owner = first.copy(), np.zeros((SIZE, SIZE), np.int32)
    for k, (px, py) in enumerate(points):
        dx = np.abs(_GRID - px)
        dy = np.abs(_GRID - py)
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
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.integers(3, 8) * _GRID[None] + 3 * warp))
    value = 0.25 * rings + 0.75 * grain
    planks = int(rng.choice([1, 2, 4, 8]))
    if planks > 1:
        row = (_GRID * planks).astype(int)
        value = np.stack(
            [
                np.roll(value[:, x], rng.integers(SIZE) if x % (SIZE // planks) == 0 else 0)
                for x in range(SIZE)
            ],
            1,
        )
        tone = rng.uniform(-0.18, 0.18, planks)[row]
        gap = ((_GRID * planks) % 1.0) < 0.03
        joint = np.abs(_GRID[:, None] - rng.random(planks)[row][None]) < 0.004
        value = np.where(gap[None] | joint, 0.05, value + tone[None])
    return _grey(value)


def bricks(rng: np.random.Generator) -> np.ndarray:
    """Bricks or wall tiles in a running or stacked bond with mortar and per-brick tone."""
    rows, columns = int(rng.choice([4, 8, 12, 16])), int(rng.choice([2, 4, 6, 8]))
    row = np.floor(_GRID * rows).astype(int)
    shift = (row % 2) * (0.5 if rng.random() < 0.7 and rows % 2 == 0 else 0.0)
    x = (_GRID[None] * columns + shift[:, None]) % columns
    y = (_GRID * rows)[:, None] % 1.0
    tone = rng.normal(0, rng.uniform(0.02, 0.16), (rows, columns))[row[:, None], x.astype(int) % columns]
    gap_x, gap_y = rng.uniform(0.02, 0.08), rng.uniform(0.05, 0.18)
    mortar = ((x % 1.0) < gap_x) | (y < gap_y)
    face = 0.5 + tone + 0.3 * (spectral_noise(rng, 0.6) - 0.5)
    return _grey(np.where(mortar, rng.choice([0.9, 0.15]), face))


def tiles(rng: np.random.Generator) -> np.ndarray:
    """Square tiles, checkered or plain, with joints."""
    count = int(rng.choice([2, 4, 8]))
    cell = np.floor(_GRID * count).astype(int)
    checker = ((cell[None] + cell[:, None]) % 2) * rng.choice([0.0, 0.1, 0.5, 0.8])
    tone = rng.normal(0, 0.04, (count, count))[cell[:, None], cell[None]]
    line = ((_GRID * count) % 1.0) < rng.uniform(0.02, 0.08)
    value = 0.85 - checker + tone + 0.12 * (spectral_noise(rng, 1.0) - 0.5)
    return _grey(np.where(line[None] | line[:, None], 0.35, value))


def stripes(rng: np.random.Generator) -> np.ndarray:
    """Fabric or wallpaper stripes, one way or both, regular or random."""
    count = int(rng.choice([4, 8, 16, 32]))
    tone = rng.random(count) if rng.random() < 0.6 else np.arange(count) % 2
    across = tone[(_GRID * count).astype(int)]
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


def text(rng: np.random.Generator) -> np.ndarray:
    """Lines of something that looks like print."""
    page = np.full((SIZE, SIZE, 3), float(rng.uniform(0.8, 1)), np.float32)
    ink = rng.uniform(0, 0.4, 3)
    y = 12
    while y < SIZE - 10:
        height = int(rng.choice([5, 6, 7, 14, 20], p=[0.3, 0.3, 0.2, 0.1, 0.1]))
        x = 14
        while x < SIZE - 20:
            word = int(rng.integers(1, 8))
            for _ in range(word):
                if x > SIZE - 16:
                    break
                wide = max(3, int(height * 0.6))
                a, b = (x, y + int(rng.integers(0, height // 2))), (x + wide - 2, y + height)
                page[a[1] : b[1], a[0] : a[0] + max(1, height // 5)] = ink
                if rng.random() < 0.7:
                    page[y + height // 2 : y + height // 2 + max(1, height // 6), a[0] : b[0]] = ink
                if rng.random() < 0.5:
                    page[a[1] : b[1], b[0] - max(1, height // 5) : b[0]] = ink
                x += wide
            x += height // 2 + 2
            if rng.random() < 0.06:
                break
        y += int(height * 1.7)
    return page


def picture(rng: np.random.Generator) -> np.ndarray:
    """A poster: a gradient with coloured shapes and some print."""
    ramp = _GRID[:, None, None] if rng.random() < 0.5 else _GRID[None, :, None]
    image = rng.random(3) * ramp + rng.random(3) * (1 - ramp)
    image = np.ascontiguousarray(np.broadcast_to(image, (SIZE, SIZE, 3)), np.float32)
    for _ in range(int(rng.integers(3, 30))):
        colour = rng.random(3).tolist()
        centre, size = rng.integers(0, SIZE, 2).tolist(), rng.integers(4, 90, 2).tolist()
        kind = rng.integers(3)
        if kind == 0:
            cv2.ellipse(image, centre, size, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        elif kind == 1:
            corners = rng.integers(-60, 60, (int(rng.integers(3, 6)), 2)) + centre
            cv2.fillPoly(image, [corners.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            cv2.line(
                image, centre, rng.integers(0, SIZE, 2).tolist(), colour, int(rng.integers(1, 9)), cv2.LINE_AA
            )
    if rng.random() < 0.5:
        words = "".join(rng.choice(list("ABCDEFGHKLMNOPRSTUVWXYZ 0123456789"), 9))
        at = (int(rng.integers(5, 60)), int(rng.integers(50, 240)))
        cv2.putText(
            image,
            words,
            at,
            int(rng.integers(0, 7)),
            rng.uniform(0.8, 1.6),
            rng.random(3).tolist(),
            3,
            cv2.LINE_AA,
        )
    return np.clip(image + 0.05 * (spectral_noise(rng, 0.5)[:, :, None] - 0.5), 0, 1)


def landscape(rng: np.random.Generator) -> np.ndarray:
    """A painting: sky, sun, ridges one before the other."""
    sky = np.linspace(0, 1, SIZE)[:, None, None] ** 0.7
    image = rng.uniform(0.3, 0.9, 3) * (1 - sky) + rng.uniform(0.75, 1.0, 3) * sky
    image = np.ascontiguousarray(np.broadcast_to(image, (SIZE, SIZE, 3)), np.float32)
    disc = (int(rng.integers(30, 226)), int(rng.integers(30, 110)))
    cv2.circle(
        image, disc, int(rng.integers(10, 28)), (1.0, 0.93, float(rng.uniform(0.5, 0.9))), -1, cv2.LINE_AA
    )
    ridges, tone = int(rng.integers(3, 6)), rng.uniform(0.35, 0.75, 3)
    for k in range(ridges):
        walk = np.cumsum(rng.normal(0, 1, SIZE))
        walk = cv2.blur((walk - np.linspace(walk[0], walk[-1], SIZE)).reshape(1, -1), (2 * k + 9, 1)).ravel()
        top = SIZE * (0.4 + 0.5 * k / ridges) - (2.2 - 0.25 * k) * walk
        below = np.arange(SIZE)[:, None] >= top[None]
        grain = 1 + 0.25 * (spectral_noise(rng, 0.8, low=4) - 0.5)
        colour = tone * (1 - 0.75 * k / ridges) * rng.uniform(0.85, 1.15, 3)
        image = np.where(below[:, :, None], colour * grain[:, :, None], image)
    return np.clip(image + 0.08 * (spectral_noise(rng, 0.3, low=10)[:, :, None] - 0.5), 0, 1)


def leafage(rng: np.random.Generator) -> np.ndarray:
    """Dense leaves, the bright ones on top."""
    return cutouts.leaf_carpet(rng, SIZE)


def books(rng: np.random.Generator) -> np.ndarray:
    """A row of book spines."""
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    x = 0
    while x < SIZE:
        wide, tall = int(rng.integers(8, 26)), int(rng.integers(0, 60))
        colour = rng.uniform(0.05, 0.95, 3)
        image[:, x : x + wide] = 0.08
        image[tall:, x + 1 : x + wide] = colour
        for _ in range(int(rng.integers(0, 5))):
            y = int(rng.integers(tall, SIZE - 12))
            image[y : y + int(rng.integers(2, 12)), x + 2 : x + wide - 2] = np.clip(
                colour + rng.normal(0, 0.5), 0, 1
            )
        x += wide
    return image


def facade(rng: np.random.Generator) -> np.ndarray:
    """Windows with frames in a plastered wall."""
    columns, rows = int(rng.choice([2, 3, 4])), int(rng.choice([2, 3, 4]))
    wall = 0.65 + 0.3 * (spectral_noise(rng, 1.0) - 0.5) + 0.12 * (spectral_noise(rng, 0.1, low=25) - 0.5)
    image = wall[:, :, None] * rng.uniform(0.75, 1.0, 3).astype(np.float32)
    wide, tall = SIZE / columns, SIZE / rows
    frame = rng.uniform(0.2, 0.95) * rng.uniform(0.8, 1.0, 3)
    sill = rng.uniform(0.3, 0.95)
    part_w, part_h = rng.uniform(0.35, 0.6), rng.uniform(0.4, 0.65)
    for r in range(rows):
        for c in range(columns):
            x0, x1 = int((c + 0.5 - part_w / 2) * wide), int((c + 0.5 + part_w / 2) * wide)
            y0, y1 = int((r + 0.5 - part_h / 2) * tall), int((r + 0.5 + part_h / 2) * tall)
            image[y0 - 3 : y1 + 3, x0 - 3 : x1 + 3] = frame
            glass = rng.uniform(0.05, 0.45) + 0.25 * np.linspace(0, 1, max(y1 - y0, 1))[:, None, None]
            image[y0:y1, x0:x1] = glass * np.array([0.85, 0.95, 1.0])
            middle = (x0 + x1) // 2
            image[y0:y1, middle - 1 : middle + 1] = frame
            image[y1 + 2 : y1 + 6, x0 - 6 : x1 + 6] = sill
    return np.clip(image, 0, 1)


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
    "text": (text, 5),
    "picture": (picture, 16),
    "landscape": (landscape, 6),
    "leafage": (leafage, 4),
    "books": (books, 5),
    "facade": (facade, 8),
}


def bake_all(seed: int = 20240) -> dict[str, list[np.ndarray]]:
    """Return group -> list of (SIZE, SIZE, 4) uint8 textures, the same for the same seed."""
    rng = np.random.default_rng(seed)
    groups: dict[str, list[np.ndarray]] = {}
    for group, (pattern, count) in PATTERNS.items():
        groups[group] = []
        for _ in range(count):
            colour = np.clip(pattern(rng), 0, 1)
            rgba = np.concatenate([colour, np.ones((SIZE, SIZE, 1))], axis=2)
            groups[group].append(np.rint(rgba * 255).astype(np.uint8))
    for group, (cut, count) in cutouts.CUTOUTS.items():
        groups[group] = [cut(rng, SIZE) for _ in range(count)]
    return groups
