from __future__ import annotations

import numpy as np
import pytest
import torch

from recon3d_ros.evaluation.world_clouds import pack_cloud
from recon3d_ros.networks import build_network
from recon3d_ros.training.samples.clouds import PointsTask, scattered
from recon3d_ros.training.samples.tasks import task_for

SMALL = {"rows": 8, "columns": 8, "members": 4, "point": 8, "cells": (8, 8, 8)}


@pytest.fixture
def packed() -> np.ndarray:
    """A floor with a wall at 3 m."""
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(0.8, 3, 900), rng.uniform(-2, 2, 900), rng.normal(0, 0.01, 900)])
    wall = np.column_stack([np.full(300, 3.0), rng.uniform(-2, 2, 300), rng.uniform(0, 2, 300)])
    xyz = np.concatenate([floor, wall]).astype(np.float32)
    return pack_cloud(1.0, xyz, np.repeat(np.uint8([1, 2]), [900, 300]))


def test_a_crop_has_as_many_points_as_asked_for(packed):
    task = PointsTask(8, 8, 4)
    for size_wh in ((16, 8), (64, 32)):  # fewer than there are, and more
        points, cells, members, labels = task.crop(lambda: packed, size_wh, np.random.default_rng(3))
        count = size_wh[0] * size_wh[1]
        assert points.shape == (count, 3) and cells.shape == labels.shape == (count,)
        assert members.shape == (64, 4) and labels.dtype == np.int64 and set(labels) == {1, 2}


def test_crops_come_from_their_seed(packed):
    task = PointsTask(8, 8, 4)
    one, two, other = (task.crop(lambda: packed, (16, 8), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two)) and not np.array_equal(one[0], other[0])


def test_scattering_keeps_up_and_down():
    points = np.array([[1.0, 0.5, 0.3], [2.0, -1.0, 0.0]], np.float32)
    for seed in range(10):
        moved = scattered(points, np.random.default_rng(seed))
        size = moved[0, 2] / points[0, 2]
        assert moved[1, 2] == 0 and 0.7 < size < 1.4
        np.testing.assert_allclose(
            np.linalg.norm(moved, axis=1), size * np.linalg.norm(points, axis=1), rtol=1e-5
        )


def test_a_few_steps_learn_a_floor_and_a_wall(packed):
    torch.manual_seed(0)
    network = build_network("point_labels", SMALL)
    task = task_for(network, (32, 16))
    assert isinstance(task, PointsTask) and task.grid.rows == 8
    from recon3d_ros.training.losses.label_input import label_cross_entropy

    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for step in range(20):
        crops = [task.crop(lambda: packed, (32, 16), np.random.default_rng((step, k))) for k in range(2)]
        batch = [torch.from_numpy(np.stack(parts)) for parts in zip(*crops)]
        loss = label_cross_entropy(task.loss_input(network, torch.nn.ModuleDict(), batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        result = task.evaluate(network.eval(), packed, torch.device("cpu"))
        assert task.full_image(network, packed).logits.shape == (1, 1200, 6)
    assert result.metrics["accuracy"] > 0.9 and result.metrics["ground_iou"] > 0.85
    assert result.image.shape == (96, 96, 3) and np.isfinite(result.truth).any()
