from __future__ import annotations

import math

import torch

from recon3d_ros.networks.stereo import StereoOutput
from recon3d_ros.training.losses import stereo_loss, target_distribution

BINS, STEP_PX = 12, 4


def output_for(truth: torch.Tensor, sharp: float) -> StereoOutput:
    """A network that answers the truth (one value), more or less surely."""
    value = float(truth[torch.isfinite(truth)][0])
    shape = (truth.shape[0], BINS, truth.shape[1] // 4, truth.shape[2] // 4)
    logits = torch.zeros(shape)
    logits[:, BINS - 1 - round(value / 4)] = sharp
    full = (truth.shape[0], 1, *truth.shape[1:])
    # Logarithm of the scale and logit of the trust at which the uncertainty costs nothing.
    nothing = torch.full(full, 0.0), torch.full(full, 40.0)
    return StereoOutput(logits, torch.zeros(()), torch.full(full, value), *nothing)


def test_target_is_a_distribution_around_the_truth():
    truth = torch.full((1, 8, 12), 14.0)
    target, weight = target_distribution(truth, torch.ones_like(truth, dtype=torch.bool), BINS, STEP_PX)
    torch.testing.assert_close(target.sum(dim=1), torch.ones(1, 2, 3))
    torch.testing.assert_close(weight, torch.ones(1, 2, 3))
    # 14 px are 3.5 bins: 3 and 4 share the peak.
    torch.testing.assert_close(target[0, BINS - 1 - 3], target[0, BINS - 1 - 4])
    assert target[0, BINS - 1 - 3].min() > 0.3


def test_cell_on_an_edge_has_two_modes():
    truth = torch.full((1, 4, 4), 8.0)
    truth[..., 2:] = 32.0
    target, _ = target_distribution(truth, torch.ones_like(truth, dtype=torch.bool), BINS, STEP_PX)
    both = target[0, [BINS - 1 - 2, BINS - 1 - 8], 0, 0]
    between = target[0, BINS - 1 - 5, 0, 0]
    assert both.min() > 10 * between


def test_unknown_and_too_large_disparities_are_not_scored():
    truth = torch.full((1, 8, 8), 8.0)
    output = output_for(truth, 9.0)
    expected = stereo_loss(output, truth, STEP_PX)
    truth[0, :4], truth[0, 4:6] = float("nan"), 4.0 * BINS + 1
    torch.testing.assert_close(stereo_loss(output, truth, STEP_PX), expected)
    truth[:] = float("nan")
    assert stereo_loss(output, truth, STEP_PX) == 0.0


def test_surer_right_answer_costs_less_and_gradient_is_finite():
    truth = torch.full((2, 8, 8), 16.0)
    vague, sure = (stereo_loss(output_for(truth, s), truth, STEP_PX) for s in (0.0, 4.0))
    assert sure < vague and math.isclose(float(vague), math.log(BINS), rel_tol=1e-4)
    output = output_for(truth, 1.0)
    output.logits.requires_grad_()
    truth[0] = float("nan")
    stereo_loss(output, truth, STEP_PX).backward()
    assert torch.isfinite(output.logits.grad).all() and output.logits.grad.abs().sum() > 0
