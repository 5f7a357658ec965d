"""Options of scale recovery: how a mono model's depth gets its metres."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option
from recon3d_ros.errors import ConfigError

# What needs no sensor beside the camera, and so works on files, too.
OFFLINE_SOURCES = ("fixed", "floor")
SENSOR_SOURCES = ("range", "scan", "points", "depth_image")
SCALE_SOURCES = (*OFFLINE_SOURCES, *SENSOR_SOURCES)


@dataclass(frozen=True)
class ScaleConfig(Config):
    """Where the scale of a mono model comes from, and how it is smoothed; see docs/scale.md.

    The tilt of the camera is given by two angles instead of a gravity vector: angles can be measured, and
    every pair is valid. `recon3d_ros.scale.Mount` makes the vector.
    """

    scale_sources: tuple[str, ...] = option(
        (), f"sources of the scale of a mono model, several of {', '.join(SCALE_SOURCES)}; empty = none"
    )
    scale_factor: float = option(
        1.0, "with the source fixed: depth = factor * output", minimum=1e-6, maximum=1e6
    )
    scale_shift: float = option(
        0.0, "with fixed and relative inverse depth: 1/depth = factor * output + shift", unit="1/m"
    )
    scale_factor_sigma: float = option(
        0.05, "relative standard deviation of scale_factor", minimum=0.0, maximum=1.0
    )
    camera_height_m: float = option(
        0.0,
        "with floor: height of the camera above the floor; 0 = unknown (the node then needs floor_frame)",
        unit="m",
        minimum=0.0,
        maximum=1000.0,
    )
    camera_pitch_deg: float = option(
        0.0,
        "with floor: downward tilt of the camera; 0 = horizontal",
        unit="deg",
        minimum=-90.0,
        maximum=90.0,
    )
    camera_roll_deg: float = option(
        0.0,
        "with floor: clockwise roll of the camera, seen from behind",
        unit="deg",
        minimum=-180.0,
        maximum=180.0,
    )
    scale_drift: float = option(
        0.3,
        "expected relative change of the scale per second; larger = faster, smaller = smoother",
        minimum=0.001,
        maximum=10.0,
    )
    scale_max_age_s: float = option(
        5.0, "time without a trusted scale after which no depth is published", unit="s", minimum=0.0
    )
    scale_min_anchors: int = option(
        8,
        "number of known points that scan, points and depth_image must give in a frame",
        minimum=1,
        maximum=100000,
    )
    scale_min_floor: float = option(
        0.3,
        "with floor: fraction of the lower half of the image that must be floor",
        minimum=0.01,
        maximum=1.0,
    )

    @property
    def is_on(self) -> bool:
        """Whether there is a source of the scale."""
        return bool(self.scale_sources)

    def validate(self) -> None:
        """Check that the sources exist and are different."""
        unknown = [name for name in self.scale_sources if name not in SCALE_SOURCES]
        if unknown:
            raise ConfigError(
                f"scale_sources must be of {', '.join(SCALE_SOURCES)}, got {', '.join(unknown)}: correct them"
            )
        if len(set(self.scale_sources)) < len(self.scale_sources):
            raise ConfigError(
                f"scale_sources must be different ones, got {', '.join(self.scale_sources)}: name each once"
            )

    def require_offline(self) -> None:
        """Check that no source needs another sensor or tf.

        Raises:
            ConfigError: A source is none of OFFLINE_SOURCES, floor has no camera_height_m, or a factor or a
                shift is given and no source is fixed.
        """
        others = [name for name in self.scale_sources if name not in OFFLINE_SOURCES]
        if others:
            raise ConfigError(
                f"scale_sources for image files must be of {', '.join(OFFLINE_SOURCES)}, got "
                f"{', '.join(others)}: remove them, or use the node"
            )
        if "floor" in self.scale_sources and not self.camera_height_m:
            raise ConfigError(
                "scale_sources floor needs camera_height_m, got 0: give the height of the camera in metres"
            )
        plain = ScaleConfig()
        given = (self.scale_factor, self.scale_shift) != (plain.scale_factor, plain.scale_shift)
        if given and "fixed" not in self.scale_sources:
            raise ConfigError(
                "scale_factor and scale_shift need the source fixed in scale_sources, got "
                f"{', '.join(self.scale_sources) or 'none'}: add fixed to scale_sources"
            )
