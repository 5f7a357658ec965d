"""What losses of labels get: scores of the classes beside the true classes, and the losses themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.geometry.labels import PointLabel

# Of the classes in the order of PointLabel, without UNKNOWN: rare ones, and what a robot must not miss,
# count more.
CLASS_WEIGHTS = (1.0, 0.8, 1.2, 1.2, 1.0, 1.5)


@dataclass(frozen=True)
class LabelLossInput:
    """Scores beside the truth.

    Attributes:
        logits: (B, N, classes), all classes but `UNKNOWN`.
        measured: (B, N) int64, `PointLabel`; `UNKNOWN` is not scored.
    """

    logits: Tensor
    measured: Tensor


def label_cross_entropy(inputs: LabelLossInput) -> Tensor:
    """Cross entropy of the known points, weighted by `CLASS_WEIGHTS`."""
    weights = torch.tensor(CLASS_WEIGHTS, device=inputs.logits.device)
    truth = inputs.measured.flatten() - 1
    scores = inputs.logits.float().flatten(0, 1)
    total = F.cross_entropy(scores, truth, weights, ignore_index=-1, reduction="sum")
    return total / (inputs.measured != PointLabel.UNKNOWN).sum().clamp(min=1)


def label_jaccard(inputs: LabelLossInput) -> Tensor:
    """1 - the mean over the classes of the soft intersection over union (Rahman and Wang, ISVC 2016).

    Of the whole batch; classes that it has not do not count.
    """
    known = (inputs.measured != PointLabel.UNKNOWN).flatten()
    chance = torch.softmax(inputs.logits.float(), dim=2).flatten(0, 1) * known[:, None]
    truth = F.one_hot(inputs.measured.flatten(), len(PointLabel))[:, 1:].float()
    both = (chance * truth).sum(dim=0)
    either = (chance + truth - chance * truth).sum(dim=0)
    there = (truth.sum(dim=0) > 0).float()
    return ((1.0 - both / either.clamp(min=1.0)) * there).sum() / there.sum().clamp(min=1.0)
