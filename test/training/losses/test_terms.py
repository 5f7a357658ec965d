"""Each loss against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recon3d_ros.networks.stereo import StereoOutput
from recon3d_ros.system import lazy
from recon3d_ros.training.losses import terms
from recon3d_ros.training.losses.loss_input import DisparityLossInput
from recon3d_ros.training.losses.table import (
    DEFAULT_LOSSES,
    DEPTH_ONLY,
    LABELS_ONLY,
    LOSSES,
    SHAPES_ONLY,
    parse_losses,
)
from recon3d_ros.training.losses.terms import cross_entropy, target_distribution
from recon3d_ros.training.run.objective import weighted_loss

BINS, STEP_PX = 12, 4
OF_DISPARITY = [name for name in LOSSES if name not in (*DEPTH_ONLY, *LABELS_ONLY, *SHAPES_ONLY)]
NAN = float("nan")


def loss_input(
    estimate, truth, *, logits=None, log_scale=0.0, confidence_logit=0.0, left=None, candidates=None
) -> DisparityLossInput:
    """(B, H, W) planes, or nested lists of them."""
    estimate, truth = (torch.as_tensor(plane, dtype=torch.float32) for plane in (estimate, truth))
    batch, height, width = truth.shape
    if logits is None:
        logits = torch.zeros(batch, BINS, max(height // 4, 1), max(width // 4, 1))
    full = (batch, 1, height, width)
    scale, trusting = torch.full(full, log_scale), torch.full(full, confidence_logit)
    if candidates is None:  # each cell says nothing, each is as good
        cells = (batch, 9, 1, height // 4, width // 4)
        candidates = torch.ones(batch, 9, 16, *cells[3:]), torch.zeros(cells)
    output = StereoOutput(logits, torch.zeros(()), estimate[:, None], scale, trusting, *candidates)
    return DisparityLossInput(
        output, torch.zeros(batch, 3, height, width) if left is None else left, truth, STEP_PX
    )


def positions(truth, step_px=STEP_PX):
    """Where a disparity lies among the bins: the last one is 0."""
    return BINS - 1 - truth / step_px


# Errors 0.5, -2, 3 over the known pixels; 50 px is beyond the 44 px of the last bin.
ESTIMATE = [[[4.5, 8.0, 19.0, 7.0, 9.0]]]
TRUTH = [[[4.0, 10.0, 16.0, NAN, 50.0]]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", (0.5 + 2.0 + 3.0) / 3),
        ("mse", (0.25 + 4.0 + 9.0) / 3),
        ("smooth_l1", (0.5 * 0.25 + 1.5 + 2.5) / 3),
        ("truncated_l1", (0.5 + 2.0 + 2.0) / 3),
        (
            "cosine",
            1.0 - (4.5 * 4 + 8 * 10 + 19 * 16) / math.sqrt((4.5**2 + 8**2 + 19**2) * (4**2 + 10**2 + 16**2)),
        ),
        (
            "scale_invariant_log",
            sum(math.log(a / b) ** 2 for a, b in ((4.5, 4), (8, 10), (19, 16))) / 3
            - 0.5 * (math.log(4.5 / 4 * 8 / 10 * 19 / 16) / 3) ** 2,
        ),
        # Scale 1 px: the errors themselves; trust 1/2: log 2 each.
        ("uncertainty", (0.5 + 2.0 + 3.0) / 3 + math.log(2.0)),
    ],
)
def test_value_worked_out_by_hand(name, expected):
    value = lazy.load(LOSSES[name])(loss_input(ESTIMATE, TRUTH))
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_uncertainty_of_another_scale_and_trust():
    # Errors 1 and 6 px: the second is no longer within 3 px.
    value = terms.uncertainty(
        loss_input([[[5.0, 10.0]]], [[[4.0, 16.0]]], log_scale=1.0, confidence_logit=2.0)
    )
    laplace = ((1.0 + 6.0) * math.exp(-1.0)) / 2 + 1.0
    trusting = (math.log(1 + math.exp(-2.0)) + math.log(1 + math.exp(2.0))) / 2
    assert float(value) == pytest.approx(laplace + trusting, rel=1e-5)


def test_out_of_range_asks_for_no_trust_where_no_answer_can_be_right():
    # Of four known or beyond the 44 px of the last bin, one is beyond.
    value = terms.out_of_range(loss_input(ESTIMATE, TRUTH, confidence_logit=2.0))
    assert float(value) == pytest.approx(math.log(1 + math.exp(2.0)) / 4, rel=1e-5)
    within = loss_input([[[9.0, 9.0]]], [[[4.0, 40.0]]], confidence_logit=2.0)
    assert float(terms.out_of_range(within)) == 0.0


def test_choice_of_a_surface_is_the_expectation_over_all_cells():
    """Cells at 10 px, at 30 px, the others at 13 px, of weights 1, 0.5 and 0; a thin thing at 30 px."""
    truth = torch.full((1, 8, 12), 10.5)
    truth[0, :, 7] = 30.0  # in place 3 of the rows of its cells
    truth[0, 0] = NAN
    neighbours = torch.full((1, 9, 1, 2, 3), 13.0)
    neighbours[0, 4], neighbours[0, 5] = 10.0, 30.0
    weights = torch.zeros(1, 9, 16, 2, 3)
    weights[0, 4], weights[0, 5] = 1.0, 0.5
    weights.requires_grad_()
    value = terms.surface_choice(loss_input(truth, truth, candidates=(weights, neighbours)))
    assert float(value.detach()) == pytest.approx((11 * 1 / 3 + 16 * 2 / 3) / 12, rel=1e-5)
    value.backward()
    wall, thing = weights.grad[0, 3:6, 4 + 2, 1, 1], weights.grad[0, 3:6, 4 + 3, 1, 1]
    assert wall[1] < 0.0 < min(wall[0], wall[2]) and thing[2] < 0.0 < min(thing[0], thing[1])
    assert weights.grad[0, :, :4, 0].abs().sum() == 0.0  # nothing is known there


def test_thin_things_are_narrow_and_nearer_than_what_is_beside_them():
    truth = torch.full((1, 40, 60), 8.0)
    truth[0, 20:22, :28] = 24.0  # a wire
    truth[0, :, 5:10] = 30.0  # a post before it
    truth[0, :, 30:50] = 30.0  # a wall
    truth[0, 30, 20] = 10.0  # 2 px nearer are none
    truth[0, :8, 7] = NAN
    expected = torch.zeros(1, 40, 60, dtype=torch.bool)
    expected[0, :, 5:10] = True
    expected[0, 20:22, :28] = True
    expected[0, :8, 7] = False
    assert torch.equal(loss_input(truth, truth).thin, expected)


def test_thin_counts_what_is_thin_once_more():
    truth = torch.full((1, 16, 32), 8.0)
    truth[0, :, 12:16] = 32.0  # one column of cells, 4 of 32
    logits = torch.zeros(1, BINS, 4, 8)
    estimate = torch.full((1, 16, 32), 8.0)
    # The flat answer costs log(bins) a cell, the missed post 24 px; an eighth of the pixels is thin.
    expected = (math.log(BINS) + 0.2 * 23.5) / 8
    assert float(terms.thin(loss_input(estimate, truth, logits=logits))) == pytest.approx(expected, rel=1e-5)
    truth[:] = 8.0
    assert float(terms.thin(loss_input(estimate, truth, logits=logits))) == 0.0


def test_smoothness_counts_slopes_less_at_edges_of_the_image():
    disparity = [[[1.0, 3.0], [1.0, 6.0]]]
    left = torch.zeros(1, 3, 2, 2)
    left[..., 1] = 0.5  # contrast 0.5 along the rows, none down the columns
    value = terms.edge_smoothness(loss_input(disparity, [[[NAN, NAN], [NAN, NAN]]], left=left))
    across = (2.0 + 5.0) / 2 * math.exp(-0.5)
    down = (0.0 + 3.0) / 2
    assert float(value) == pytest.approx(across + down, rel=1e-5)


def test_cosine_and_log_are_means_over_images_and_do_not_see_the_scale():
    truth = torch.rand(2, 8, 8) * 20 + 2
    exact = loss_input(1.7 * truth, truth)
    assert float(terms.cosine(exact)) == pytest.approx(0.0, abs=1e-6)
    half = 0.5 * math.log(1.7) ** 2  # lambda 1/2 leaves half of a common factor
    assert float(terms.scale_invariant_log(exact)) == pytest.approx(half, rel=1e-4)
    blank = truth.clone()
    blank[1] = NAN
    wrong = loss_input(truth.flip(2), truth)
    first = loss_input(truth.flip(2)[:1], truth[:1])
    for loss in (terms.cosine, terms.scale_invariant_log):
        both = loss_input(truth.flip(2), blank)
        torch.testing.assert_close(loss(both), loss(first))
        assert float(loss(wrong)) > 0.0


@pytest.mark.parametrize("name", OF_DISPARITY)
def test_unknown_pixels_change_nothing_and_gradients_are_finite(name):
    torch.manual_seed(3)
    loss = lazy.load(LOSSES[name])
    truth = 30 * torch.rand(2, 16, 16)
    truth[0, 3:9] = NAN
    truth[1, :, :4] = 100.0
    truth[1, 5, 6] = 0.0  # the sky
    estimate = (30 * torch.rand(2, 16, 16)).requires_grad_()
    logits = torch.randn(2, BINS, 4, 4, requires_grad=True)
    scored = loss_input(estimate, truth, logits=logits)
    value = loss(scored)
    assert torch.isfinite(value)
    if name not in ("uncertainty", "out_of_range", "surface_choice"):  # they look on, here at constants
        value.backward()
    for part in (estimate, logits):
        assert part.grad is None or torch.isfinite(part.grad).all()
    if name not in ("cross_entropy", "uncertainty", "out_of_range", "surface_choice"):
        assert estimate.grad.abs().sum() > 0.0
    if name not in ("cross_entropy", "edge_smoothness"):
        other = estimate.detach().clone()
        other[0, 3:9] += 5.0
        other[1, :, :4] = 0.0
        torch.testing.assert_close(loss(loss_input(other, truth, logits=logits)), value.detach())


@pytest.mark.parametrize("name", [name for name in OF_DISPARITY if name != "edge_smoothness"])
def test_nothing_known_costs_nothing(name):
    truth = torch.full((1, 8, 8), NAN)
    estimate = torch.ones(1, 8, 8, requires_grad=True)
    value = lazy.load(LOSSES[name])(loss_input(estimate, truth))
    assert float(value.detach()) == 0.0
    if value.requires_grad:
        value.backward()
        assert torch.isfinite(estimate.grad).all()


def test_estimate_of_nothing_is_pulled_towards_the_truth_by_the_logarithm():
    estimate = torch.zeros(1, 1, 2, requires_grad=True)
    terms.scale_invariant_log(loss_input(estimate, [[[10.0, 10.0]]])).backward()
    assert (estimate.grad < 0.0).all()


def test_uncertainty_leaves_the_disparity_alone():
    estimate = torch.full((1, 4, 4), 9.0, requires_grad=True)
    assert not terms.uncertainty(loss_input(estimate, torch.full((1, 4, 4), 4.0))).requires_grad


def test_target_is_a_distribution_around_the_truth():
    truth = torch.full((1, 8, 12), 14.0)
    target, weight = target_distribution(positions(truth), torch.ones_like(truth, dtype=torch.bool), BINS)
    torch.testing.assert_close(target.sum(dim=1), torch.ones(1, 2, 3))
    torch.testing.assert_close(weight, torch.ones(1, 2, 3))
    # 14 px are 3.5 bins: 3 and 4 share the peak.
    torch.testing.assert_close(target[0, BINS - 1 - 3], target[0, BINS - 1 - 4])
    assert target[0, BINS - 1 - 3].min() > 0.3


def test_bins_of_half_the_step_have_their_target_twice_as_far():
    truth = torch.full((1, 4, 4), 14.0)
    target, _ = target_distribution(positions(truth, 2), torch.ones_like(truth, dtype=torch.bool), BINS)
    assert int(target[0, :, 0, 0].argmax()) == BINS - 1 - 7


def test_cell_on_an_edge_has_two_modes():
    truth = torch.full((1, 4, 4), 8.0)
    truth[..., 2:] = 32.0
    target, _ = target_distribution(positions(truth), torch.ones_like(truth, dtype=torch.bool), BINS)
    both = target[0, [BINS - 1 - 2, BINS - 1 - 8], 0, 0]
    between = target[0, BINS - 1 - 5, 0, 0]
    assert both.min() > 10 * between


def test_cross_entropy_of_a_flat_and_of_a_sure_answer():
    truth = torch.full((2, 8, 8), 16.0)
    flat = torch.zeros(2, BINS, 2, 2)
    sure = flat.clone()
    sure[:, BINS - 1 - 4] = 4.0
    vague, right = (float(cross_entropy(loss_input(truth, truth, logits=logits))) for logits in (flat, sure))
    assert vague == pytest.approx(math.log(BINS), rel=1e-5)
    # The target is a Laplace of half a bin: e^(-2 |k - 4|), normalised; -sum p log q by hand.
    weights = [math.exp(-2.0 * abs(k - 4)) for k in range(BINS)]
    share = weights[4] / sum(weights)
    total = math.log(math.exp(4.0) + BINS - 1)
    assert right == pytest.approx(total - 4.0 * share, rel=1e-4)


def test_default_is_the_weighted_sum():
    estimate, truth = 30 * torch.rand(2, 1, 8, 12).expand(2, 2, 8, 12)
    scored = loss_input(estimate, truth, logits=torch.randn(2, BINS, 2, 3))
    total = weighted_loss(scored, parse_losses(DEFAULT_LOSSES["stereo"]))
    parts = (cross_entropy(scored), terms.smooth_l1(scored), terms.uncertainty(scored))
    torch.testing.assert_close(total, parts[0] + 0.2 * parts[1] + 0.2 * parts[2])
