"""Class of every point of a cloud: pillars over a polar grid of the ground, 2-D convolutions between them.

Each point goes through a small network of its own (PointNet, Qi et al., CVPR 2017), each cell of the grid
keeps the largest features of its points (PointPillars, Lang et al., CVPR 2019), a U-Net looks at the cells
around, and each point is classified by its own features and those of its cell. Cells are wider the farther
they are, as the noise of stereo depth is (PolarNet, Zhang et al., CVPR 2020, here with the logarithm of the
range).

Which points a cell has comes as an input, so that the graph has only convolutions, Gather and ReduceMax:
TensorRT has no ScatterElements with a maximum of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.networks.layers import ConvUnit, Merge

FEATURES = 9


@dataclass(frozen=True)
class PillarsConfig:
    """Settings of a `PillarsNetwork`.

    Attributes:
        rows: Cells along the range, a multiple of 4.
        columns: Cells along the azimuth, a multiple of 4.
        members: Points of a cell that it learns of.
        point: Channels of a point.
        cells: Channels of the cells, at full, half and a quarter of the grid.
    """

    rows: int = 64
    columns: int = 64
    members: int = 16
    point: int = 32
    cells: tuple[int, int, int] = (24, 32, 48)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(self.cells))
        sizes = (self.rows, self.columns, self.members, self.point, *self.cells)
        if min(sizes) < 1 or self.rows % 4 or self.columns % 4 or len(self.cells) != 3:
            raise ConfigError(
                f"expected positive sizes, rows and columns that are multiples of 4 and three numbers of "
                f"channels, got {self}: correct the configuration"
            )


class PillarsNetwork(nn.Module):
    """Probability of each class for each point.

    Args:
        config: Sizes.
    """

    def __init__(self, config: PillarsConfig | None = None) -> None:
        super().__init__()
        self.config = config or PillarsConfig()
        point, (full, half, quarter) = self.config.point, self.config.cells
        self.encode = nn.Sequential(*_layer(FEATURES, point), *_layer(point, point))
        self.enter = ConvUnit(point, full)
        self.to_half = nn.Sequential(ConvUnit(full, half, stride=2), ConvUnit(half, half))
        self.to_quarter = nn.Sequential(ConvUnit(half, quarter, stride=2), ConvUnit(quarter, quarter))
        self.overview = nn.Sequential(nn.Linear(quarter, quarter), nn.ReLU(inplace=True))
        self.merge_half, self.merge_full = Merge(quarter, half), Merge(half, full)
        self.classify = nn.Sequential(*_layer(point + full, point), nn.Linear(point, len(PointLabel) - 1))

    def forward(self, points: Tensor, cells: Tensor, members: Tensor) -> Tensor:
        """(B, N, classes) float32, the probabilities of all labels but `UNKNOWN`; see `logits`."""
        return torch.softmax(self.logits(points, cells, members).float(), dim=2)

    def analyse(self, points: Tensor, cells: Tensor, members: Tensor) -> Tensor:
        """What training looks at: `logits`."""
        return self.logits(points, cells, members)

    def logits(self, points: Tensor, cells: Tensor, members: Tensor) -> Tensor:
        """Score every class.

        Args:
            points: (B, N, 3) float32 m in the level frame: x ahead, y left, z over the expected ground.
            cells: (B, N) int32 or int64, the cell of each point: row * columns + column.
            members: (B, rows * columns, members) int32 or int64, points of each cell; N fills it up.

        Returns:
            (B, N, classes).
        """
        batch, count, _ = points.shape
        rows, columns = self.config.rows, self.config.columns
        features = self.encode(_describe(points).reshape(batch * count, FEATURES))
        width = features.shape[1]
        # Row N of each cloud is of no point: zeros, which no maximum of ReLUs lies below.
        padded = F.pad(features.view(batch, count, width), (0, 0, 0, 1)).reshape(-1, width)
        first = torch.arange(batch, device=points.device).view(batch, 1)
        # index_select: the gradient of plain indexing takes many times as long on a CPU.
        pooled = padded.index_select(0, (members.long() + first[..., None] * (count + 1)).reshape(-1))
        pooled = pooled.view(batch, rows * columns, -1, width).amax(dim=2)
        grid = self._look_around(pooled.transpose(1, 2).reshape(batch, width, rows, columns))
        seen = grid.flatten(2).transpose(1, 2).reshape(batch * rows * columns, -1)
        seen = seen.index_select(0, (cells.long() + first * (rows * columns)).reshape(-1))
        return self.classify(torch.cat([features, seen], dim=1)).view(batch, count, -1)

    def _look_around(self, grid: Tensor) -> Tensor:
        """(B, point, rows, columns) -> (B, full, rows, columns)."""
        full = self.enter(grid)
        half = self.to_half(full)
        quarter = self.to_quarter(half)
        quarter = quarter + self.overview(quarter.amax(dim=(2, 3)))[..., None, None]
        return self.merge_full(self.merge_half(quarter, half), full)


def _layer(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    return (
        nn.Linear(channels_in, channels_out, bias=False),
        nn.BatchNorm1d(channels_out),
        nn.ReLU(inplace=True),
    )


def _describe(points: Tensor) -> Tensor:
    """(B, N, 3) m -> (B, N, FEATURES): where a point is, near ones finely, far ones by angles."""
    x, y, z = points.float().unbind(dim=2)
    distance = torch.sqrt(x * x + y * y + 1e-4)
    return torch.stack(
        [
            x * 0.1,
            y * 0.1,
            z.clamp(-3.0, 6.0) * 0.5,
            z.clamp(-0.5, 0.5) * 4.0,
            z.clamp(-0.1, 0.1) * 10.0,
            (z / distance).clamp(-2.0, 2.0),
            torch.log(distance),
            y / distance,
            x / distance,
        ],
        dim=2,
    )
