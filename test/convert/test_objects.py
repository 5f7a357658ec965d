from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.convert.objects import CALIBRATION_SEEDS, COMPARISON_SEEDS, object_feeds, object_score
from recon3d_ros.metrics import nearest_distances
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.model_zoo.manifest import Licence, Manifest
from recon3d_ros.model_zoo.shapes import PartialInputContract, ShapeOutputContract


def model(task: str) -> Manifest:
    image = InputContract(("image",), scale=1 / 255, size_wh=(64, 64), fit="stretch")
    given = image if task == "point_set" else PartialInputContract(("part",), count=300)
    return Manifest("mine", task, given, ShapeOutputContract(), Licence("mine"))


def test_feeds_are_what_the_network_takes_and_none_is_another_one():
    feeds, truths = object_feeds(model("point_set"), (910_000, 910_004))
    assert [feed["image"].shape for feed in feeds] == [(1, 3, 64, 64)] * 2
    assert not np.array_equal(feeds[0]["image"], feeds[1]["image"]) and feeds[0]["image"].max() <= 1
    assert all(0.4 < np.abs(truth[:, :2]).max() < 1.2 for truth in truths)


def test_parts_lie_on_their_wholes():
    feeds, truths = object_feeds(model("completion"), (910_000, 910_004))
    for feed, truth in zip(feeds, truths):
        assert feed["part"].shape == (1, 300, 3) and feed["part"].dtype == np.float32
        assert np.median(nearest_distances(feed["part"][0], truth)[0]) < 0.1
        assert object_score(truth[None], truth)["chamfer"] == pytest.approx(0, abs=1e-3)


def test_what_finds_ranges_does_not_compare():
    assert not set(CALIBRATION_SEEDS) & set(COMPARISON_SEEDS) and len(COMPARISON_SEEDS) == 16
