"""Textures with an outline: leaves, branches, fences. Drawn four times larger, then averaged down."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np


def strokes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return (size, size, 3) float of short blades of many tones, tileable."""
    image = np.full((size, size), 0.35, np.float32)
    for _ in range(2600):
        x, y = rng.integers(0, size, 2)
        angle, length = rng.normal(-np.pi / 2, 0.6), rng.uniform(5, 18)
        dx, dy = int(length * np.cos(angle)), int(length * np.sin(angle))
        tone = float(rng.uniform(0.1, 0.95))
        for sx in (0, size if x < 20 else -size if x > size - 20 else 0):
            for sy in (0, size if y < 20 else -size if y > size - 20 else 0):
                cv2.line(
                    image,
                    (int(x + sx), int(y + sy)),
                    (int(x + sx + dx), int(y + sy + dy)),
                    tone,
                    1,
                    cv2.LINE_AA,
                )
    return np.repeat(np.clip(image, 0, 1)[:, :, None], 3, 2)


def leaf_carpet(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return (size, size, 3) float of overlapping leaves, tileable; the last and brightest lie on top."""
    image = np.full((size, size), 0.05, np.float32)
    length, count = float(rng.uniform(5, 12)), 1400
    for k in range(count):
        x, y = rng.integers(0, size, 2)
        axes = (int(length * rng.uniform(0.7, 1.2)), max(1, int(length * rng.uniform(0.3, 0.5))))
        turn, tone = (float(rng.uniform(0, 360)), float((0.15 + 0.7 * k / count) * rng.uniform(0.6, 1.2)))
        for sx in (-size, 0, size):
            for sy in (-size, 0, size):
                if -20 < x + sx < size + 20 and -20 < y + sy < size + 20:
                    cv2.ellipse(image, (int(x + sx), int(y + sy)), axes, turn, 0, 360, tone, -1, cv2.LINE_AA)
    return np.repeat(np.clip(image, 0, 1)[:, :, None], 3, 2)


def _finish(tone: np.ndarray, alpha: np.ndarray, size: int) -> np.ndarray:
    """Shrink to (size, size, 4) uint8; the colour bleeds outwards so that mip levels have no dark rims."""
    tone = np.where(alpha > 0, tone, float(tone[alpha > 0].mean()) if (alpha > 0).any() else 0.5)
    tone = cv2.resize(tone.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.rint(255 * np.clip(np.stack([tone, tone, tone, alpha], 2), 0, 1)).astype(np.uint8)


def foliage(rng: np.random.Generator, size: int) -> np.ndarray:
    """A cluster of leaves, denser in the middle."""
    big = 2 * size
    tone, alpha = np.zeros((big, big), np.float32), np.zeros((big, big), np.float32)
    count, length = int(rng.integers(90, 320)), rng.uniform(12, 34)
    for _ in range(count):
        radius, angle = big * 0.44 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        centre = (int(big / 2 + radius * np.cos(angle)), int(big / 2 + radius * np.sin(angle)))
        axes = (int(length * rng.uniform(0.6, 1.2)), max(2, int(length * rng.uniform(0.25, 0.5))))
        turn = float(rng.uniform(0, 360))
        cv2.ellipse(tone, centre, axes, turn, 0, 360, float(rng.uniform(0.15, 1.0)), -1)
        cv2.ellipse(alpha, centre, axes, turn, 0, 360, 1.0, -1)
    return _finish(tone, alpha, size)


def branches(rng: np.random.Generator, size: int) -> np.ndarray:
    """A bare shrub: lines that fork upwards."""
    big = 2 * size
    tone, alpha = np.zeros((big, big), np.float32), np.zeros((big, big), np.float32)

    def grow(x: float, y: float, angle: float, length: float, thick: float) -> None:
        if length < 14:
            return
        x2, y2 = x + length * np.cos(angle), y - length * np.sin(angle)
        shade, width = float(rng.uniform(0.3, 0.9)), max(2, int(thick))
        cv2.line(tone, (int(x), int(y)), (int(x2), int(y2)), shade, width)
        cv2.line(alpha, (int(x), int(y)), (int(x2), int(y2)), 1.0, width)
        for _ in range(int(rng.integers(2, 4))):
            grow(x2, y2, angle + rng.normal(0, 0.5), length * rng.uniform(0.55, 0.85), thick * 0.7)

    grow(big / 2, big - 1, np.pi / 2, big * rng.uniform(0.16, 0.26), 16)
    return _finish(tone, alpha, size)


def blades(rng: np.random.Generator, size: int) -> np.ndarray:
    """A tuft of grass or the leaves of a pot plant, rising from the bottom edge."""
    big = 2 * size
    tone, alpha = np.zeros((big, big), np.float32), np.zeros((big, big), np.float32)
    for _ in range(int(rng.integers(12, 60))):
        foot = big * rng.uniform(0.35, 0.65)
        tip = (foot + big * rng.normal(0, 0.22), big * rng.uniform(0.02, 0.6))
        bend = (foot + 0.2 * (tip[0] - foot), big * 0.55)
        t = np.linspace(0, 1, 16)[:, None]
        line = (1 - t) ** 2 * np.array([foot, big]) + 2 * t * (1 - t) * np.array(bend) + t**2 * np.array(tip)
        wide = rng.uniform(4, 14) * (1 - t[:, 0]) + 1
        ribbon = np.concatenate(
            [line - wide[:, None] * [1, 0], (line + wide[:, None] * [1, 0])[::-1]]
        ).astype(np.int32)
        cv2.fillPoly(tone, [ribbon], float(rng.uniform(0.25, 1.0)))
        cv2.fillPoly(alpha, [ribbon], 1.0)
    return _finish(tone, alpha, size)


def fence(rng: np.random.Generator, size: int) -> np.ndarray:
    """Bars, pickets, chain link or a grid."""
    big = 2 * size
    u = np.arange(big) / big
    kind, count = int(rng.integers(4)), int(rng.choice([4, 6, 8, 12]))
    wide = {0: 0.16, 1: 0.6, 2: 0.12, 3: 0.12}[kind]
    bars = np.abs((u * count) % 1.0 - 0.5) < wide / 2
    if kind < 2:
        rails = (np.abs(u - 0.12) < 0.02) | (np.abs(u - 0.85) < 0.02)
        alpha = bars[None] | rails[:, None]
    elif kind == 2:
        alpha = bars[None] | bars[:, None]
    else:
        plus, minus = (u[None] + u[:, None]) * count, (u[None] - u[:, None]) * count
        alpha = (np.abs(plus % 1.0 - 0.5) < wide / 2) | (np.abs(minus % 1.0 - 0.5) < wide / 2)
    tone = np.broadcast_to(0.5 + 0.4 * np.sin(2 * np.pi * u * count)[None], (big, big))
    return _finish(tone, alpha.astype(np.float32), size)


def mesh(rng: np.random.Generator, size: int) -> np.ndarray:
    """Thin wire: a grid, chain link or upright wires with two rails."""
    big = 2 * size
    u = np.arange(big) / big
    kind, count = int(rng.integers(3)), int(rng.integers(5, 22))
    wide = max(0.05, 4.2 * count / big)  # a wire of about two texels keeps its outline

    def lines(at: np.ndarray) -> np.ndarray:
        return np.abs((at * count) % 1.0 - 0.5) < wide / 2

    if kind == 0:
        alpha = lines(u)[None] | lines(u)[:, None]
    elif kind == 1:
        alpha = lines(u[None] + u[:, None]) | lines(u[None] - u[:, None])
    else:
        rails = (np.abs(u - 0.03) < 0.02) | (np.abs(u - 0.6) < 0.012)
        alpha = lines(u)[None] | rails[:, None]
    tone = np.broadcast_to(0.6 + 0.2 * np.sin(2 * np.pi * u * count)[None], (big, big))
    return _finish(tone, alpha.astype(np.float32), size)


CUTOUTS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], int]] = {
    "foliage": (foliage, 8),
    "branches": (branches, 4),
    "blades": (blades, 4),
    "fence": (fence, 8),
    "mesh": (mesh, 6),
}
