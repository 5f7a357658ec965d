"""The options of `image_source` and of `recon3d play`."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.camera_topics import STEREO_LAYOUTS
from recon3d_ros.config.options import Config, option
from recon3d_ros.errors import ConfigError


@dataclass(frozen=True)
class SourceConfig(Config):
    """What is played, and how it is published."""

    source: str = option(
        "world",
        "world, world_indoor or world_outdoor (procedural, with exact depth), a folder of images, with "
        "left/ and right/ or with EuRoC's cam0/ and cam1/, a video file, or a webcam by index or "
        "device (/dev/video0 or a link to it)",
        read_only=True,
        path=True,
    )
    rate_hz: float = option(
        0.0,
        "images per second; 0 = the rate of the source",
        unit="Hz",
        minimum=0.0,
        maximum=1000.0,
        read_only=True,
    )
    loop: bool = option(False, "start again at the end; webcams and worlds have no end", read_only=True)
    count: int = option(0, "stop after this many frames; 0 = at the end", minimum=0, read_only=True)
    wait_for_subscribers: bool = option(
        True, "wait until every topic has a subscriber, so that no frame is lost", read_only=True
    )
    mono: bool = option(False, "publish only the left camera of a pair", read_only=True)
    image_transport: str = option(
        "raw", "raw, or compressed on <topic>/compressed", choices=("raw", "compressed"), read_only=True
    )
    codec: str = option("jpeg", "codec of compressed images", choices=("jpeg", "png"), read_only=True)
    jpeg_quality: int = option(90, "JPEG quality", minimum=1, maximum=100, read_only=True)
    encoding: str = option(
        "auto",
        "encoding of raw images; auto = mono8 or rgb8",
        choices=("auto", "rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16"),
        read_only=True,
    )
    camera: str = option(
        "",
        "calibration: camera_info YAML (a pair: with left: and right:), or a file of OpenCV, kalibr, EuRoC "
        "or KITTI; empty = camera.yaml in the folder",
        read_only=True,
        path=True,
    )
    layout: str = option(
        "separate",
        "separate = a folder of pairs; side_by_side or top_bottom = both views in one image, the left view "
        "left or above (folders, videos and webcams); camera has left: and right: of the views",
        choices=STEREO_LAYOUTS,
        read_only=True,
    )
    fov_deg: float = option(
        0.0,
        "horizontal field of view to assume for a single camera without calibration; 0 = calibration "
        "required",
        unit="deg",
        minimum=0.0,
        maximum=170.0,
        read_only=True,
    )
    frame_prefix: str = option(
        "camera", "prefix of the frame ids: <prefix>_left_optical_frame and so on, <prefix>_optical_frame "
                  "for a single camera",
        read_only=True,
    )  # fmt: skip
    world_seed: int = option(0, "seed of the world", minimum=0, read_only=True)
    world_frames: int = option(
        40,
        "number of frames of the closed camera path in the world, rendered at the start",
        minimum=1,
        read_only=True,
    )
    width: int = option(
        640, "width of the images of the world", unit="px", minimum=16, maximum=8192, read_only=True
    )
    height: int = option(
        480, "height of the images of the world", unit="px", minimum=16, maximum=8192, read_only=True
    )

    def validate(self) -> None:
        """Check that something is to be played."""
        if not self.source:
            raise ConfigError("expected a source to play, got an empty name: name a folder, a video or world")
