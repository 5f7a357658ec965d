from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks are torch modules")

from recon3d_ros.networks.matching import border_ramp, correlate, windowed_mean  # noqa: E402


def unit(features: torch.Tensor) -> torch.Tensor:
    features = features - features.mean(dim=(2, 3), keepdim=True)
    return features / (features.square().sum(dim=1, keepdim=True) + 1e-3).sqrt()


@pytest.mark.parametrize("dense", [1, 2, 3])
def test_correlation_is_the_product_with_the_columns_to_the_left(dense):
    """Column by column in plain loops, also with right descriptors more dense than the left ones."""
    bins, width = 7, 9
    left, right = torch.randn(2, 6, 5, width), torch.randn(2, 6, 5, dense * width)
    result = correlate(left, right, bins)
    assert result.shape == (2, bins, 5, width)
    a, b = unit(left), unit(right)
    expected = torch.zeros(2, bins, 5, width)
    for disparity in range(bins):
        for x in range(width):
            if dense * x >= disparity:
                product = (a[..., x] * b[..., dense * x - disparity]).sum(dim=1)
                expected[:, bins - 1 - disparity, :, x] = product
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dense", [1, 2])
def test_correlation_works_where_the_image_is_narrower_than_the_range(dense):
    left = torch.randn(1, 4, 2, 3)
    assert correlate(left, torch.randn(1, 4, 2, 3 * dense), bins=8).shape == (1, 8, 2, 3)


def test_correlation_is_largest_at_the_true_shift():
    features = torch.randn(1, 16, 8, 40)
    shifted = torch.roll(features, -5, dims=3)
    best = 11 - correlate(features, shifted, bins=12).argmax(dim=1)
    assert (best[..., 5:] == 5).float().mean() > 0.95


@pytest.mark.parametrize("columns_per_cell", [1, 2])
def test_ramp_counts_the_columns_inside_the_right_image(columns_per_cell):
    bins, width = 4, 6
    ramp = border_ramp(torch.zeros(1, bins, 2, width), columns_per_cell)
    inside = [min(columns_per_cell * x + 1, bins) / bins for x in range(width)]
    assert ramp.shape == (1, 1, 2, width)
    torch.testing.assert_close(ramp[0, 0, 1], torch.tensor(inside))


def test_windowed_mean_stays_on_the_stronger_of_two_surfaces():
    logits = torch.full((1, 20, 1, 1), -20.0)
    logits[0, 19 - 4], logits[0, 19 - 15] = 2.0, 1.5
    disparity, mass = windowed_mean(logits, window=2)
    assert abs(disparity.item() - 4.0) < 0.01
    # The share of the stronger one: e^2 / (e^2 + e^1.5).
    assert mass.item() == pytest.approx(1.0 / (1.0 + 2.718281828**-0.5), abs=1e-4)


@pytest.mark.parametrize(("nearer", "expected"), [(0.0, 4.0), (0.4, 4.0), (0.6, 12.0), (2.0, 15.0)])
def test_the_nearest_mode_wins_unless_it_is_much_less_probable(nearer, expected):
    logits = torch.full((1, 20, 1, 1), -20.0)
    logits[0, 19 - 4], logits[0, 19 - 12], logits[0, 19 - 15], logits[0, 19 - 18] = 2.0, 1.5, 0.5, -0.5
    disparity, mass = windowed_mean(logits, 1, nearer)
    assert abs(disparity.item() - expected) < 0.01
    assert mass.item() == pytest.approx((torch.softmax(logits, 1)[0, 19 - int(expected)]).item(), abs=1e-5)


def test_the_flank_of_a_broad_mode_is_no_nearer_one():
    bins = torch.arange(29.0, -1.0, -1.0).view(1, 30, 1, 1)
    logits = -0.1 * (bins - 11.0).square()
    for nearer in (0.0, 3.0):
        assert abs(windowed_mean(logits, 2, nearer)[0].item() - 11.0) < 1e-4


def test_a_mode_at_the_nearest_bin_counts():
    logits = torch.full((1, 20, 1, 1), -20.0)
    logits[0, 0], logits[0, 10] = 1.0, 2.0
    assert windowed_mean(logits, 1, 2.0)[0].item() == pytest.approx(19.0, abs=0.01)


def test_windowed_mean_is_between_two_equal_neighbours():
    logits = torch.full((1, 20, 1, 1), -20.0)
    logits[0, 19 - 4] = logits[0, 19 - 5] = 3.0
    disparity, mass = windowed_mean(logits, window=2)
    assert abs(disparity.item() - 4.5) < 0.01 and mass.item() > 0.999


@pytest.mark.parametrize("disparity", [0, 19])
def test_windowed_mean_at_either_end_of_the_range(disparity):
    logits = torch.zeros(1, 20, 1, 1)
    logits[0, 19 - disparity] = 30.0
    assert abs(windowed_mean(logits, window=2)[0].item() - disparity) < 0.01


def test_mass_of_a_flat_distribution_is_the_share_of_the_window():
    logits = torch.zeros(1, 20, 3, 2)
    logits[0, 10] = 5e-3  # one winner
    mass = windowed_mean(logits, window=2)[1]
    torch.testing.assert_close(mass, torch.full((1, 1, 3, 2), 5 / 20), atol=2e-3, rtol=0.0)


def test_gradient_of_a_windowed_mean_is_finite_for_extreme_logits():
    logits = torch.tensor([80.0, -80.0, 0.0, 79.0]).view(1, 4, 1, 1).requires_grad_()
    for nearer in (0.0, 2.0):
        disparity, mass = windowed_mean(logits, 1, nearer)
        (disparity + mass).sum().backward()
    assert torch.isfinite(logits.grad).all()
