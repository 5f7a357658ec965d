"""Options of motion stereo: depth from one moving camera whose poses are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recon3d_ros.config.options import Config, option


def depth_from_option() -> Any:
    """Where depth comes from, for commands and the depth node."""
    return option(
        "model",
        "model = of each frame alone; motion = of one moving camera with poses, by a stereo model from each "
        "image and an earlier one, see docs/mapping.md",
        choices=("model", "motion"),
        read_only=True,
    )


def max_speed_option() -> Any:
    """Beyond what the poses of a camera do not belong together."""
    return option(
        3.0, "a camera that moves faster is a jump of its pose", unit="m/s", minimum=0.01, maximum=1000.0
    )


def max_turn_option() -> Any:
    """As `max_speed_option`, of turns."""
    return option(
        360.0, "a camera that turns faster is a jump of its pose", unit="deg/s", minimum=1.0, maximum=100000.0
    )


@dataclass(frozen=True)
class DepthFromConfig(Config):
    """The one option that says whether those of `MotionConfig` count."""

    depth_from: str = depth_from_option()


@dataclass(frozen=True)
class MotionConfig(Config):
    """Which two views are matched, and what is believed; see docs/mapping.md."""

    motion_views: int = option(20, "earlier views to choose from", minimum=1, maximum=200)
    motion_parallax_px: float = option(
        40.0,
        "shift between two views at the typical depth of the scene that is looked for: more is more exact, "
        "and less of the image is seen by both",
        unit="px",
        minimum=4.0,
        maximum=150.0,
    )
    motion_min_parallax_px: float = option(
        8.0,
        "depth from a smaller shift between the views is unknown",
        unit="px",
        minimum=1.0,
        maximum=50.0,
    )
    motion_min_overlap: float = option(
        0.15,
        "share of the image that another view must show, with enough shift, to be matched",
        minimum=0.01,
        maximum=1.0,
    )
    motion_check_px: float = option(
        1.5,
        "largest difference of the disparities matched from one view to the other and back",
        unit="px",
        minimum=0.1,
        maximum=100.0,
    )
    motion_max_row_error_px: float = option(
        2.0,
        "views whose rows are off by more than this do not fit their poses and are not matched",
        unit="px",
        minimum=0.5,
        maximum=100.0,
    )
    motion_depth_m: float = option(
        3.0,
        "typical depth of the scene, until it is measured",
        unit="m",
        minimum=0.05,
        maximum=1000.0,
    )
    motion_fill: str = option(
        "",
        "mono model, or auto, whose depth is fitted to that of motion and fills what motion does not show, "
        "with a confidence below 0.5; empty = that stays unknown",
        read_only=True,
    )
