"""Posts, fences, branches and boards that are pasted into pairs: images and truth must tell the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from recon3d_ros.geometry.left_right import seen_from_right
from recon3d_ros.training.samples.posts import (
    BOARD_DISPARITY,
    Bar,
    Paint,
    contrasty_place,
    copied_paint,
    draw_bar,
    draw_bars,
    paste_things,
)

SHAPE_HW = (60, 101)


def grey_pair(disparity_px=4.0):
    image = np.full((*SHAPE_HW, 3), 128, np.uint8)
    return image, image.copy(), np.full(SHAPE_HW, disparity_px, np.float32)


def plain_paint(value=10.0):
    return Paint(np.full(3, value, np.float32), 0.0, np.zeros((1, 1, 3), np.float32))


def textured_paint():
    texture = np.random.default_rng(1).uniform(-60.0, 60.0, (97, 41, 3)).astype(np.float32)
    return Paint(np.full(3, 120.0, np.float32), 25.0, texture)


@settings(max_examples=60, deadline=None)
@given(
    x=st.integers(30, 90),
    y=st.floats(5.0, 55.0),
    angle=st.floats(-1.6, 1.6),
    length=st.floats(5.0, 80.0),
    width=st.floats(1.5, 16.0),
    step=st.integers(5, 25),
)
def test_both_images_show_one_bar_and_the_truth_says_where_it_is(x, y, angle, length, width, step):
    left, right, truth = grey_pair()
    bar = Bar(float(x), y, angle, length, width, float(step))
    for image, nearest, side in ((left, truth, 0), (right, seen_from_right(truth), 1)):
        draw_bar(image, nearest, bar, textured_paint(), side)
    drawn = truth == step
    assert set(np.unique(truth)) <= {4.0, float(step)}
    rows, columns = np.nonzero(drawn & (np.arange(SHAPE_HW[1]) >= step))
    apart = left[rows, columns].astype(int) - right[rows, columns - step]
    assert np.abs(apart).max(initial=0) <= 1
    # What is not part of it, nor of its soft edge, stays.
    assert (left[~drawn] != 128).any(axis=-1).sum() <= 3 * (2 * length + width + 8)


def test_an_upright_bar_covers_its_width_and_its_length():
    left, _, truth = grey_pair()
    draw_bar(left, truth, Bar(50.0, 49.5, 0.0, 30.0, 5.0, 20.0), plain_paint(), 0)
    rows, columns = np.nonzero(truth == 20.0)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 49, 48, 52)
    assert len(rows) == 30 * 5 and (left[truth == 20.0] == 10).all()


def test_a_bar_goes_on_below_its_point():
    left, _, truth = grey_pair()
    draw_bar(left, truth, Bar(50.0, 30.0, 0.3, 200.0, 5.0, 20.0, below=200.0), plain_paint(), 0)
    assert (truth == 20.0).any(axis=1).all()


def test_the_disparity_of_a_leaning_bar_changes_by_row_in_both_images():
    left, right, truth = grey_pair(0.0)
    bar = Bar(80.0, 59.0, 0.0, 80.0, 7.0, 30.0, lean=0.25)
    draw_bar(left, truth, bar, plain_paint(), 0)
    draw_bar(right, seen_from_right(np.zeros(SHAPE_HW, np.float32)), bar, plain_paint(), 1)
    for row in (59, 31, 3):
        at = 30.0 + 0.25 * (row - 59)
        assert truth[row, 80] == pytest.approx(at)
        dark = np.nonzero(right[row, :, 0] < 100)[0]
        assert dark.mean() == pytest.approx(80.0 - at, abs=0.5)


def test_what_is_nearer_hides_a_bar_in_both_images():
    left, right, truth = grey_pair(4.0)
    truth[:, 40:60] = 24.0  # something near
    shown = seen_from_right(truth)
    bar = Bar(50.0, 30.0, np.pi / 2, 100.0, 5.0, 12.0, below=100.0)
    draw_bar(left, truth, bar, plain_paint(), 0)
    draw_bar(right, shown, bar, plain_paint(), 1)
    assert (truth[28:33, :40] == 12.0).all() and (truth[28:33, 40:60] == 24.0).all()
    assert (left[30, 40:60] == 128).all() and (left[30, :40] == 10).all()
    assert (right[30, 16:36] == 128).all() and (right[30, :16] == 10).all() and (right[30, 36:] == 10).all()


def test_a_bar_covers_what_is_not_known():
    left, _, truth = grey_pair(np.nan)
    draw_bar(left, truth, Bar(50.0, 49.5, 0.0, 30.0, 5.0, 20.0), plain_paint(), 0)
    assert (truth == 20.0).sum() == 150 and np.isnan(truth).sum() == truth.size - 150


@pytest.mark.parametrize("seed", range(20))
def test_pasting_changes_copies_alone_and_nothing_comes_farther(seed):
    pair = grey_pair()
    pair[2][10:20, 10:20] = np.nan
    before = [plane.copy() for plane in pair]
    rng = np.random.default_rng(seed)
    left, right, truth = paste_things(pair, rng)
    for plane, copy in zip(pair, before):
        np.testing.assert_array_equal(plane, copy)
    again = paste_things(pair, np.random.default_rng(seed))
    for plane, same in zip((left, right, truth), again):
        np.testing.assert_array_equal(plane, same)
    known = np.isfinite(pair[2])
    assert np.isfinite(truth[known]).all() and (truth[known] >= pair[2][known]).all()
    assert (left.dtype, right.dtype, truth.dtype) == (np.uint8, np.uint8, np.float32)


def test_things_are_nearer_than_what_is_behind_and_narrow_or_boards():
    disparity = np.full(SHAPE_HW, 7.0, np.float32)
    things = [draw_bars(disparity, (50.0, 40.0), np.random.default_rng(seed)) for seed in range(300)]
    assert {len(bars) > 1 for bars in things} == {True, False}
    bars = [bar for bars in things for bar in bars]
    assert min(bar.disparity for bar in bars) > 7.0
    narrow = [bar.width for bar in bars if bar.width <= 16.0]
    boards = [bar for bar in bars if bar.width > 16.0]
    assert min(narrow) >= 1.5 * 0.4 and len(narrow) > 3 * len(boards) > 60
    low, high = (share * SHAPE_HW[1] for share in BOARD_DISPARITY)
    assert all(low <= board.disparity <= high for board in boards)
    # Most of a board is seen by the right camera, too.
    assert np.mean([board.x >= board.disparity for board in boards]) > 0.7


def test_a_board_shows_a_part_of_the_image():
    image = np.random.default_rng(3).integers(0, 256, (*SHAPE_HW, 3), np.uint8)
    paint = copied_paint(image, np.random.default_rng(4))
    length, breadth, _ = paint.texture.shape
    assert 15 <= length < 30 and 25 <= breadth < 50
    assert abs(paint.texture.mean()) < 1e-3 and paint.texture.std() > 20.0
    at = paint.at(np.array([0.0, 3.0, 3.0 + breadth]), np.array([5.0, 5.0, 5.0 + length]), 40.0)
    np.testing.assert_allclose(at[1], at[2])
    assert not np.allclose(at[0], at[1])


def test_things_are_drawn_to_contrast():
    image = np.full((200, 300, 3), 90, np.uint8)
    image[:, 200:] = np.random.default_rng(5).integers(0, 256, (200, 100, 3), np.uint8)
    places = [contrasty_place(image, np.random.default_rng(seed)) for seed in range(400)]
    assert 0.45 < np.mean([x > 190 for x, _ in places]) < 0.65
    assert all(0 <= x < 300 and 0 <= y <= 200 for x, y in places)
