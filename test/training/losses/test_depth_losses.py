"""The losses of a depth against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recon3d_ros.networks.mono import MonoOutput
from recon3d_ros.system import lazy
from recon3d_ros.training.losses import terms
from recon3d_ros.training.losses.loss_input import DepthLossInput
from recon3d_ros.training.losses.table import DISPARITY_ONLY, LABELS_ONLY, LOSSES, SHAPES_ONLY

NAN = float("nan")
OF_DEPTH = [name for name in LOSSES if name not in (*DISPARITY_ONLY, *LABELS_ONLY, *SHAPES_ONLY)]
BINS = 9
# Every bin is 2 ** 0.5 times as far as the one before: 0.5 m to 8 m.
CENTRES = torch.linspace(math.log(0.5), math.log(8.0), BINS).view(1, BINS, 1, 1)


def loss_input(
    estimate, truth, *, logits=None, log_scale=0.0, confidence_logit=0.0, **extra
) -> DepthLossInput:
    """(B, H, W) planes, or nested lists of them."""
    estimate, truth = (torch.as_tensor(plane, dtype=torch.float32) for plane in (estimate, truth))
    batch, height, width = truth.shape
    if logits is None:
        logits = torch.zeros(batch, BINS, max(height // 4, 1), max(width // 4, 1))
    full = (batch, 1, height, width)
    scale, trusting = torch.full(full, log_scale), torch.full(full, confidence_logit)
    output = MonoOutput(logits, estimate[:, None], scale, trusting, {})
    return DepthLossInput(output, torch.zeros(batch, 3, height, width), truth, CENTRES, **extra)


ESTIMATE = [[[1.0, 4.0, 3.0, 7.0, 9.0]]]
TRUTH = [[[2.0, 4.0, 6.0, NAN, 0.0]]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", (1.0 + 0.0 + 3.0) / 3),
        ("mse", (1.0 + 0.0 + 9.0) / 3),
        ("log_l1", 2 * math.log(2.0) / 3),
        ("scale_invariant_log", 2 * math.log(2) ** 2 / 3 - 0.5 * (2 * math.log(2) / 3) ** 2),
        ("cosine", 1.0 - (2 + 16 + 18) / math.sqrt((1 + 16 + 9) * (4 + 16 + 36))),
        # Scale 1: the errors of the logarithm themselves; trust 1/2: log 2 each.
        ("uncertainty", 2 * math.log(2.0) / 3 + math.log(2.0)),
    ],
)
def test_value_worked_out_by_hand(name, expected):
    value = lazy.load(LOSSES[name])(loss_input(ESTIMATE, TRUTH))
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_trusted_is_a_relative_error_below_a_quarter():
    scored = loss_input([[[1.24, 1.26, 7.6, 0.0]]], [[[1.0, 1.0, 10.0, 1.0]]])
    assert scored.is_accurate.tolist() == [[[True, False, True, False]]]


def test_gradient_sees_no_common_factor_and_counts_slopes():
    truth = torch.rand(1, 12, 20) * 4 + 1
    assert float(terms.gradient(loss_input(1.7 * truth, truth))) == pytest.approx(0.0, abs=1e-6)
    step = torch.ones(1, 1, 16)
    step[..., 8:] = 2.0
    # Over d px, d of the 16 - d differences cross the step.
    expected = sum(d / (16 - d) for d in terms.GRADIENT_STEPS_PX) * math.log(2.0) / 4
    assert float(terms.gradient(loss_input(step, torch.ones(1, 1, 16)))) == pytest.approx(expected, rel=1e-5)


def test_normals_of_a_wall_and_of_a_slanted_one():
    """z = z0 + s x, x = (u - c) z / f: the normal leans by atan(s)."""
    slope, focal, width = 0.5, DepthLossInput.focal_px, 65
    u = (torch.arange(width) - (width - 1) / 2).expand(33, width)
    slanted = (3.0 / (1.0 - slope * u / focal))[None]
    wall = torch.full_like(slanted, 3.0)
    assert float(terms.normals(loss_input(slanted, slanted))) == pytest.approx(0.0, abs=1e-5)
    lean = 1.0 - math.cos(math.atan(slope))
    assert float(terms.normals(loss_input(wall, slanted))) == pytest.approx(lean, rel=2e-3)
    # The same wall further away has the same normal.
    assert float(terms.normals(loss_input(2.0 * wall, wall))) == pytest.approx(0.0, abs=1e-5)
    blank = slanted.clone()
    blank[:, ::2] = NAN
    assert torch.isfinite(terms.normals(loss_input(wall, blank)))


def test_teacher_is_compared_on_its_own_grid():
    teacher_depth = torch.tensor([[[1.0, 2.0]]])
    estimate = torch.ones(1, 4, 8)
    value = terms.distill(loss_input(estimate, torch.full((1, 4, 8), NAN), teacher_depth=teacher_depth))
    assert float(value) == pytest.approx(math.log(2.0) / 2, rel=1e-5)
    silent = torch.tensor([[[NAN, 2.0]]])  # where the teacher knows nothing, nothing is learnt
    assert float(terms.distill(loss_input(estimate, estimate, teacher_depth=silent))) == pytest.approx(
        math.log(2.0)
    )
    assert float(terms.distill(loss_input(estimate, estimate))) == 0.0


def test_features_are_compared_one_by_one():
    feature_pairs = [
        (torch.zeros(1, 2, 3, 3), torch.full((1, 2, 3, 3), 0.5)),
        (torch.zeros(1), torch.tensor([3.0])),
    ]
    value = terms.features(loss_input(ESTIMATE, TRUTH, feature_pairs=feature_pairs))
    assert float(value) == pytest.approx(0.5 * 0.25 + 2.5)


def test_cross_entropy_is_least_at_the_bin_of_the_truth():
    truth = torch.full((1, 4, 4), 2.0)  # bin 4 of 0.5 m * 2 ** (k / 2)
    costs = []
    for k in range(BINS):
        logits = torch.zeros(1, BINS, 1, 1)
        logits[:, k] = 4.0
        costs.append(float(terms.cross_entropy(loss_input(truth, truth, logits=logits))))
    assert costs.index(min(costs)) == 4
    beyond = loss_input(truth, torch.full((1, 4, 4), 100.0))
    assert (beyond.positions == BINS - 1).all(), "farther than the last bin is the last bin"


@pytest.mark.parametrize("name", OF_DEPTH)
def test_unknown_pixels_change_nothing_and_gradients_are_finite(name):
    torch.manual_seed(3)
    loss = lazy.load(LOSSES[name])
    truth = 6 * torch.rand(2, 16, 24) + 0.5
    truth[0, 3:9] = NAN
    truth[1, 5, 6] = 0.0
    estimate = (6 * torch.rand(2, 16, 24) + 0.5).requires_grad_()
    logits = torch.randn(2, BINS, 4, 6, requires_grad=True)
    value = loss(loss_input(estimate, truth, logits=logits, teacher_depth=torch.ones(2, 4, 6)))
    assert torch.isfinite(value)
    if value.requires_grad:
        value.backward()
    for part in (estimate, logits):
        assert part.grad is None or torch.isfinite(part.grad).all()
    if name not in ("cross_entropy", "edge_smoothness", "distill", "features"):
        other = estimate.detach().clone()
        other[0, 3:9] += 5.0
        torch.testing.assert_close(loss(loss_input(other, truth, logits=logits)), value.detach())
