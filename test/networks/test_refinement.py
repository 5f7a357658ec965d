from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks are torch modules")

from recon3d_ros.networks.refinement import Refinement  # noqa: E402


def plain_differences(described: torch.Tensor, disparity: torch.Tensor, floor: float) -> torch.Tensor:
    """Pixel by pixel: a disparity one pixel larger, then one smaller, between the columns beside it."""
    left, right = described.chunk(2)
    batch, _, height, width = left.shape
    result = torch.zeros(batch, 2, height, width)
    for b in range(batch):
        for v in range(height):
            for u in range(width):
                for k, off in enumerate((-0.5, 0.5)):
                    at = u - 0.5 * float(disparity[b, 0, 2 * v, 2 * u]) + off
                    low = int(torch.tensor(at).floor())
                    columns = [min(max(column, 0), width - 1) for column in (low, low + 1)]
                    a, c = (right[b, :, v, column] for column in columns)
                    shown = a + (at - low) * (c - a)
                    result[b, k, v, u] = torch.log((shown - left[b, :, v, u]).abs().mean() + floor)
    return result


def test_descriptors_are_compared_a_pixel_beside_the_disparity():
    torch.manual_seed(1)
    module = Refinement(4, 3, 22.0, 8)
    described = torch.randn(4, 8, 4, 6)
    disparity = 8.0 * torch.rand(2, 1, 8, 12)
    expected = plain_differences(described, disparity, module.LEAST_DIFFERENCE)
    torch.testing.assert_close(module.compare(described, disparity), expected, atol=1e-4, rtol=1e-4)


def test_it_starts_as_nothing_and_stays_in_the_range():
    module = Refinement(4, 3, 22.0, 8).eval()
    disparity = 30.0 * torch.rand(2, 1, 16, 24) - 4.0
    parts = torch.rand(2, 2, 4, 6), torch.randn(2, 4, 4, 6), torch.randn(4, 3, 8, 12)
    with torch.no_grad():
        torch.testing.assert_close(module(disparity, *parts), disparity.clamp(0.0, 22.0))


def test_aligned_channels_change_no_answer():
    torch.manual_seed(2)
    module = Refinement(4, 3, 22.0, 8).eval()
    torch.nn.init.normal_(module.leave.weight)
    inputs = (
        9.0 * torch.rand(1, 1, 16, 24),
        torch.rand(1, 2, 4, 6),
        torch.randn(1, 4, 4, 6),
        torch.randn(2, 3, 8, 12),
    )
    with torch.no_grad():
        before = module(*inputs)
        module.align_channels()
        assert module.enter[0].in_channels == 16
        torch.testing.assert_close(module(*inputs), before)


def test_it_learns_which_way_a_disparity_is_off():
    """Half of the pairs are a pixel too large, half too small; only the images tell which."""
    torch.manual_seed(3)
    module = Refinement(4, 3, 22.0, 16)
    left = torch.randn(6, 3, 16, 40)
    left = left + left.roll(1, dims=3)  # a texture that says something between its pixels
    half = torch.cat([left, left.roll(-2, dims=3)])
    off = torch.tensor([1.0, -1.0] * 3).view(6, 1, 1, 1).expand(6, 1, 32, 80)
    same = torch.zeros(6, 2, 8, 20), torch.zeros(6, 4, 8, 20)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(40):
        loss = (module(4.0 + off, *same, half) - 4.0)[..., 8:].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.4
