"""Options of what happens to an estimate."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option
from recon3d_ros.errors import ConfigError

_SMALLEST_M = 0.001  # no camera resolves less, and cells of less overflow


@dataclass(frozen=True)
class PipelineConfig(Config):
    """Filters, and contents of the cloud.

    The filters are in the order of execution; all except the depth limits are off by default.
    """

    min_depth_m: float = option(0.2, "nearer pixels are invalid", unit="m", minimum=0.0)
    max_depth_m: float = option(20.0, "farther pixels are out of range (+Inf)", unit="m", minimum=0.0)
    border_px: int = option(0, "width of the image border without depth", unit="px", minimum=0, maximum=1024)
    roi_mask: str = option(
        "",
        "image file whose black pixels are removed, for example the body of the robot; empty = none",
        path=True,
    )
    min_confidence: float = option(
        0.0,
        "pixels with lower confidence are invalid; 0 = off; for models with a confidence output",
        minimum=0.0,
        maximum=1.0,
    )
    min_texture: float = option(
        0.0,
        "pixels with less texture (mean difference of neighbouring grey levels, 0 to 255) are invalid; 0 "
        "= off",
        minimum=0.0,
        maximum=255.0,
    )
    max_edge_jump: float = option(
        0.0,
        "largest relative change of depth per pixel; steeper pixels between two surfaces are invalid; 0 = "
        "off",
        minimum=0.0,
        maximum=1.0,
    )
    speckle_px: int = option(
        0,
        "isolated patches of up to this many pixels are invalid; 0 = off",
        unit="px",
        minimum=0,
        maximum=1 << 20,
    )
    speckle_jump: float = option(
        0.05,
        "relative change of depth between neighbouring pixels at which a patch ends",
        minimum=0.005,
        maximum=1.0,
    )
    temporal_weight: float = option(
        0.0,
        "weight of the previous frames in the depth of pixels without motion; 0 = off",
        minimum=0.0,
        maximum=0.95,
    )
    temporal_jump: float = option(
        0.05, "relative change of depth that counts as motion and resets the pixel", minimum=0.0, maximum=1.0
    )
    point_fields: str = option(
        "xyzrgb",
        "fields of the cloud; auto = xyzi for grey cameras, otherwise xyzrgb",
        choices=("auto", "xyz", "xyzrgb", "xyzi"),
    )
    point_confidence: bool = option(False, "add the field confidence, for models with a confidence output")
    point_sigma: bool = option(
        False, "add the field sigma, the standard deviation of depth in m, for models with a sigma output"
    )
    point_normals: bool = option(False, "add the fields normal_x, normal_y, normal_z, facing the camera")
    point_curvature: bool = option(
        False, "add the field curvature, 0 (plane) to 1/3; with point_normals what PCL's point types have"
    )
    point_labels: str = option(
        "",
        "model that labels the points as ground, wall, obstacle and so on: its name or the path of its "
        "manifest; "
        "adds the fields label and label_probability; empty = none",
        path=True,
    )
    decimation: int = option(
        1, "use every n-th row and column of the image for the cloud", minimum=1, maximum=64
    )
    voxel_m: float = option(
        0.0,
        "edge length of a voxel, which becomes one point; 0 = off; makes the cloud unorganized",
        unit="m",
        minimum=0.0,
        maximum=10.0,
    )
    outlier_radius_m: float = option(
        0.0,
        "points with fewer than outlier_neighbours neighbours in this radius are removed; 0 = off",
        unit="m",
        minimum=0.0,
        maximum=10.0,
    )
    outlier_neighbours: int = option(
        4, "number of neighbours that a point needs within outlier_radius_m", minimum=1, maximum=1000
    )
    free_space_frames: int = option(
        0,
        "number of consecutive frames in which a pixel must be out of range to be free space; 0 = off",
        minimum=0,
        maximum=255,
    )
    trust_calibration: bool = option(
        False, "take an unlikely calibration or scale for right: no warning, and free space is published"
    )

    def validate(self) -> None:
        """Check the order of the depth limits, and lengths."""
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
