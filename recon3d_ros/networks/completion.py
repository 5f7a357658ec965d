"""The whole of an object from the points of its visible part: PCN (Yuan et al., 3DV 2018).

Each point goes through a small network (PointNet, twice, the second time with the largest features of all);
the largest features of all give coarse points of the whole, and a patch is folded around each of them
(FoldingNet, Yang et al., CVPR 2018). Some of the visible points are coarse points, too, so that what was seen
stays where it is (as in CRN, Wang et al., CVPR 2020). The graph has only matrix products and maxima.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recon3d_ros.errors import ConfigError


@dataclass(frozen=True)
class CompletionConfig:
    """Settings of a `CompletionNetwork`.

    Attributes:
        point: Features of a point, at first and in the end.
        latent: Features of the whole.
        coarse: Points of the whole that the network places.
        kept: Visible points that stand beside them, the first of the input.
        fold: Rows and columns of the patch around each.
        reach: Half the side of a patch, in units.
    """

    point: tuple[int, int] = (64, 128)
    latent: int = 384
    coarse: int = 128
    kept: int = 128
    fold: tuple[int, int] = (2, 4)
    reach: float = 0.08

    def __post_init__(self) -> None:
        for name in ("point", "fold"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        sizes = (*self.point, *self.fold, self.latent, self.coarse, self.kept)
        if min(sizes) < 1 or len(self.point) != 2 or len(self.fold) != 2 or not self.reach > 0:
            raise ConfigError(f"expected positive sizes, got {self}: correct the configuration")

    @property
    def points(self) -> int:
        """How many the network gives."""
        return (self.coarse + self.kept) * self.fold[0] * self.fold[1]


class CompletionNetwork(nn.Module):
    """Points of the whole object.

    Args:
        config: Sizes.
    """

    def __init__(self, config: CompletionConfig | None = None) -> None:
        super().__init__()
        self.config = config or CompletionConfig()
        (low, high), latent = self.config.point, self.config.latent
        self.describe = nn.Sequential(nn.Linear(3, low), nn.ReLU(), nn.Linear(low, high))
        # One matrix for a point's own features and one for those of all: a concatenation, computed once.
        self.own, self.all = nn.Linear(high, 2 * high), nn.Linear(high, 2 * high, bias=False)
        self.gather = nn.Linear(2 * high, latent)
        self.outline = nn.Sequential(
            nn.Linear(latent, latent), nn.ReLU(), nn.Linear(latent, latent), nn.ReLU()
        )
        self.coarse = nn.Linear(latent, 3 * self.config.coarse)
        nn.init.normal_(self.coarse.weight, std=0.01)
        with torch.no_grad():  # points all over a ball, which training pulls where shapes are
            start = torch.randn(self.config.coarse, 3, generator=torch.Generator().manual_seed(0))
            self.coarse.bias.copy_((0.6 * start).reshape(-1))
        self.fold_place, self.fold_all = nn.Linear(5, 192), nn.Linear(latent, 192, bias=False)
        self.fold_kept = nn.Linear(2 * high, 192)
        self.fold = nn.Sequential(nn.ReLU(), nn.Linear(192, 128), nn.ReLU(), nn.Linear(128, 3))
        rows, columns = self.config.fold
        y, x = torch.meshgrid(_steps(rows), _steps(columns), indexing="ij")
        patch = self.config.reach * torch.stack([x, y], dim=2).reshape(1, 1, -1, 2)
        self.register_buffer("patch", patch, persistent=False)

    def forward(self, partial: Tensor) -> Tensor:
        """(B, N, 3) float32 in the unit frame of the visible part -> (B, points, 3) in the same.

        N is at least `kept`, and the points are in random order.
        """
        return self.analyse(partial)[0]

    def analyse(self, partial: Tensor) -> tuple[Tensor, Tensor]:
        """What training looks at: the points (B, points, 3), and the coarse ones (B, coarse + kept, 3)."""
        first = self.describe(partial)
        whole = first.amax(dim=1, keepdim=True)
        second = torch.relu(self.own(first) + self.all(whole))
        code = self.gather(second).amax(dim=1)
        placed = self.coarse(self.outline(code)).float().view(len(partial), -1, 3)
        kept = self.config.kept
        coarse = torch.cat([placed, partial[:, :kept].float()], dim=1)
        around = self.fold_kept(second[:, :kept])
        known = torch.cat([torch.zeros_like(around[:, :1]).expand(-1, placed.shape[1], -1), around], dim=1)
        return self._folded(coarse, code, known), coarse

    def _folded(self, coarse: Tensor, code: Tensor, known: Tensor) -> Tensor:
        """A patch around each of (B, K, 3) points, by the features of the whole and (B, K, 192) of each."""
        batch, count = coarse.shape[:2]
        assert isinstance(self.patch, Tensor)
        patches = self.patch.expand(batch, count, -1, -1)
        centres = coarse[:, :, None].expand(-1, -1, patches.shape[2], -1)
        place = self.fold_place(torch.cat([centres, patches], dim=3))
        moved = self.fold(place + self.fold_all(code)[:, None, None] + known[:, :, None])
        return (centres + moved.float()).flatten(1, 2)


def _steps(count: int) -> Tensor:
    """Of -1 to 1, the middles of so many parts."""
    return (torch.arange(count) + 0.5) * (2.0 / count) - 1.0
