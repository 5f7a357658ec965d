"""Pictures of how a training goes: curves over the steps, and predictions beside the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.evaluation.panels import WORST_PX, WORST_SHARE
from recon3d_ros.files import colour_inverse_depth, colour_limits
from recon3d_ros.training.samples.tasks import ValidationResult

Picture = NDArray[np.uint8]
Curve = Sequence[tuple[float, float]]

PANEL_WH = (560, 360)
MARGIN = 56
TILE_WIDTH = 288
COLUMNS = ("image", "truth", "estimate", "error", "confidence, white = 1")
COLOURS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189))
INK, GRID, PAPER = (40, 40, 40), (225, 225, 225), 255
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_curves(losses: Sequence[Sequence[float]], history: Sequence[Mapping[str, float]]) -> Picture:
    """The loss of training and the scores of validation over the steps.

    Args:
        losses: [step, loss] each.
        history: Rows with `step` and metrics; those in px or m (`_px`, `_m`) have a panel of their own.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    names = [name for name in (history[0] if history else {}) if name not in ("step", "samples", "seconds")]
    lengths = [name for name in names if name.endswith(("_px", "_m"))]
    shares = {
        f"{name} %": [(row["step"], 100.0 * row[name]) for row in history]
        for name in names
        if name not in lengths
    }
    panels = [
        _panel("loss of training", {"loss": [(step, loss) for step, loss in losses]}),
        _panel("held out", shares),
        _panel("held out", {name: [(row["step"], row[name]) for row in history] for name in lengths}),
    ]
    return np.concatenate(panels, axis=1)


def _panel(title: str, curves: Mapping[str, Curve]) -> Picture:
    """One chart: steps to the right, values upwards on a logarithmic scale where all are positive."""
    width, height = PANEL_WH
    image = np.full((height, width, 3), PAPER, np.uint8)
    _write(image, title, (MARGIN, 22))
    kept = {name: [(x, y) for x, y in curve if math.isfinite(y)] for name, curve in curves.items()}
    points = [point for curve in kept.values() for point in curve]
    if not points:
        _write(image, "nothing yet", (width // 2 - 40, height // 2))
        return image
    last = max(max(x for x, _ in points), 1.0)
    rise = np.log10 if min(y for _, y in points) > 0.0 else np.float64
    low, high = (float(rise(pick(y for _, y in points))) for pick in (min, max))
    low, high = low - 0.04 * (high - low) - 1e-3, high + 0.04 * (high - low) + 1e-3

    def place(x: float, y: float) -> tuple[int, int]:
        right = MARGIN + (width - 2 * MARGIN) * x / last
        up = height - MARGIN + (2 * MARGIN - height) * (float(rise(y)) - low) / (high - low)
        return round(right), round(up)

    for part in np.linspace(0.0, 1.0, 5):
        level = low + part * (high - low)
        value = 10.0**level if rise is np.log10 else level
        left, y = place(0.0, value)
        cv2.line(image, (left, y), (width - MARGIN, y), GRID, 1)
        _write(image, f"{value:.3g}", (8, y + 4))
        _write(image, f"{part * last:.0f}", (place(part * last, value)[0] - 12, height - MARGIN + 20))
    for (name, curve), colour, row in zip(kept.items(), COLOURS, range(len(kept))):
        line = np.array([place(x, y) for x, y in curve], np.int32).reshape(-1, 1, 2)
        cv2.polylines(image, [line], False, colour, 2, cv2.LINE_AA)
        for x, y in line[:, 0] if len(line) < 40 else line[-1:, 0]:
            cv2.circle(image, (int(x), int(y)), 3, colour, -1, cv2.LINE_AA)
        end = f"{name}: {curve[-1][1]:.4g}" if curve else name
        _write(image, end, (width - MARGIN - 150, 40 + 18 * row), colour)
    return image


def _write(image: Picture, text: str, at: tuple[int, int], colour: tuple[int, int, int] = INK) -> None:
    cv2.putText(image, text, at, FONT, 0.42, colour, 1, cv2.LINE_AA)


def draw_results(results: Sequence[ValidationResult]) -> Picture:
    """A row per sample: image, truth, estimate, error (red from 6 px, or 50 % of depth) and confidence.

    Near is red in both; unknown is black.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    head = np.full((24, TILE_WIDTH * len(COLUMNS), 3), PAPER, np.uint8)
    for index, title in enumerate(COLUMNS):
        _write(head, title, (index * TILE_WIDTH + 6, 16))
    return np.concatenate([head, *(_row(result) for result in results)])


def _row(result: ValidationResult) -> Picture:
    truth, estimate = result.truth, result.estimate
    error, worst = np.abs(estimate - truth), WORST_PX
    if "abs_rel" in result.metrics:
        with np.errstate(divide="ignore", invalid="ignore"):
            error, worst = error / truth, WORST_SHARE
            truth, estimate = 1.0 / truth, 1.0 / estimate
    low, high = colour_limits(truth)
    grey = np.round(np.nan_to_num(np.clip(result.confidence, 0.0, 1.0)) * 255.0).astype(np.uint8)
    tiles = (
        result.image,
        colour_inverse_depth(truth, low, high),
        colour_inverse_depth(estimate, low, high),
        colour_inverse_depth(error, 0.0, worst),
        np.repeat(grey[..., None], 3, axis=2),
    )
    height, width = result.truth.shape
    size_wh = (TILE_WIDTH, max(round(TILE_WIDTH * height / width), 1))
    # Nearest: mixed colours of the map would be other values.
    return np.concatenate(
        [cv2.resize(tile, size_wh, interpolation=cv2.INTER_NEAREST_EXACT) for tile in tiles], axis=1
    ).astype(np.uint8)
