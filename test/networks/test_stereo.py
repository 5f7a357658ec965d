from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks are torch modules")

from recon3d_ros.networks import build_network  # noqa: E402
from recon3d_ros.networks.stereo import border_ramp, correlate, windowed_mean  # noqa: E402

TINY = {
    "bins": 12,
    "stem": 4,
    "features": (8, 8, 8),
    "matching": 8,
    "guidance": 4,
    "hourglass": (8, 8, 8),
    "window": 2,
}


@pytest.mark.parametrize("shape_hw", [(32, 64), (96, 32), (64, 256)])
def test_answer_has_the_size_of_the_image_and_the_range_of_the_bins(shape_hw):
    network = build_network("stereo", TINY).eval()
    left, right = torch.rand(2, 2, 3, *shape_hw).unbind()
    with torch.no_grad():
        output = network.analyse(left, right)
    assert output.disparity.shape == (2, 1, *shape_hw)
    assert output.logits.shape == (2, 12, shape_hw[0] // 4, shape_hw[1] // 4)
    assert 0.0 <= output.disparity.min() and output.disparity.max() <= 4 * 11


def test_pairs_of_a_batch_do_not_see_each_other():
    network = build_network("stereo", TINY).eval()
    left, right = torch.rand(2, 3, 3, 32, 64).unbind()
    with torch.no_grad():
        together = network(left, right)
        alone = network(left[1:2], right[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-3, rtol=1e-4)


def test_correlation_is_the_product_with_the_column_to_the_left():
    left, right = torch.randn(2, 2, 6, 5, 9).unbind()
    result = correlate(left, right, bins=4)
    a, b = (x - x.mean(dim=(2, 3), keepdim=True) for x in (left, right))
    a, b = (x / (x.square().sum(dim=1, keepdim=True) + 1e-3).sqrt() for x in (a, b))
    for k in range(4):
        d = 3 - k
        expected = torch.zeros(2, 5, 9)
        expected[..., d:] = (a[..., d:] * b[..., : 9 - d]).sum(dim=1)
        torch.testing.assert_close(result[:, k], expected, atol=1e-5, rtol=1e-4)


def test_correlation_works_where_the_image_is_narrower_than_the_range():
    left = torch.randn(1, 4, 2, 3)
    assert correlate(left, left, bins=8).shape == (1, 8, 2, 3)


def test_correlation_is_largest_at_the_true_shift():
    features = torch.randn(1, 16, 8, 40)
    shifted = torch.roll(features, -5, dims=3)
    best = 11 - correlate(features, shifted, bins=12).argmax(dim=1)
    assert (best[..., 5:] == 5).float().mean() > 0.95


def test_ramp_counts_the_columns_inside_the_right_image():
    ramp = border_ramp(torch.zeros(1, 4, 2, 6), bins=4)
    assert ramp.shape == (1, 1, 2, 6)
    torch.testing.assert_close(ramp[0, 0, 1], torch.tensor([0.25, 0.5, 0.75, 1.0, 1.0, 1.0]))


def test_windowed_mean_stays_on_the_stronger_of_two_surfaces():
    logits = torch.full((1, 20, 1, 1), -20.0)
    logits[0, 19 - 4], logits[0, 19 - 15] = 2.0, 1.5
    assert abs(windowed_mean(logits, window=2).item() - 4.0) < 0.01


def test_windowed_mean_is_between_two_equal_neighbours():
    logits = torch.full((1, 20, 1, 1), -20.0)
    logits[0, 19 - 4] = logits[0, 19 - 5] = 3.0
    assert abs(windowed_mean(logits, window=2).item() - 4.5) < 0.01


def test_windowed_mean_at_either_end_of_the_range():
    for disparity in (0, 19):
        logits = torch.zeros(1, 20, 1, 1)
        logits[0, 19 - disparity] = 30.0
        assert abs(windowed_mean(logits, window=2).item() - disparity) < 0.01


def test_left_and_right_swapped_is_another_answer():
    network = build_network("stereo", TINY).eval()
    left, right = torch.rand(2, 1, 3, 32, 64).unbind()
    with torch.no_grad():
        assert not torch.allclose(network(left, right), network(right, left))
