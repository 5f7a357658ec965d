from __future__ import annotations

import pytest
import torch

from recon3d_ros.errors import ConfigError
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.losses.label_input import LabelLossInput, label_cross_entropy, label_jaccard

TRUTH = torch.tensor([[1, 2, 3, 0, 1]])


def sure(labels: torch.Tensor) -> torch.Tensor:
    """Scores of a network that is sure of these labels."""
    return 20.0 * torch.nn.functional.one_hot((labels - 1).clamp(min=0), 6).float()


@pytest.mark.parametrize("loss", [label_cross_entropy, label_jaccard])
def test_right_is_zero_and_wrong_is_not(loss):
    assert loss(LabelLossInput(sure(TRUTH), TRUTH)) < 1e-3
    assert loss(LabelLossInput(sure(TRUTH.flip(1)), TRUTH)) > 0.3


@pytest.mark.parametrize("loss", [label_cross_entropy, label_jaccard])
def test_the_unknown_does_not_count(loss):
    said = sure(TRUTH)
    other = said.clone()
    other[0, 3] = torch.tensor([0, 0, 9.0, 0, 0, 0])
    assert loss(LabelLossInput(said, TRUTH)) == loss(LabelLossInput(other, TRUTH))
    nothing = LabelLossInput(said, torch.zeros_like(TRUTH))
    assert loss(nothing) == 0.0


def test_jaccard_of_half_a_class():
    said = sure(torch.tensor([[1, 1, 1, 1]]))
    truth = torch.tensor([[1, 1, 2, 2]])
    assert label_jaccard(LabelLossInput(said, truth)) == pytest.approx((0.5 + 1.0) / 2, abs=1e-3)


@pytest.mark.parametrize(("network", "losses"), [("point_labels", "mae=1"), ("stereo", "label_jaccard=1")])
def test_losses_of_another_kind_are_refused(network, losses):
    with pytest.raises(ConfigError, match="expected losses of"):
        TrainConfig(network=network, losses=losses)
