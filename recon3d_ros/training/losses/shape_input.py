"""What losses of shapes get: points beside the true ones, and the losses themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Rows of the matrix of distances at a time: 2,048 by 2,048 points of a batch of 16 would be 256 MB, and a
# part that fits the cache takes half the time.
CHUNK = 128
# Of the square of a distance: its root has no gradient at 0.
SMALLEST = 1e-8
# Of the earth mover's: points of each side, their blur (a share of the unit), and rounds.
SINKHORN_POINTS, SINKHORN_BLUR, SINKHORN_ROUNDS = 512, 0.02, 20


@dataclass(frozen=True)
class ShapeLossInput:
    """Points beside the truth, in units of the object's frame.

    Attributes:
        estimate: (B, N, 3).
        measured: (B, M, 3), on the whole surface.
        coarse: (B, K, 3) of networks that make some first; None of others.
    """

    estimate: Tensor
    measured: Tensor
    coarse: Tensor | None = None


def chamfer(inputs: ShapeLossInput) -> Tensor:
    """Mean distance to the nearest point of the other side, of both directions, halved (CD-T of PCN)."""
    return chamfer_distance(inputs.estimate.float(), inputs.measured.float()).mean()


def coarse_chamfer(inputs: ShapeLossInput) -> Tensor:
    """The same of the coarse points (Yuan et al., PCN, 3DV 2018, eq. 4); 0 of networks without."""
    if inputs.coarse is None:
        return torch.zeros((), device=inputs.estimate.device)
    return chamfer_distance(inputs.coarse.float(), inputs.measured.float()).mean()


def earth_mover(inputs: ShapeLossInput) -> Tensor:
    """The earth mover's distance, approximated by Sinkhorn's iterations (Cuturi, NeurIPS 2013).

    Of `SINKHORN_POINTS` of each side. Where the Chamfer distance is content with a few points in empty
    places, each point has to have its share here.
    """
    ours, theirs = (_spread(points.float()) for points in (inputs.estimate, inputs.measured))
    cost = _squared(ours, theirs).clamp(min=SMALLEST).sqrt()
    with torch.no_grad():
        plan = _sinkhorn_plan(cost)
    return (plan * cost).sum(dim=(1, 2)).mean()


def chamfer_distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """(B,) mean of both mean distances to the nearest point of the other side.

    Args:
        ours: (B, N, 3) float32.
        theirs: (B, M, 3) float32.
    """
    to_theirs, to_ours = nearest(ours.detach(), theirs.detach())
    there = _distance(ours, _chosen(theirs, to_theirs)).mean(dim=1)
    back = _distance(_chosen(ours, to_ours), theirs).mean(dim=1)
    return (there + back) / 2


@torch.no_grad()
def nearest(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Which point of the other side is nearest: (B, N) for ours, (B, M) for theirs, int64.

    In chunks of rows, so that no matrix of all distances is kept. Positive floats are in the order of their
    bits: the last ones of each squared distance hold the index, and one minimum finds both, in a third of
    the time of argmin on a CPU. Of points that are equally near but for 1e-3 of it, either is taken.
    """
    rows, columns = (_mask(points.shape[1]) for points in (ours, theirs))
    numbers = torch.arange(max(ours.shape[1], theirs.shape[1]), dtype=torch.int32, device=ours.device)
    best, to_theirs = None, []
    for start in range(0, ours.shape[1], CHUNK):
        part = ours[:, start : start + CHUNK]
        bits = _squared(part, theirs).clamp_(min=0.0).view(torch.int32)
        to_theirs.append(((bits & ~columns) | numbers[: theirs.shape[1]]).amin(dim=2) & columns)
        row = numbers[start : start + part.shape[1], None]
        least = ((bits & ~rows) | row).amin(dim=1)
        best = least if best is None else torch.minimum(best, least)
    assert best is not None
    return torch.cat(to_theirs, dim=1).long(), (best & rows).long()


def _mask(count: int) -> int:
    """As many low bits as the largest index has."""
    return (1 << (count - 1).bit_length()) - 1


def _squared(ours: Tensor, theirs: Tensor) -> Tensor:
    """(B, N, M) squared distances: |a|^2 + |b|^2 - 2 a b."""
    sizes = ours.square().sum(dim=2, keepdim=True) + theirs.square().sum(dim=2)[:, None]
    return torch.baddbmm(sizes, ours, theirs.transpose(1, 2), alpha=-2.0)


def _chosen(points: Tensor, index: Tensor) -> Tensor:
    """(B, N, 3) and (B, M) -> (B, M, 3)."""
    batch, count = points.shape[:2]
    first = torch.arange(batch, device=points.device)[:, None] * count
    # index_select: the gradient of gather over an expanded index takes longer on a CPU.
    return points.reshape(-1, 3).index_select(0, (index + first).reshape(-1)).view(*index.shape, 3)


def _distance(ours: Tensor, theirs: Tensor) -> Tensor:
    return ((ours - theirs).square().sum(dim=2) + SMALLEST).sqrt()


def _spread(points: Tensor) -> Tensor:
    """At most `SINKHORN_POINTS` of (B, N, 3), evenly out of their order, in which neighbours may be near."""
    step = max(1, points.shape[1] // SINKHORN_POINTS)
    return points[:, ::step][:, :SINKHORN_POINTS]


def _sinkhorn_plan(cost: Tensor) -> Tensor:
    """(B, N, M) shares of mass from ours to theirs that sum to 1, by iterations on logarithms."""
    kernel = -cost / SINKHORN_BLUR
    ours, theirs = (-torch.log(torch.tensor(float(n))) for n in cost.shape[1:])
    across = torch.zeros(cost.shape[0], 1, cost.shape[2], device=cost.device)
    for _ in range(SINKHORN_ROUNDS):
        down = ours - torch.logsumexp(kernel + across, dim=2, keepdim=True)
        across = theirs - torch.logsumexp(kernel + down, dim=1, keepdim=True)
    return torch.exp(kernel + down + across)
