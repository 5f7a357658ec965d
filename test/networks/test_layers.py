from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks are torch modules")

from recon3d_ros.networks.layers import ConvexUpsampler, SurfaceUpsampler  # noqa: E402

HIDDEN, STEM = 8, 2


def upsampler(kind: type[ConvexUpsampler]) -> ConvexUpsampler:
    torch.manual_seed(0)
    return kind(HIDDEN, STEM).eval()


def upsampled(kind: type[ConvexUpsampler], coarse: torch.Tensor, own_weight: float = 0.0) -> torch.Tensor:
    """With weights that are equal but for that of a pixel's own cell."""
    module = upsampler(kind)
    last = module.weigh[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    with torch.no_grad():
        last.bias.view(9, 16)[4] = own_weight
        features = (torch.zeros(len(coarse), n, *coarse.shape[2:]) for n in (HIDDEN, 4 * STEM))
        return module(coarse, *features)


@pytest.fixture
def edge() -> torch.Tensor:
    """(1, 1, 3, 6) px: a wall at 10, and a thing at 30 from the fourth column on."""
    return torch.tensor([10.0, 10.0, 10.0, 30.0, 30.0, 30.0]).expand(1, 1, 3, 6).contiguous()


@pytest.mark.parametrize("kind", [ConvexUpsampler, SurfaceUpsampler])
def test_upsampled_plane_stays_between_its_neighbours(kind):
    coarse = 20.0 + torch.arange(6.0).expand(1, 1, 3, 6)  # 1 px a cell: slanted, one surface
    module = upsampler(kind)
    with torch.no_grad():
        fine = module(coarse, torch.randn(1, HIDDEN, 3, 6), torch.randn(1, 4 * STEM, 3, 6))
    assert fine.shape == (1, 1, 12, 24)
    cells = fine.reshape(3, 4, 6, 4).permute(0, 2, 1, 3).reshape(3, 6, 16)
    assert ((cells - coarse[0, 0, ..., None]).abs() <= 1.0 + 1e-4).all()


def test_surfaces_of_one_depth_are_upsampled_as_by_the_convex_one():
    coarse = 20.0 + torch.rand(2, 1, 4, 5) * SurfaceUpsampler.REACH_PX
    features = torch.randn(2, HIDDEN, 4, 5), torch.randn(2, 4 * STEM, 4, 5)
    with torch.no_grad():
        both = [upsampler(kind)(coarse, *features) for kind in (ConvexUpsampler, SurfaceUpsampler)]
    torch.testing.assert_close(*both)


def test_nothing_floats_between_two_surfaces(edge):
    assert ((upsampled(ConvexUpsampler, edge, own_weight=1.0) - 20.0).abs() < 6.0).any()
    chosen = upsampled(SurfaceUpsampler, edge, own_weight=1.0)
    torch.testing.assert_close(chosen, edge.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3))


def test_of_equal_weights_the_nearest_surface_is_taken(edge):
    chosen = upsampled(SurfaceUpsampler, edge)
    assert (chosen[..., 8:] == 30.0).all() and (chosen[..., :8] == 10.0).all()


def test_gradient_of_the_surface_reaches_its_weights_and_disparities_alone(edge):
    coarse = edge.clone().requires_grad_()
    module = upsampler(SurfaceUpsampler)
    torch.nn.init.zeros_(module.weigh[-1].weight)
    with torch.no_grad():
        module.weigh[-1].bias.zero_().view(9, 16)[4] = 1.0
    fine = module(coarse, torch.randn(1, HIDDEN, 3, 6), torch.randn(1, 4 * STEM, 3, 6))
    fine[0, 0, 4:8, 8:12].sum().backward()  # the last cell of the wall
    assert torch.isfinite(coarse.grad).all()
    assert (coarse.grad[0, 0, :, 1:3] > 0.0).all() and (coarse.grad[0, 0, :, 3:] == 0.0).all()


def test_order_of_the_cells_starts_as_nothing_and_can_decide(edge):
    module = SurfaceUpsampler(HIDDEN, STEM, ordered=True).eval()
    plain = SurfaceUpsampler(HIDDEN, STEM).eval()
    plain.load_state_dict(module.state_dict(), strict=False)
    features = torch.randn(1, HIDDEN, 3, 6), torch.randn(1, 4 * STEM, 3, 6)
    with torch.no_grad():
        torch.testing.assert_close(module(edge, *features), plain(edge, *features))
        module.order.weight.normal_()
        small = 0.3 * edge  # a step of a reach
        seen = [
            module.look(*features, module.neighbours(cells)) for cells in (small, small + 50.0, 2.0 * small)
        ]
    torch.testing.assert_close(seen[0], seen[1])  # by how much, not where
    apart = (seen[2] - seen[0]).abs().sum(dim=1)[0]
    assert (apart[:, 1:5] > 0.0).any() and (apart[:, :1] == 0.0).all() and (apart[:, 5:] == 0.0).all()
