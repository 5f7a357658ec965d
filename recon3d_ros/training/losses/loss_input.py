"""What a loss gets: predictions of a network beside the truth, disparity or depth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from recon3d_ros.networks.mono import MonoNetwork, MonoOutput
from recon3d_ros.networks.mono_contract import CANONICAL_FOCAL_PX
from recon3d_ros.networks.stereo import StereoNetwork, StereoOutput

# Beyond it an outlier is an outlier.
LARGEST_ERROR_PX = 64.0
# Narrower than this, and so much nearer than what is beside it, is thin.
THIN_WIDTH_PX, THIN_STEP_PX = 13, 3.0


class LossInput(ABC):
    """Predictions beside the truth, and what all losses need of both.

    Attributes:
        estimate: (B, H, W) px or m.
        measured: (B, H, W) the truth in the same unit, NaN = unknown.
        image: (B, 3, H, W) float RGB in [0, 1].
        logits: (B, bins, H/4, W/4).
        log_scale: (B, H, W) logarithm of the Laplace scale of `error`.
        confidence_logit: (B, H, W) logit of the probability of `is_accurate`.
        smallest: Nearer to zero than this, a logarithm tells about noise only.
    """

    smallest: float

    def __init__(self, estimate: Tensor, measured: Tensor, image: Tensor, output: StereoOutput | MonoOutput):
        self.estimate = estimate[:, 0]
        self.measured = measured
        self.image = image
        self.logits = output.logits
        self.log_scale, self.confidence_logit = output.log_scale[:, 0], output.confidence_logit[:, 0]

    @property
    @abstractmethod
    def known(self) -> Tensor:
        """(B, H, W) bool; what is beyond the network's range is not scored either."""

    @property
    @abstractmethod
    def positions(self) -> Tensor:
        """(B, H, W) where the truth lies among the bins, bin k at k; anything where it is not known."""

    @property
    @abstractmethod
    def error(self) -> Tensor:
        """(B, H, W) what `log_scale` is the scale of, not negative."""

    @property
    @abstractmethod
    def is_accurate(self) -> Tensor:
        """(B, H, W) bool: near enough to the truth, what `confidence_logit` is the probability of."""

    @cached_property
    def truth(self) -> Tensor:
        """(B, H, W), zero where it is not known: NaN times zero would be NaN again."""
        return torch.where(self.known, self.measured, torch.zeros_like(self.measured))

    @cached_property
    def logged(self) -> Tensor:
        """(B, H, W) bool: known, and of a logarithm that says something."""
        return self.known & (self.truth >= self.smallest)

    @cached_property
    def log_error(self) -> Tensor:
        """(B, H, W) log of the estimate less that of the truth, where `logged`.

        An estimate below `smallest` goes on along the tangent, so that its gradient pulls.
        """
        low = self.smallest
        soft = torch.log(self.estimate.clamp(min=low)) + (self.estimate.clamp(max=low) - low) / low
        return soft - torch.log(self.truth.clamp(min=low))

    def mean(self, values: Tensor) -> Tensor:
        """The mean of (B, H, W) over the known pixels, 0 where none is known."""
        return (values * self.known).sum() / self.known.sum().clamp(min=1)

    def mean_logged(self, values: Tensor) -> Tensor:
        """The same over `logged`."""
        return (values * self.logged).sum() / self.logged.sum().clamp(min=1)


