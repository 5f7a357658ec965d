"""Paste posts, fences, branches and near boards into a pair: what is rare, a network needs to see often.

It loses narrow things otherwise, and what is so near that its disparity is large. Each thing is a bundle of
straight bars, drawn into both images with the same surface; what is nearer hides it, in both, and the truth
becomes that of what the left camera sees (Copy-Paste, Ghiasi et al., CVPR 2021, with the geometry of a pair).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from recon3d_ros.geometry.left_right import seen_from_right
from recon3d_ros.training.samples.store import Pair

# How many things a crop gets that gets some.
MOST_THINGS = 3
# Of the things: a post that stands where its foot is seen, a post from border to border, a fence, branches, a
# board close to the camera.
KINDS = ("standing", "crossing", "fence", "branches", "board")
KIND_SHARES = (0.3, 0.25, 0.1, 0.2, 0.15)
# Widths across a bar, and across a board, px of the crop; log-uniform.
WIDTHS_PX, BOARD_WIDTHS_PX = (1.5, 16.0), (16.0, 140.0)
# Of a board, as a share of the width of the crop.
BOARD_DISPARITY = (0.15, 0.5)
# Of so many places, a thing stands before that with the most contrast: there a narrow one is lost first.
PLACES = 3
# Nearer than what is behind it by so much at least, px.
LEAST_STEP_PX = 2.0


@dataclass(frozen=True)
class Bar:
    """A straight bar, px of the left image.

    Attributes:
        x: Column of a point of it.
        y: Row of this point.
        angle: Between the bar and the column, radians; 0 goes up, positive to the right.
        length: From the point to the upper end.
        width: Across.
        disparity: At row `y`.
        lean: How the disparity changes by row, px per px.
        below: From the point to the lower end.
    """

    x: float
    y: float
    angle: float
    length: float
    width: float
    disparity: float
    lean: float = 0.0
    below: float = 0.0


def paste_things(pair: Pair, rng: np.random.Generator) -> Pair:
    """A pair with one to `MOST_THINGS` narrow things more.

    Args:
        pair: Left and right (h, w, 3) uint8, disparity (h, w) float32 px, NaN = unknown. Not changed.
        rng: Where all chance comes from.
    """
    left, right, disparity = (plane.copy() for plane in pair)
    nearest = [disparity, seen_from_right(disparity)]
    for _ in range(int(rng.integers(1, MOST_THINGS + 1))):
        bars = draw_bars(disparity, contrasty_place(left, rng), rng)
        is_board = bars[0].width > WIDTHS_PX[1]
        paint = copied_paint(left, rng) if is_board else draw_paint(left, rng)
        for bar in bars:
            for image, shown, side in zip((left, right), nearest, (0, 1)):
                draw_bar(image, shown, bar, paint, side)
    return left, right, disparity


def contrasty_place(image: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Column and row, px, of (h, w, 3) uint8: of `PLACES` that with the most contrast around, or any."""
    height, width = image.shape[:2]
    places = [(rng.uniform(0.0, width), rng.uniform(0.2, 1.0) * height) for _ in range(PLACES)]
    if rng.random() < 0.5:
        return places[0]
    patches = [
        image[max(int(y) - 40, 0) : int(y) + 8, max(int(x) - 16, 0) : int(x) + 16, 1] for x, y in places
    ]
    return places[int(np.argmax([np.abs(np.diff(patch.astype(np.int16))).mean() for patch in patches]))]


def draw_bars(disparity: np.ndarray, place: tuple[float, float], rng: np.random.Generator) -> list[Bar]:
    """The bars of one thing at a place of a picture of this disparity (h, w) px."""
    height, width = disparity.shape
    kind = rng.choice(KINDS, p=KIND_SHARES)
    x, y = place
    if kind == "board":
        near = width * rng.uniform(*BOARD_DISPARITY)
        across = float(np.exp(rng.uniform(*np.log(BOARD_WIDTHS_PX))))
        up, down = height * rng.uniform(0.05, 0.8, 2)
        lean = float(rng.normal(0.0, 0.03))
        # Farther to the left the right camera does not see it.
        x = rng.uniform(0.8 * near, width)
        return [Bar(x, y, rng.normal(0.0, 0.2), up, across, near, lean, down)]
    behind = float(np.nan_to_num(disparity[min(int(y), height - 1), min(int(x), width - 1)]))
    across = float(np.exp(rng.uniform(*np.log(WIDTHS_PX))))
    if kind == "standing":  # its foot touches what is seen there
        return [Bar(x, y, rng.normal(0.0, 0.03), height * rng.uniform(0.1, 1.0), across, behind + 0.5)]
    near = behind + LEAST_STEP_PX + 0.3 * width * rng.random() ** 2
    if kind == "crossing":
        angle = rng.normal(0.0, 0.1) if rng.random() < 0.7 else rng.uniform(-1.6, 1.6)
        whole = float(width + height)
        return [Bar(x, y, angle, whole, across, near, rng.normal(0.0, 0.02), whole)]
    if kind == "fence":
        gap, length = across * rng.uniform(2.0, 8.0), height * rng.uniform(0.1, 0.6)
        return [Bar(x + gap * i, y, 0.0, length, across, near) for i in range(int(rng.integers(3, 12)))]
    return list(_branches(Bar(x, y, rng.uniform(-1.6, 1.6), 90.0, min(across, 5.0), near), rng))


