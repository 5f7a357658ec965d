"""Options of what happens to an estimate."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option
from recon3d_ros.errors import ConfigError

_SMALLEST_M = 0.001  # no camera resolves less, and cells of less overflow


@dataclass(frozen=True)
class PipelineConfig(Config):
    """Which part of an estimate is kept, and what its cloud is made of.

    The filters stand in the order they run in; all but the depth limits are off by default.
    """

    min_depth_m: float = option(0.2, "nearer points are invalid", unit="m", minimum=0.0)
    max_depth_m: float = option(20.0, "farther points are out of range (+Inf)", unit="m", minimum=0.0)
    border_px: int = option(
        0, "width of the image border whose depth is discarded", unit="px", minimum=0, maximum=1024
    )
    roi_mask: str = option(
        "", "image file whose black pixels are cut out, e.g. the robot's own body; empty = none"
    )
    min_confidence: float = option(
        0.0,
        "less confident depth is invalid, 0 = keep all; for models that answer confidence",
        minimum=0.0,
        maximum=1.0,
    )
    min_texture: float = option(
        0.0,
        "depth where neighbouring grey levels (0 to 255) differ by less on average is invalid, 0 = off",
        minimum=0.0,
        maximum=255.0,
    )
    max_edge_jump: float = option(
        0.0,
        "largest relative change of depth per pixel between two surfaces, beyond it points fly; 0 = off",
        minimum=0.0,
        maximum=1.0,
    )
    speckle_px: int = option(
        0,
        "patches of depth of at most so many pixels are invalid, 0 = off",
        unit="px",
        minimum=0,
        maximum=1 << 20,
    )
    speckle_jump: float = option(
        0.05, "relative change of depth from pixel to pixel where a patch ends", minimum=0.005, maximum=1.0
    )
    temporal_weight: float = option(
        0.0,
        "weight of the past in each pixel's depth where nothing moves, 0 = off",
        minimum=0.0,
        maximum=0.95,
    )
    temporal_jump: float = option(
        0.05, "relative change of depth that is motion and forgets the past", minimum=0.0, maximum=1.0
    )
    point_fields: str = option(
        "xyzrgb",
        "fields of the cloud, auto = xyzi for grey cameras and else xyzrgb",
        choices=("auto", "xyz", "xyzrgb", "xyzi"),
    )
    point_confidence: bool = option(False, "add the field confidence, for models that answer it")
    point_sigma: bool = option(
        False, "add the field sigma, one standard deviation of depth in m, for models that answer it"
    )
    point_normals: bool = option(False, "add normal_x, normal_y, normal_z, facing the camera")
    decimation: int = option(
        1, "of every so many rows and columns of the image one makes points", minimum=1, maximum=64
    )
    voxel_m: float = option(
        0.0,
        "edge of the cubes that give one point each, 0 = off; makes the cloud unorganized",
        unit="m",
        minimum=0.0,
        maximum=10.0,
    )
    outlier_radius_m: float = option(
        0.0,
        "points with fewer than outlier_neighbours points so near are dropped, 0 = off",
        unit="m",
        minimum=0.0,
        maximum=10.0,
    )
    outlier_neighbours: int = option(
        4, "how many other points a point needs within outlier_radius_m", minimum=1, maximum=1000
    )
    free_space_frames: int = option(
        0,
        "consecutive frames in which a pixel must be out of range to be free space, 0 = none",
        minimum=0,
        maximum=255,
    )

    def validate(self) -> None:
        """Check that the depth limits leave something between them, and that lengths are 0 or sensible."""
        if not self.min_depth_m < self.max_depth_m:
            raise ConfigError(
                f"min_depth_m must be less than max_depth_m, "
                f"got {self.min_depth_m:g} m and {self.max_depth_m:g} m"
            )
        for name in ("voxel_m", "outlier_radius_m"):
            if 0 < getattr(self, name) < _SMALLEST_M:
                raise ConfigError(
                    f"{name} must be 0 (off) or at least {_SMALLEST_M:g} m, got {getattr(self, name):g}"
                )
