from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.geometry.row_offset import RowOffset, fit_row_offset

WIDTH, HEIGHT = 301, 203
pixels = st.floats(-4.0, 4.0)


def texture(channels: int = 3, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (HEIGHT, WIDTH, channels)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0).reshape(HEIGHT, WIDTH, channels)
    return np.clip((smooth - smooth.mean()) * 6 + 128, 0, 255).astype(np.uint8)


def rows_of(offset: RowOffset, uv: np.ndarray) -> np.ndarray:
    """Row in the right image minus row in the left one, written out once more."""
    x, y = uv[:, 0] - (WIDTH - 1) / 2, uv[:, 1] - (HEIGHT - 1) / 2
    return offset.shift_px + offset.across_px * x / WIDTH + offset.down_px * y / HEIGHT


def pair(right: np.ndarray, right_valid: np.ndarray | None = None) -> Frame:
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=250.0, baseline_m=0.1)
    return Frame(0, right, rig.left, right, rig, right_valid=right_valid)


@given(pixels, pixels, pixels, st.integers(0, 99))
def test_the_plane_is_found_in_spite_of_a_third_of_nonsense(shift, across, down, seed):
    rng = np.random.default_rng(seed)
    uv = rng.uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (180, 2))
    truth = RowOffset(shift, across, down)
    rows = rows_of(truth, uv) + rng.normal(0, 0.1, len(uv))
    rows[::3] = shift + rng.uniform(-8, 8, len(rows[::3]))
    found, agreeing = fit_row_offset(uv, rows, (WIDTH, HEIGHT))
    assert (found + truth.times(-1.0)).rms_px < 0.2
    assert 0.6 < agreeing < 0.95


def test_slight_slopes_are_none():
    assert RowOffset(1.0, 1.5, -1.5).without_slight_slopes == RowOffset(1.0)
    tilted = RowOffset(1.0, 3.0, 0.2)
    assert tilted.without_slight_slopes is tilted


def test_points_of_one_corner_say_little_of_the_slopes():
    uv = np.random.default_rng(1).uniform((0, 0), (30, 30), (40, 2))
    rows = 1.5 + np.random.default_rng(2).normal(0, 0.3, 40)
    found, _ = fit_row_offset(uv, rows, (WIDTH, HEIGHT))
    np.testing.assert_allclose(rows_of(found, uv), 1.5, atol=0.4)
    assert found.rms_px < 2.0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("offset", [RowOffset(2.0), RowOffset(-1.5, 1.0, -0.8)])
def test_removed_rows_are_those_of_the_left_image(offset, channels):
    left = texture(channels)
    left = left[..., 0] if channels == 1 else left
    # What the right camera, askew, would show: the row v' = v + offset of it is the row v of the left image.
    grid = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1).astype(np.float64)
    back = (grid[..., 1] - rows_of(offset, grid.reshape(-1, 2)).reshape(HEIGHT, WIDTH)).astype(np.float32)
    askew = cv2.remap(
        left, grid[..., 0].astype(np.float32), back, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    straight = offset.removed(pair(askew))
    inside = np.s_[8:-8, 8:-8]
    apart = np.abs(straight.right.astype(int) - left)[inside]
    assert apart.mean() < 2.0
    assert np.abs(askew.astype(int) - left)[inside].mean() > 10 * apart.mean()
    assert straight.right.shape == left.shape and straight.image is askew


def test_what_was_not_seen_moves_along():
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[50:60] = False
    frame = RowOffset(3.0).removed(pair(texture(), valid))
    np.testing.assert_array_equal(np.flatnonzero(~frame.right_valid[:, 7]), np.arange(47, 57))


def test_a_single_image_has_no_rows_to_align():
    frame = dataclasses.replace(pair(texture()), right=None, rig=None)
    assert RowOffset(2.0).removed(frame) is frame
