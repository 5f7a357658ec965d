from __future__ import annotations

import pytest
import torch

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.point_set import PointSetConfig, PointSetNetwork

SMALL = PointSetConfig(channels=(4, 8, 8, 8, 8), side=64, latent=16, free=50)


def test_it_gives_as_many_points_as_its_config_says():
    network = PointSetNetwork(SMALL).eval()
    points = network(torch.rand(2, 3, 64, 64))
    assert points.shape == (2, 50 + 16 * 16, 3) == (2, SMALL.points, 3)
    assert PointSetConfig().points == 2048 and points.dtype == torch.float32


def test_points_of_the_grid_start_in_their_cells():
    network = PointSetNetwork(SMALL).eval()
    torch.nn.init.zeros_(network.move[-1].weight)
    torch.nn.init.zeros_(network.move[-1].bias)
    placed = network(torch.rand(1, 3, 64, 64))[0, 50:].view(16, 16, 3)
    assert placed[0, 0].tolist() == pytest.approx([-0.46875, -0.46875, 0.0])
    assert (placed[:, 1:, 0] > placed[:, :-1, 0]).all() and (placed[1:, :, 1] > placed[:-1, :, 1]).all()


def test_every_weight_gets_a_gradient():
    network = PointSetNetwork(SMALL)
    points, coarse = network.analyse(torch.rand(3, 3, 64, 64))
    points.square().sum().backward()
    assert coarse is None
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("wrong", [{"side": 100}, {"channels": (8, 8)}, {"free": 0}])
def test_sizes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ConfigError, match="five numbers of channels"):
        PointSetConfig(**wrong)
