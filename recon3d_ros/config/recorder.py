"""Options of the demo's recorder."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option


@dataclass(frozen=True)
class RecorderConfig(Config):
    """What is recorded, and where to."""

    out: str = option("out/demo", "folder for the report, the cloud and the pictures", read_only=True)
    seconds: float = option(
        10.0, "recording time after the first cloud", unit="s", minimum=0.5, read_only=True
    )
    patience_s: float = option(
        120.0, "give up if there is no cloud after this time", unit="s", minimum=1.0, read_only=True
    )
    image_topic: str = option(
        "left/image_rect", "topic of the image that the clouds belong to", read_only=True
    )
    node: str = option("depth_node", "name of the node whose /diagnostics are recorded", read_only=True)
    notes: str = option("", "additional lines for the report", read_only=True)
