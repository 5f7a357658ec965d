from __future__ import annotations

import dataclasses
import logging

import cv2
import numpy as np
import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.row_alignment import (
    LEAST_PX,
    PERIOD_S,
    RowAligner,
    measure_row_offset,
    search_row_offset,
)
from recon3d_ros.geometry import DepthMap, Frame, StereoRig
from recon3d_ros.geometry.row_offset import RowOffset

WIDTH, HEIGHT, SHIFT = 320, 208, 24
RIG = StereoRig.simple(WIDTH, HEIGHT, fx=300.0, baseline_m=0.1)
SECOND_NS = 1_000_000_000


def pair(
    rows: float = 0.0, stamp_ns: int = 0, seed: int = 0, grey: bool = False, frame_id: str = ""
) -> Frame:
    """A wall `SHIFT` px away whose right image lies `rows` lower."""
    noise = np.random.default_rng(seed).uniform(0, 255, (HEIGHT, WIDTH + SHIFT, 3)).astype(np.float32)
    wide = np.clip((cv2.GaussianBlur(noise, (0, 0), 1.6) - 128) * 5 + 128, 0, 255).astype(np.uint8)
    left, right = wide[:, :WIDTH], wide[:, SHIFT:]
    lower = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, rows]])
    right = cv2.warpAffine(
        right, lower, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    if grey:
        left, right = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (left, right))
    return Frame(stamp_ns, np.ascontiguousarray(left), RIG.left, right, RIG, frame_id=frame_id)


class Wall:
    """An estimator that knows the answer, and notes which pairs it got; `wrong` answers nonsense."""

    def __init__(self, wrong: bool = False) -> None:
        self.frames: list[Frame] = []
        self.wrong = wrong

    def __call__(self, frames):
        self.frames += frames
        rng = np.random.default_rng(len(self.frames))
        answers = [np.full((HEIGHT, WIDTH), float(SHIFT), np.float32) for _ in frames]
        if self.wrong:
            answers = [rng.uniform(0, 150, answer.shape).astype(np.float32) for answer in answers]
        return [DepthMap(30.0 / answer, RIG.left, answer) for answer in answers]


def rows_left(frame: Frame) -> float:
    offset = measure_row_offset(frame, np.full((HEIGHT, WIDTH), float(SHIFT), np.float32))
    assert offset is not None
    return offset.rms_px


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("rows", [0.0, 1.3, -2.0, 5.0])
def test_rows_are_measured(rows, grey):
    offset = measure_row_offset(pair(rows, grey=grey), np.full((HEIGHT, WIDTH), float(SHIFT), np.float32))
    assert offset is not None
    assert (offset + RowOffset(-rows)).rms_px < 0.1


def test_a_roll_of_the_right_camera_is_measured_and_removed():
    across = 4.0
    frame = pair()
    tilt = np.array([[1.0, 0.0, 0.0], [across / WIDTH, 1.0, -across / 2]])
    right = cv2.warpAffine(frame.right, tilt, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    frame = dataclasses.replace(frame, right=right)
    flat = np.full((HEIGHT, WIDTH), float(SHIFT), np.float32)
    offset = measure_row_offset(frame, flat)
    assert offset is not None and offset.across_px == pytest.approx(across, abs=0.4)
    assert rows_left(offset.removed(frame)) < 0.2


def test_rows_are_searched_without_a_disparity():
    offset = search_row_offset(pair(6.0))
    assert offset is not None and (offset + RowOffset(-6.0)).rms_px < 1.0


def test_nothing_is_measured_where_nothing_is_seen():
    blank = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    frame = Frame(0, blank, RIG.left, blank, RIG)
    assert measure_row_offset(frame, np.full((HEIGHT, WIDTH), 5.0, np.float32)) is None
    assert search_row_offset(frame) is None
    frame = pair(2.0)
    assert measure_row_offset(frame, np.full((HEIGHT, WIDTH), np.nan, np.float32)) is None


def test_matching_rows_are_left_alone():
    wall, frame = Wall(), pair()
    RowAligner().estimate([frame], wall)
    assert len(wall.frames) == 1 and wall.frames[0] is frame


@pytest.mark.parametrize("rows", [1.2, -2.0, 6.0])
def test_rows_that_are_off_are_aligned_at_once_and_from_then_on(rows, caplog):
    wall, aligner = Wall(), RowAligner()
    with caplog.at_level(logging.WARNING):
        for i in range(20):
            aligner.estimate([pair(rows, 1 + i * SECOND_NS // 10, seed=i)], wall)
    first, again, *later = wall.frames
    assert rows_left(first) > 0.9 and rows_left(again) < 0.2
    assert max(map(rows_left, later)) < 0.2
    # One frame was estimated twice, 19 once: what was learnt is used without another look at every frame.
    assert len(wall.frames) == 21
    (warning,) = caplog.messages
    assert f"off by {abs(rows):.1f} px" in warning and "calibrate" in warning


def test_pairs_that_match_again_are_left_alone_again():
    wall, aligner = Wall(), RowAligner()
    aligner.estimate([pair(2.0, 1)], wall)
    straight = pair(0.0, 1 + round(2 * PERIOD_S * 1e9))
    aligner.estimate([straight], wall)
    assert wall.frames[-1] is straight
    aligner.estimate([straight := pair(0.0, 2 + round(2 * PERIOD_S * 1e9))], wall)
    assert wall.frames[-1] is straight


def test_pairs_without_an_order_stand_alone():
    wall, aligner = Wall(), RowAligner()
    for rows in (2.0, -2.0, 0.0):
        aligner.estimate([pair(rows)], wall)
    assert [round(rows_left(frame), 1) for frame in wall.frames] == [2.0, 0.0, 2.0, 0.0, 0.0]


def test_pairs_without_an_order_stand_alone_in_one_call_too():
    wall, aligner = Wall(), RowAligner()
    aligner.estimate([pair(2.0), pair(-3.0), pair(0.0)], wall)
    assert [round(rows_left(frame), 1) for frame in wall.frames] == [2.0, 3.0, 0.0, 0.0, 0.0]


def test_cameras_are_told_apart():
    wall, aligner = Wall(), RowAligner()
    aligner.estimate([pair(2.0, 1, frame_id="front"), pair(0.0, 1, frame_id="rear")], wall)
    wall.frames.clear()
    aligner.estimate([pair(2.0, 2, frame_id="front"), pair(0.0, 2, frame_id="rear")], wall)
    assert [rows_left(frame) < LEAST_PX for frame in wall.frames] == [True, True]
    assert len(wall.frames) == 2


def test_what_makes_nothing_better_is_not_kept():
    wall, frame, aligner = Wall(wrong=True), pair(2.0, 1), RowAligner()
    aligner.estimate([frame], wall)
    aligner.estimate([later := pair(2.0, 2)], wall)
    assert wall.frames[-1] is later


def test_an_estimator_aligns_unless_told_not_to():
    def answer(frame: Frame, align_rows: bool) -> np.ndarray:
        with Estimator.open(
            ModelConfig(model="recon3d_stereo_light", backend="onnxruntime", align_rows=align_rows),
            check=False,
        ) as estimator:
            return estimator.estimate(frame).disparity

    askew = dataclasses.replace(pair(4.0), name="askew")
    seen = np.s_[16:-16, 40:]
    right = [np.mean(np.abs(answer(askew, align)[seen] - SHIFT) < 1.0) for align in (True, False)]
    assert right[0] > 0.97 and right[1] < 0.9, right
