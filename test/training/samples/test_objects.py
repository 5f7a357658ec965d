from __future__ import annotations

import numpy as np
import pytest
import torch

from recon3d_ros.evaluation.world_objects import pack_object, render_object, unpack_object
from recon3d_ros.geometry.object_in_view import ObjectInView
from recon3d_ros.networks import build_network
from recon3d_ros.training.losses.shape_input import chamfer
from recon3d_ros.training.samples.objects import TRUTH_POINTS, CompletionTask, PointSetTask, seen_part
from recon3d_ros.training.samples.tasks import task_for

SMALL = {
    "point_set": {"channels": (4, 8, 8, 8, 8), "side": 64, "latent": 16, "free": 64},
    "completion": {"point": (8, 16), "latent": 32, "coarse": 32, "kept": 32},
}


@pytest.fixture(scope="module")
def packed() -> list[np.ndarray]:
    return [render_object(seed, (112, 80), source="") for seed in (0, 4)]


def draws(packed: list[np.ndarray]):
    numbers = iter(range(1000))
    return lambda: packed[next(numbers) % len(packed)]


def test_a_view_and_its_points_fit_each_other(packed):
    task = PointSetTask(64)
    for seed in range(6):
        image, points = task.crop(lambda: packed[0], (64, 64), np.random.default_rng(seed))
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        assert points.shape == (TRUTH_POINTS, 3) and points.dtype == np.float32
        assert 0.5 < np.abs(points[:, :2]).max() < 1.3 and abs(points[:, 2].min() + points[:, 2].max()) < 0.2


def test_a_mirrored_view_has_mirrored_points(packed):
    stored = unpack_object(packed[0])
    left = stored.mask.copy()
    left[:, : int(stored.box[0] + stored.box[2] / 2)] = False  # only the right half is shown
    half = pack_object(
        ObjectInView(
            np.where(left[..., None], np.uint8(255), np.uint8(0)) * np.ones((1, 1, 3), np.uint8),
            stored.mask,
            stored.camera,
            stored.whole,
            stored.partial,
        )
    )
    task, sides = PointSetTask(64), set()
    for seed in range(8):
        image, points = task.crop(lambda: half, (64, 64), np.random.default_rng(seed))
        bright = image[..., 0] > 200
        if bright.sum() < 20:
            continue
        ahead = np.mean(np.nonzero(bright)[1]) > 31.5
        sides.add(bool(ahead))
        whole = task.crop(lambda: packed[0], (64, 64), np.random.default_rng(seed))[1]
        np.testing.assert_array_equal(whole, points)
    assert sides == {True, False}


def test_parts_and_wholes_share_a_frame(packed):
    task = CompletionTask(300)
    partial, points = task.augment(
        task.crop(draws(packed), (20, 15), np.random.default_rng(1)), np.random.default_rng(2)
    )
    assert partial.shape == (300, 3) and points.shape == (TRUTH_POINTS, 3)
    apart = np.linalg.norm(partial[:, None] - points[None], axis=2).min(axis=1)
    assert np.median(apart) < 0.12 and partial.dtype == points.dtype == np.float32


def test_some_parts_are_cut_off(packed):
    stored = unpack_object(packed[0])
    counts = [len(seen_part(stored, np.random.default_rng(seed))) for seed in range(40)]
    assert min(counts) < 0.95 * max(counts) and 20 <= counts.count(max(counts)) < 40


@pytest.mark.parametrize("name", SMALL)
def test_a_few_steps_learn_two_objects(name, packed):
    torch.manual_seed(0)
    network = build_network(name, SMALL[name])
    task = task_for(network, (16, 16))
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for step in range(16):
        crops = [task.crop(draws(packed), (16, 16), np.random.default_rng((step, k))) for k in range(2)]
        crops = [task.augment(crop, np.random.default_rng(step)) for crop in crops]
        batch = [torch.from_numpy(np.stack(parts)) for parts in zip(*crops)]
        loss = chamfer(task.loss_input(network, torch.nn.ModuleDict(), batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    with torch.no_grad():
        result = task.evaluate(network.eval(), packed[0], torch.device("cpu"))
    assert set(result.metrics) == set(task.metrics) and 0 < result.metrics["chamfer"] < 1
    assert np.isfinite(result.truth).sum() > 100 and result.truth.shape == result.estimate.shape
    full = task.full_image(network, packed[0])
    assert full.estimate.shape[0] == full.measured.shape[0] == 1