def _branches(thickest: Bar, rng: np.random.Generator) -> Iterator[Bar]:
    for _ in range(int(rng.integers(3, 9))):
        yield Bar(
            thickest.x + rng.normal(0.0, 20.0),
            thickest.y + rng.normal(0.0, 20.0),
            thickest.angle + rng.normal(0.0, 0.5),
            rng.uniform(10.0, thickest.length),
            thickest.width * rng.uniform(0.4, 1.0),
            thickest.disparity + rng.normal(0.0, 0.5),
        )


@dataclass(frozen=True)
class Paint:
    """The surface of a thing.

    Attributes:
        colour: (3,) float32, 0 to 255.
        shade: How much brighter one edge of a bar is than its middle, and darker the other one, 0 to 255.
        texture: (n, m, 3) float32 added along and across a bar, a value per px, periodic.
    """

    colour: np.ndarray
    shade: float
    texture: np.ndarray

    def at(self, across: np.ndarray, along: np.ndarray, width: float) -> np.ndarray:
        """(N,) across from the middle of a bar of this width and along it, px -> (N, 3) float32."""
        length, breadth = self.texture.shape[:2]
        rows, columns = (np.rint(at).astype(np.intp) for at in (along, across))
        shade = self.shade * np.clip(2.0 * across / width, -1.0, 1.0)
        return self.colour + shade[:, None] + self.texture[rows % length, columns % breadth]


def draw_paint(image: np.ndarray, rng: np.random.Generator) -> Paint:
    """Dark or bright, or like a place of the image; with little texture or much."""
    kind = rng.random()
    if kind < 0.35:
        colour = rng.uniform(5.0, 80.0) + rng.normal(0.0, 6.0, 3)
    elif kind < 0.55:
        colour = rng.uniform(120.0, 250.0) + rng.normal(0.0, 12.0, 3)
    else:
        row, column = (int(rng.integers(0, n)) for n in image.shape[:2])
        colour = image[row, column] * rng.uniform(0.6, 1.4)
    length = int(rng.integers(64, 512))
    noise = rng.normal(0.0, 1.0, (length, 1))
    grain = cv2.blur(noise, (1, int(rng.integers(1, 12)))).reshape(length, 1, 1)
    strength = rng.choice([0.0, rng.uniform(0.0, 12.0), rng.uniform(5.0, 50.0)], p=[0.35, 0.4, 0.25])
    texture = strength * grain / max(float(grain.std()), 1e-6) * np.ones(3)
    return Paint(colour.astype(np.float32), float(rng.uniform(-30.0, 30.0)), texture.astype(np.float32))


def copied_paint(image: np.ndarray, rng: np.random.Generator) -> Paint:
    """What a part of the image (h, w, 3) uint8 shows, brighter or darker: a board has a pattern both ways."""
    height, width = image.shape[:2]
    h, w = int(rng.integers(height // 4, height // 2)), int(rng.integers(width // 4, width // 2))
    y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    part = image[y : y + h, x : x + w].astype(np.float32)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    contrast = np.float32(rng.uniform(0.5, 1.3))
    brightness = np.float32(rng.uniform(0.6, 1.3)) * part.mean(axis=(0, 1))
    return Paint(brightness, 0.0, contrast * (part - part.mean(axis=(0, 1))))


def draw_bar(image: np.ndarray, nearest: np.ndarray, bar: Bar, paint: Paint, side: int) -> None:
    """Draw a bar into one image, in place, where nothing nearer hides it.

    Args:
        image: (h, w, 3) uint8.
        nearest: (h, w) float32 px, the disparity of what this image shows; gets that of the bar.
        bar: What to draw.
        paint: Its surface.
        side: 0 = the left image, 1 = the right one.
    """
    height, width = nearest.shape
    sine, cosine = np.sin(bar.angle), np.cos(bar.angle)
    reach = 0.5 * bar.width + 1.0 + max(bar.length, bar.below) * abs(cosine)
    top, bottom = max(int(bar.y - reach), 0), min(int(bar.y + reach) + 1, height)
    if top >= bottom:
        return
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(bar.y)
    disparity = np.repeat(np.float32(bar.disparity) + np.float32(bar.lean) * y, width, axis=1)
    x = np.arange(width, dtype=np.float32)[None] - np.float32(bar.x) + side * disparity
    along, across = x * sine - y * cosine, x * cosine + y * sine
    inside = np.minimum(bar.length - along, bar.below + along)
    cover = np.clip(np.minimum(0.5 * bar.width - np.abs(across), inside) + 0.5, 0.0, 1.0)
    part, before = image[top:bottom], nearest[top:bottom]
    v, u = np.nonzero((cover > 0.0) & ~(before > disparity))
    share = cover[v, u][:, None]
    surface = paint.at(across[v, u], along[v, u] + bar.below, bar.width)
    part[v, u] = np.clip(np.rint((1.0 - share) * part[v, u] + share * surface), 0, 255).astype(np.uint8)
    mostly = cover[v, u] >= 0.5
    before[v[mostly], u[mostly]] = disparity[v[mostly], u[mostly]]
