from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.evaluation.label_pictures import LabelPictures, draw_labels
from recon3d_ros.evaluation.label_scores import BASELINES, cells_apart, score_labels, to_text
from recon3d_ros.evaluation.label_sets import LabelledCloud
from recon3d_ros.files import read_image


def cloud(**changes) -> LabelledCloud:
    """A floor with a bump of 15 cm, which is noise, and a box of 50 cm."""
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(1, 4, 2000), rng.uniform(-1, 1, 2000), rng.normal(0, 0.01, 2000)])
    bump = np.column_stack([rng.uniform(2, 2.2, 60), rng.uniform(-0.9, -0.7, 60), np.full(60, 0.15)])
    box = np.column_stack([rng.uniform(2.9, 3, 300), rng.uniform(0, 0.5, 300), rng.uniform(0.02, 0.5, 300)])
    points = np.concatenate([floor, bump, box]).astype(np.float32)
    truth = np.repeat(np.uint8([1, 1, 3]), [2000, 60, 300])
    return LabelledCloud("some", "one", points, 1.0, truth, **changes)


def test_who_knows_the_truth_is_perfect():
    (score,) = score_labels([cloud()], {"truth": lambda one: one.truth})
    row = score.to_row()
    assert (row["ground_iou"], row["obstacles_iou"], row["false_cells"], row["missed_cells"]) == (1, 1, 0, 0)
    assert np.isnan(row["iou"]["vegetation"])


def test_a_bump_is_marked_by_height_and_by_a_plane():
    scores = {score.method: score for score in score_labels([cloud()], BASELINES)}
    for score in scores.values():
        row = score.to_row()
        assert 4 <= row["false_cells"] <= 9  # 20 by 20 cm in cells of 10 cm
        assert row["missed_cells"] == 0 and 0.9 < row["ground_iou"] < 1.0
    assert "plane (RANSAC)" in to_text(list(scores.values()))


def test_missed_cells():
    one = cloud()
    blind = np.ones(len(one.truth), np.uint8)
    false, missed = cells_apart(one, blind)
    assert false == 0 and 4 <= missed <= 12  # 10 by 50 cm


def test_pictures(tmp_path):
    pixels = np.array(np.unravel_index(np.arange(2360), (40, 59)))
    one = cloud(image=np.full((40, 59), 128, np.uint8), pixels=pixels)
    pictures = LabelPictures(tmp_path / "new", 1)
    for _ in range(2):
        pictures.add(one, one.truth)
    (file,) = (tmp_path / "new").iterdir()
    assert file.name == "some_one_labels.png"
    assert read_image(file).shape == draw_labels(one, one.truth).shape == (360, 531 + 720, 3)


@pytest.mark.parametrize("name", BASELINES)
def test_a_cloud_without_floor_has_no_ground(name):
    wall = np.column_stack([np.full(400, 2.0), np.linspace(-1, 1, 400), np.linspace(0.2, 1.9, 400)])
    one = LabelledCloud("some", "wall", wall.astype(np.float32), 1.0, np.full(400, 2, np.uint8))
    assert (BASELINES[name](one) == 3).mean() > 0.9
