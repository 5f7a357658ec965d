"""Textures that show something: print, posters, paintings, book spines, facades. (SIZE, SIZE, 3) float."""

from __future__ import annotations

import cv2
import numpy as np

from recon3d_ros.world.textures.noise import GRID, SIZE, spectral_noise


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
                a, b = ((x, y + int(rng.integers(0, height // 2))), (x + wide - 2, y + height))
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
    ramp = GRID[:, None, None] if rng.random() < 0.5 else GRID[None, :, None]
    image = rng.random(3) * ramp + rng.random(3) * (1 - ramp)
    image = np.ascontiguousarray(np.broadcast_to(image, (SIZE, SIZE, 3)), np.float32)
    for _ in range(int(rng.integers(3, 30))):
        colour = rng.random(3).tolist()
        centre, size = (rng.integers(0, SIZE, 2).tolist(), rng.integers(4, 90, 2).tolist())
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
        steps = np.cumsum(rng.normal(0, 1, SIZE))
        level = (steps - np.linspace(steps[0], steps[-1], SIZE)).reshape(1, -1)
        walk = cv2.blur(level, (2 * k + 9, 1)).ravel()
        top = SIZE * (0.4 + 0.5 * k / ridges) - (2.2 - 0.25 * k) * walk
        below = np.arange(SIZE)[:, None] >= top[None]
        grain = 1 + 0.25 * (spectral_noise(rng, 0.8, low=4) - 0.5)
        colour = tone * (1 - 0.75 * k / ridges) * rng.uniform(0.85, 1.15, 3)
        image = np.where(below[:, :, None], colour * grain[:, :, None], image)
    return np.clip(image + 0.08 * (spectral_noise(rng, 0.3, low=10)[:, :, None] - 0.5), 0, 1)


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
            x0, x1 = (int((c + 0.5 - part_w / 2) * wide), int((c + 0.5 + part_w / 2) * wide))
            y0, y1 = (int((r + 0.5 - part_h / 2) * tall), int((r + 0.5 + part_h / 2) * tall))
            image[y0 - 3 : y1 + 3, x0 - 3 : x1 + 3] = frame
            glass = rng.uniform(0.05, 0.45) + 0.25 * np.linspace(0, 1, max(y1 - y0, 1))[:, None, None]
            image[y0:y1, x0:x1] = glass * np.array([0.85, 0.95, 1.0])
            middle = (x0 + x1) // 2
            image[y0:y1, middle - 1 : middle + 1] = frame
            image[y1 + 2 : y1 + 6, x0 - 6 : x1 + 6] = sill
    return np.clip(image, 0, 1)