class DisparityLossInput(LossInput):
    """A disparity, px.

    Args:
        output: Of `StereoNetwork.analyse`.
        left: (B, 3, H, W) float RGB in [0, 1].
        measured: (B, H, W) disparity in px, NaN = unknown.
        step_px: Between two bins; bin k is disparity `step_px * (bins - 1 - k)`.

    Attributes:
        weights: (B, 9, 16, H/4, W/4) of the cells around each pixel in the upsampling.
        neighbours: (B, 9, 1, H/4, W/4) disparity of these cells, px.
    """

    smallest = 0.25

    def __init__(self, output: StereoOutput, left: Tensor, measured: Tensor, step_px: int) -> None:
        super().__init__(output.disparity, measured, left, output)
        self.weights, self.neighbours = output.weights, output.neighbours
        self.step_px = step_px
        self.last_bin = output.logits.shape[1] - 1

    @cached_property
    def known(self) -> Tensor:  # noqa: D102
        return torch.isfinite(self.measured) & (self.measured <= float(self.step_px * self.last_bin))

    @property
    def beyond(self) -> Tensor:
        """(B, H, W) bool: nearer than the last bin, so that no prediction can be right."""
        return torch.isfinite(self.measured) & ~self.known

    @cached_property
    def thin(self) -> Tensor:
        """(B, H, W) bool: known, and taken away by an opening of the truth along rows or columns."""
        near = torch.zeros_like(self.known)
        for axis in (1, 2):
            opened = _swept(_swept(self.truth, axis, torch.minimum), axis, torch.maximum)
            near = near | (self.truth - opened > THIN_STEP_PX)
        return near & self.known

    @property
    def positions(self) -> Tensor:  # noqa: D102
        return self.last_bin - self.truth / self.step_px

    @cached_property
    def error(self) -> Tensor:  # noqa: D102
        return (self.estimate - self.truth).abs().clamp(max=LARGEST_ERROR_PX)

    @property
    def is_accurate(self) -> Tensor:  # noqa: D102
        return self.error.detach() < StereoNetwork.ACCURATE_PX


def _swept(values: Tensor, axis: int, pick: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The least or largest of `THIN_WIDTH_PX` values around each of (B, H, W), along an axis.

    By doubling the reach, four passes; pooling with a window this long takes ten times the time.
    """
    beside = torch.full_like(
        values.narrow(axis, 0, THIN_WIDTH_PX // 2), float("inf") if pick is torch.minimum else float("-inf")
    )
    values, reach = torch.cat([beside, values, beside], dim=axis), 1
    while reach < THIN_WIDTH_PX:
        step = min(reach, THIN_WIDTH_PX - reach)
        length = values.shape[axis] - step
        values = pick(values.narrow(axis, 0, length), values.narrow(axis, step, length))
        reach += step
    return values


class DepthLossInput(LossInput):
    """A canonical depth, m.

    Args:
        output: Of `MonoNetwork.analyse`.
        image: (B, 3, H, W) float RGB in [0, 1].
        measured: (B, H, W) canonical depth in m, NaN = unknown.
        log_centres: (1, bins, 1, 1) logarithms of the depths of the bins.
        teacher_depth: (B, h, w) canonical depth in m that a teacher predicted, or None.
        feature_pairs: Pairs of our features, brought into the teacher's space, and the teacher's.
    """

    smallest = 0.05
    focal_px = CANONICAL_FOCAL_PX

    def __init__(
        self,
        output: MonoOutput,
        image: Tensor,
        measured: Tensor,
        log_centres: Tensor,
        teacher_depth: Tensor | None = None,
        feature_pairs: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> None:
        super().__init__(output.depth, measured, image, output)
        self.first, self.last = (float(log_centres[0, k, 0, 0]) for k in (0, -1))
        self.teacher_depth = teacher_depth
        self.feature_pairs = feature_pairs

    @cached_property
    def known(self) -> Tensor:  # noqa: D102
        return torch.isfinite(self.measured) & (self.measured > 0.0)

    @property
    def positions(self) -> Tensor:  # noqa: D102
        step = (self.last - self.first) / (self.logits.shape[1] - 1)
        position = (torch.log(self.truth.clamp(min=self.smallest)) - self.first) / step
        return position.clamp(0.0, self.logits.shape[1] - 1.0)

    @cached_property
    def error(self) -> Tensor:  # noqa: D102
        return self.log_error.abs()

    @property
    def is_accurate(self) -> Tensor:  # noqa: D102
        apart = (self.estimate - self.truth).abs().detach()
        return apart < MonoNetwork.ACCURATE_SHARE * self.truth
