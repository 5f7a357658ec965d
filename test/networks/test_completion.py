from __future__ import annotations

import pytest
import torch

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.completion import CompletionConfig, CompletionNetwork

SMALL = CompletionConfig(point=(8, 16), latent=24, coarse=8, kept=4, fold=(1, 3))


def test_a_patch_is_folded_around_each_coarse_point():
    network = CompletionNetwork(SMALL).eval()
    points, coarse = network.analyse(torch.randn(2, 37, 3))
    assert points.shape == (2, 36, 3) == (2, SMALL.points, 3) and coarse.shape == (2, 12, 3)
    torch.nn.init.zeros_(network.fold[-1].weight)
    torch.nn.init.zeros_(network.fold[-1].bias)
    unmoved = network(torch.randn(2, 37, 3))
    assert torch.equal(unmoved.view(2, 12, 3, 3)[:, :, 0], unmoved.view(2, 12, 3, 3)[:, :, 2])
    assert CompletionConfig().points == 2048


def test_the_order_of_the_points_does_not_matter_nor_that_some_are_repeated():
    """But for which of them are kept."""
    network = CompletionNetwork(SMALL).eval()
    part = torch.randn(1, 40, 3)
    others = torch.cat([part[:, 4:], part[:, :9]], dim=1)[:, torch.randperm(45)]
    torch.testing.assert_close(network(part), network(torch.cat([part[:, :4], others], dim=1)))
    assert not torch.allclose(network(part), network(part + 0.3))


def test_visible_points_stay_where_they_are_until_training_moves_them():
    network = CompletionNetwork(SMALL).eval()
    part = torch.randn(2, 20, 3)
    points, coarse = network.analyse(part)
    assert torch.equal(coarse[:, 8:], part[:, :4])
    torch.nn.init.zeros_(network.fold[-1].weight)
    torch.nn.init.zeros_(network.fold[-1].bias)
    assert torch.equal(network(part).view(2, 12, 3, 3)[:, 8:], part[:, :4, None].expand(-1, -1, 3, -1))
    # What is around a point tells where its own patch lies.
    with torch.no_grad():
        network.fold_kept.weight.zero_()
    assert not torch.allclose(points, network(part))


def test_every_weight_gets_a_gradient():
    network = CompletionNetwork(SMALL)
    points, coarse = network.analyse(torch.randn(3, 20, 3))
    (points.square().sum() + coarse.square().sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("wrong", [{"point": (8,)}, {"coarse": 0}, {"reach": 0.0}])
def test_sizes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected positive sizes"):
        CompletionConfig(**wrong)
