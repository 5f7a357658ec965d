from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.training.run.curves import TILE_WIDTH, draw_curves, draw_results
from recon3d_ros.training.samples.tasks import ValidationResult

HISTORY = [
    {"step": 10, "bad_px_1": 0.8, "bad_px_2": 0.6, "bad_px_3": 0.5, "epe_px": 6.0},
    {"step": 40, "bad_px_1": 0.4, "bad_px_2": 0.2, "bad_px_3": 0.1, "epe_px": 1.0},
]


def inked(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(n, 2) rows and columns of a colour."""
    return np.argwhere((picture == colour).all(axis=2))


def test_falling_values_fall_in_the_picture():
    picture = draw_curves([(step, 5.0 - 0.1 * step) for step in range(0, 41, 10)], HISTORY)
    assert picture.dtype == np.uint8 and picture.ndim == 3
    width = picture.shape[1] // 3
    # The first colour, without the legend above: further right means further down.
    for panel in (picture[60:, :width], picture[60:, 2 * width :]):
        at = inked(panel, (31, 119, 180))
        left, right = at[at[:, 1] < width * 0.4], at[at[:, 1] > width * 0.8]
        assert left[:, 0].mean() + 50 < right[:, 0].mean()


@pytest.mark.parametrize(
    ("losses", "history"),
    [([], []), ([(20, 3.0)], []), ([(20, float("nan"))], HISTORY[:1]), ([(20, 0.0)], HISTORY[:1])],
)
def test_little_or_nothing_to_draw(losses, history):
    assert draw_curves(losses, history).std() > 0.0


def test_sample_shows_five_tiles_and_where_the_error_is():
    truth = np.tile(np.linspace(1.0, 20.0, 96, dtype=np.float32), (64, 1))
    truth[:8] = np.nan
    disparity = truth + 0.0
    disparity[40:, :] += 50.0
    confidence = np.where(disparity > 30.0, 0.0, 1.0).astype(np.float32)
    left = np.full((64, 96, 3), (200, 30, 60), np.uint8)
    picture = draw_results([ValidationResult(left, truth, disparity, confidence)] * 2)
    height = round(TILE_WIDTH * 64 / 96)
    assert picture.shape == (24 + 2 * height, 5 * TILE_WIDTH, 3)
    tiles = np.split(picture[24 : 24 + height], 5, axis=1)
    top, middle, bottom = (slice(0, 10), slice(60, 100), slice(150, 180))
    assert (tiles[0] == (200, 30, 60)).all()
    assert (tiles[1][top] == 0).all() and (tiles[2][middle] == tiles[1][middle]).all()
    error = tiles[3].astype(int)
    assert error[bottom][..., 0].mean() > error[bottom][..., 2].mean() + 80, "red where it is wrong"
    assert error[middle].max() < 80, "dark blue where it is right"
    assert (tiles[4][middle] == 255).all() and (tiles[4][bottom] == 0).all()
