"""Options of what happens to an estimate."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option
from recon3d_ros.errors import ConfigError


@dataclass(frozen=True)
class PipelineConfig(Config):
    """Which part of an estimate is kept."""

    min_depth_m: float = option(0.2, "nearer points are invalid", unit="m", minimum=0.0)
    max_depth_m: float = option(20.0, "farther points are out of range (+Inf)", unit="m", minimum=0.0)
    border_px: int = option(
        0, "width of the image border whose depth is discarded", unit="px", minimum=0, maximum=1024
    )

    def validate(self) -> None:
        """Check that the depth limits leave something between them."""
        if not self.min_depth_m < self.max_depth_m:
            raise ConfigError(
                f"min_depth_m must be less than max_depth_m, "
                f"got {self.min_depth_m:g} m and {self.max_depth_m:g} m"
            )
