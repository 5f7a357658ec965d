"""The points of a whole object from one image of it: an encoder and a decoder with two branches.

After Fan et al., A Point Set Generation Network, CVPR 2017: a fully connected branch places points anywhere,
a branch of convolutions gives each cell of a grid over the image a point, which starts in its cell and goes
where the shape needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.layers import ConvUnit, Merge, ResidualUnit


@dataclass(frozen=True)
class PointSetConfig:
    """Settings of a `PointSetNetwork`.

    Attributes:
        channels: Of the encoder at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image.
        side: Width and height of the image, px, a multiple of 32.
        latent: Features of the whole image.
        free: Points of the fully connected branch; the grid of a quarter of the image has the others.
    """

    channels: tuple[int, int, int, int, int] = (16, 32, 64, 112, 160)
    side: int = 128
    latent: int = 192
    free: int = 1024

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        if len(self.channels) != 5 or min(*self.channels, self.latent, self.free) < 1 or self.side % 32:
            raise ConfigError(
                f"expected five numbers of channels, a side that is a multiple of 32 and positive sizes, got "
                f"{self}: correct the configuration"
            )

    @property
    def points(self) -> int:
        """How many the network gives."""
        return self.free + (self.side // 4) ** 2


class PointSetNetwork(nn.Module):
    """Points of the whole object, its unseen side included.

    Args:
        config: Sizes.
    """

    def __init__(self, config: PointSetConfig | None = None) -> None:
        super().__init__()
        self.config = config or PointSetConfig()
        first, second, third, fourth, fifth = self.config.channels
        self.stem = ConvUnit(3, first, stride=2)
        self.to_quarter = nn.Sequential(ConvUnit(first, second, stride=2), ResidualUnit(second))
        self.to_eighth = nn.Sequential(ConvUnit(second, third, stride=2), ResidualUnit(third))
        self.to_sixteenth = nn.Sequential(ConvUnit(third, fourth, stride=2), ResidualUnit(fourth))
        self.to_last = nn.Sequential(ConvUnit(fourth, fifth, stride=2), ResidualUnit(fifth))
        cells = (self.config.side // 32) ** 2
        latent = self.config.latent
        self.squeeze = ConvUnit(fifth, 32, kernel=1)
        self.overview = nn.Sequential(
            nn.Linear(32 * cells, latent), nn.ReLU(), nn.Linear(latent, latent), nn.ReLU()
        )
        self.free = nn.Linear(latent, 3 * self.config.free)
        self.inform = nn.Linear(latent, fifth)
        self.merges = nn.ModuleList([Merge(fifth, fourth), Merge(fourth, third), Merge(third, second)])
        self.move = nn.Sequential(ConvUnit(second, second), nn.Conv2d(second, 3, 1))
        nn.init.normal_(self.free.weight, std=0.01)
        with torch.no_grad():  # points all over a ball, which training pulls where shapes are
            start = torch.randn(self.config.free, 3, generator=torch.Generator().manual_seed(0))
            self.free.bias.copy_((0.5 * start).reshape(-1))
        steps = (torch.arange(self.config.side // 4) + 0.5) * (8.0 / self.config.side) - 1.0
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        self.register_buffer("cells", 0.5 * torch.stack([x, y, torch.zeros_like(x)]), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """The points of an object.

        Args:
            image: (B, 3, side, side) float32 RGB in [0, 1].

        Returns:
            (B, points, 3) float32 in the object's unit frame: x right, y down, z away from the camera; the
            image reaches from -1 to 1 at the object's middle.
        """
        quarter = self.to_quarter(self.stem(2.0 * image - 1.0))
        eighth = self.to_eighth(quarter)
        sixteenth = self.to_sixteenth(eighth)
        last = self.to_last(sixteenth)
        code = self.overview(self.squeeze(last).flatten(1))
        free = self.free(code).float().view(len(image), -1, 3)
        features = torch.relu(last + self.inform(code)[:, :, None, None])
        for merge, finer in zip(self.merges, (sixteenth, eighth, quarter)):
            features = merge(features, finer)
        placed = self.move(features).float() + self.cells
        return torch.cat([free, placed.flatten(2).transpose(1, 2)], dim=1)

    def analyse(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """What training looks at: the points, and no coarse ones."""
        return self(image), None
