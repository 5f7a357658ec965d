"""Options of the ROS node."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option


@dataclass(frozen=True)
class NodeConfig(Config):
    """How the ROS node takes in images."""

    mode: str = option("stereo", "stereo pair or single camera", choices=("stereo", "mono"), read_only=True)
    rectify: bool = option(
        False, "subscribe to image_raw and rectify by camera_info instead of image_rect", read_only=True
    )
    image_transport: str = option(
        "raw", "transport of the incoming images", choices=("raw", "compressed"), read_only=True
    )
    sync_tolerance_ms: float = option(
        0.0, "largest stamp difference of a stereo pair, 0 = stamps must be equal", unit="ms", minimum=0.0
    )
    # Off by default: a bag played without use_sim_time, or a camera computer whose clock differs, would
    # otherwise lose every frame; the one-slot mailbox bounds the node's own delay anyway.
    max_age_ms: float = option(
        0.0,
        "frames older by the node's clock are dropped on arrival, 0 = never (bags: set use_sim_time)",
        unit="ms",
        minimum=0.0,
    )
