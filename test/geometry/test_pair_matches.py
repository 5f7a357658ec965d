from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros.geometry.pair_matches import fit_rows, match_pair, matched_rows, reduced

HEIGHT, WIDTH, SHIFT = 240, 520, 31


def views(rows: float, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A wall seen `SHIFT` px to the left and `rows` px lower in the second view."""
    noise = np.random.default_rng(3).uniform(0, 255, (HEIGHT, WIDTH + SHIFT, channels)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.0).reshape(HEIGHT, WIDTH + SHIFT, channels)
    wall = np.clip((blurred - 128) * 6 + 128, 0, 255).astype(np.uint8)
    lower = cv2.warpAffine(
        wall, np.array([[1.0, 0, 0], [0, 1, rows]]), wall.shape[1::-1], flags=cv2.INTER_CUBIC
    )
    lower = lower.reshape(wall.shape)
    left, right = wall[:, :WIDTH], lower[:, SHIFT:]
    return (left, right) if channels == 3 else (left[..., 0], right[..., 0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rows", [0.0, 4.0, -7.0])
def test_rows_are_those_of_the_images_however_small_they_are_matched(rows, channels):
    found = matched_rows(*views(rows, channels))
    assert found is not None
    uv, rows_px = found
    assert abs(np.mean(rows_px) - rows) < 0.5  # ORB places features by whole pixels
    # On the grid of the image, not of the reduced one.
    assert uv[:, 0].max() > 0.83 * WIDTH and uv.shape == (len(rows_px), 2)


def test_unrelated_images_have_no_rows_in_common():
    left, _ = views(0.0)
    other = np.random.default_rng(8).integers(0, 255, left.shape, np.uint8)
    assert matched_rows(left, cv2.GaussianBlur(other, (0, 0), 2.0)) is None


def test_a_plane_is_fitted_through_what_agrees():
    left, right = (reduced(view) for view in views(3.0))
    matches = match_pair(left, right)
    rows = fit_rows(matches, left.shape[1])
    assert np.mean(rows.agree) > 0.8
    np.testing.assert_allclose(rows.error_px, -3.0 * left.shape[1] / WIDTH, atol=0.4)


def test_images_are_reduced_to_what_is_matched():
    assert reduced(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).shape == (222, 480)
    small = np.zeros((100, 200), np.uint8)
    assert reduced(small) is small
