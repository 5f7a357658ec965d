"""Options of `recon3d doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.camera_topics import PairingConfig
from recon3d_ros.config.options import option


@dataclass(frozen=True)
class DoctorConfig(PairingConfig):
    """What to look at; the names are those of the node's parameters and of the launch files' arguments."""

    mode: str = option(
        "auto",
        "stereo pair or single camera, auto = detect from the published topics",
        choices=("auto", "stereo", "mono"),
    )
    namespace: str = option("", "namespace of the topics, as for the node")
    rectify: bool = option(False, "check image_raw, for a node with rectify")
    image_transport: str = option("raw", "transport of the images", choices=("raw", "compressed"))
    left_image: str = option("", "topic instead of left/image_rect (left/image_raw with rectify)")
    left_info: str = option("", "topic instead of left/camera_info")
    right_image: str = option("", "topic instead of right/image_rect (right/image_raw with rectify)")
    right_info: str = option("", "topic instead of right/camera_info")
    image: str = option("", "topic instead of image (image_raw with rectify)")
    camera_info: str = option("", "topic instead of camera_info")
    seconds: float = option(10.0, "how long to listen", unit="s", minimum=0.1, maximum=3600.0)
