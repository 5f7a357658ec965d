from __future__ import annotations

import numpy as np
import pytest
import torch

from recon3d_ros.errors import ConfigError
from recon3d_ros.model_zoo.points import PolarGrid
from recon3d_ros.networks import build_network
from recon3d_ros.networks.pillars import PillarsConfig
from recon3d_ros.preprocess.points import group_points

SMALL = {"rows": 8, "columns": 12, "members": 4, "point": 8, "cells": (8, 8, 8)}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network("point_labels", SMALL).eval()


def tensors(points):
    grouped = group_points(points, PolarGrid(8, 12, 4))
    return tuple(torch.from_numpy(a)[None] for a in (grouped.points, grouped.cells, grouped.members))


def cloud(count=300, seed=0):
    return np.random.default_rng(seed).uniform([1, -3, 0], [6, 3, 2], (count, 3)).astype(np.float32)


def test_every_point_gets_probabilities(network):
    with torch.no_grad():
        said = network(*tensors(cloud()))
    assert said.shape == (1, 300, 6)
    torch.testing.assert_close(said.sum(dim=2), torch.ones(1, 300))


def test_the_order_of_the_points_does_not_matter(network):
    points = cloud(40)  # no cell has more than its members
    order = np.random.default_rng(3).permutation(40)
    with torch.no_grad():
        said, shuffled = network(*tensors(points)), network(*tensors(points[order]))
    torch.testing.assert_close(said[0, order], shuffled[0])


def test_a_batch_is_its_clouds_one_by_one(network):
    clouds = [tensors(cloud(seed=seed)) for seed in (1, 2)]
    with torch.no_grad():
        together = network(*(torch.cat(parts) for parts in zip(*clouds)))
        each = torch.cat([network(*one) for one in clouds])
    torch.testing.assert_close(together, each)


def test_what_is_around_matters(network):
    points = cloud()
    with torch.no_grad():
        alone = network(*tensors(points))[0, 0]
        points[1:, 2] += 1.0
        among = network(*tensors(points))[0, 0]
    assert not torch.allclose(alone, among)


@pytest.mark.parametrize("wrong", [{"rows": 6}, {"members": 0}, {"cells": (8, 8)}])
def test_sizes_are_checked(wrong):
    with pytest.raises(ConfigError, match="expected positive sizes"):
        PillarsConfig(**wrong)
