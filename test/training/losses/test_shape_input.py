from __future__ import annotations

import pytest
import torch

from recon3d_ros.training.losses.shape_input import (
    CHUNK,
    ShapeLossInput,
    chamfer,
    chamfer_distance,
    coarse_chamfer,
    earth_mover,
    nearest,
)


def test_the_nearest_points_are_those_of_all_distances():
    torch.manual_seed(0)
    ours, theirs = torch.randn(2, 2 * CHUNK + 37, 3), torch.randn(2, 301, 3)
    to_theirs, to_ours = nearest(ours, theirs)
    every = torch.cdist(ours, theirs)
    assert to_theirs.shape == (2, 2 * CHUNK + 37) and to_ours.shape == (2, 301)
    # Of points that are equally near but for a thousandth, either is taken.
    for index, axis in ((to_theirs, 2), (to_ours, 1)):
        found = every.gather(axis, index.unsqueeze(axis)).squeeze(axis)
        torch.testing.assert_close(found, every.amin(dim=axis), rtol=1e-3, atol=1e-3)


def test_chamfer_of_known_points():
    ours = torch.tensor([[[0.0, 0, 0], [1.0, 0, 0]]])
    theirs = torch.tensor([[[0.0, 0, 0.2], [1.0, 0, 0], [1.0, 0.4, 0]]])
    assert float(chamfer_distance(ours, theirs)) == pytest.approx((0.2 / 2 + 0.6 / 3) / 2, abs=1e-3)
    assert float(chamfer_distance(ours, ours)) < 1e-3


def test_a_loss_pulls_points_to_where_they_belong():
    torch.manual_seed(1)
    truth = torch.nn.functional.normalize(torch.randn(1, 400, 3), dim=2)
    for loss in (chamfer, earth_mover):
        points = (0.3 * torch.randn(1, 300, 3)).requires_grad_()
        optimizer = torch.optim.Adam([points], 0.05)
        for _ in range(60):
            value = loss(ShapeLossInput(points, truth))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        assert float((points.detach().norm(dim=2) - 1).abs().mean()) < 0.12, loss


def test_the_earth_mover_wants_each_point_to_have_its_share():
    left, right = torch.zeros(1, 64, 3), torch.zeros(1, 64, 3)
    right[..., 0] = 1.0
    truth = torch.cat([left, right], dim=1)
    uneven = torch.cat([left, left, left, right[:, :1], left[:, :63]], dim=1)
    assert float(chamfer(ShapeLossInput(uneven, truth))) < 1e-3
    assert float(earth_mover(ShapeLossInput(uneven, truth))) > 0.4
    assert float(earth_mover(ShapeLossInput(truth, truth))) < 0.01


def test_coarse_points_count_where_there_are_some():
    truth, points = torch.randn(1, 50, 3), torch.randn(1, 40, 3)
    assert float(coarse_chamfer(ShapeLossInput(points, truth))) == 0.0
    with_coarse = ShapeLossInput(points, truth, points)
    assert float(coarse_chamfer(with_coarse)) == pytest.approx(float(chamfer(with_coarse)))
