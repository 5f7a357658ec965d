from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.evaluation import shape_scores
from recon3d_ros.evaluation.world_objects import part_and_truth, render_object, unpack_object, view_and_truth

SIZE_WH = (112, 80)


@pytest.fixture(scope="module")
def library():
    return [unpack_object(render_object(seed, SIZE_WH, source="")) for seed in (0, 4, 8, 12)]


def test_an_object_that_trains_is_its_own_nearest(library):
    of_images = shape_scores.image_baselines(library)
    of_parts = shape_scores.part_baselines(library, 200)
    assert list(of_images) == ["mean shape", "nearest image", "nearest mask"]
    assert list(of_parts) == ["visible part", "mean shape", "nearest part"]
    for one in library:
        for name in ("nearest image", "nearest mask"):
            np.testing.assert_array_equal(of_images[name](one), view_and_truth(one, 8)[1])
        part, whole = part_and_truth(one, 200)
        np.testing.assert_array_equal(of_parts["nearest part"](one), whole)
        np.testing.assert_array_equal(of_parts["visible part"](one), part)


def test_scores_are_means_over_the_objects(library):
    truth_of = lambda one: view_and_truth(one, 8)[1]  # noqa: E731
    looked = []
    rows = shape_scores.score_shapes(
        "mine",
        library[:2],
        {"exact": truth_of, "moved": lambda one: truth_of(one) + np.float32([0.5, 0, 0])},
        truth_of,
        lambda one, found: looked.append(sorted(found)),
    )
    assert looked == [["exact", "moved"]] * 2
    exact, moved = (row.to_row() for row in rows)
    assert exact["chamfer"] == pytest.approx(0, abs=1e-3) and exact["f_score"] == 1 and exact["objects"] == 2
    assert moved["chamfer"] > 0.05 and moved["f_score"] < 0.9
    text = shape_scores.to_text(rows)
    assert "chamfer x 1000" in text and text.count("mine") == 2


def test_the_mean_shape_is_the_best_of_what_fits_all():
    ball = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    mean = shape_scores.mean_shape([ball, 1.1 * ball, 0.9 * ball, ball])
    assert np.linalg.norm(mean, axis=1).mean() == pytest.approx(1.0, abs=0.03)


def test_the_objects_of_the_world_that_test_do_not_train():
    first = next(iter(shape_scores.test_objects(1)))
    assert first.mask.any() and shape_scores.TEST_SEED + shape_scores.TEST_VIEWS < shape_scores.TRAINING_SEED
