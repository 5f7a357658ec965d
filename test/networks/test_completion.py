from __future__ import annotations

import pytest
import torch

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.completion import CompletionConfig, CompletionNetwork

SMALL = CompletionConfig(point=(8, 16), latent=24, coarse=12, fold=(1, 3))


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
    network = CompletionNetwork(SMALL).eval()
    part = torch.randn(1, 40, 3)
    turned = torch.cat([part, part[:, :9]], dim=1)[:, torch.randperm(49)]
    torch.testing.assert_close(network(part), network(turned))
    assert not torch.allclose(network(part), network(part + 0.3))


def test_every_weight_gets_a_gradient():
    network = CompletionNetwork(SMALL)
    points, coarse = network.analyse(torch.randn(3, 20, 3))
    (points.square().sum() + coarse.square().sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("wrong", [{"point": (8,)}, {"coarse": 0}, {"reach": 0.0}])
def test_sizes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected positive sizes"):
        CompletionConfig(**wrong)
