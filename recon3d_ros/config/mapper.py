"""Options of the map node."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.camera_topics import PairingConfig
from recon3d_ros.config.motion import max_speed_option, max_turn_option
from recon3d_ros.config.node import (
    autostart_option,
    heartbeat_option,
    require_camera_names,
    require_heartbeat,
)
from recon3d_ros.config.options import option
from recon3d_ros.errors import ConfigError


@dataclass(frozen=True)
class MapNodeConfig(PairingConfig):
    """Where images, depth and poses come from, and what is published how often; see docs/mapping.md."""

    mode: str = option(
        "stereo",
        "whose images give the colours: stereo = left/image_rect, mono = image (also of RGB-D cameras)",
        choices=("stereo", "mono"),
        read_only=True,
    )
    rectify: bool = option(
        False,
        "the colours come from image_raw, rectified with its camera_info; depth is rectified in any case",
        read_only=True,
    )
    image_transport: str = option(
        "raw", "transport of the incoming images", choices=("raw", "compressed"), read_only=True
    )
    weights: str = option(
        "sigma",
        "topic that weighs the pixels: sigma = depth/sigma, confidence = confidence, none = all alike; where "
        "nobody publishes it, all alike",
        choices=("sigma", "confidence", "none"),
        read_only=True,
    )
    cameras: tuple[str, ...] = option(
        (),
        "namespaces of several cameras that make one map; empty = one camera without a namespace",
        read_only=True,
    )
    poses: str = option(
        "tf",
        "where the poses of the camera come from: tf, or odometry = estimated from images and depth, then "
        "published as odom and tf",
        choices=("tf", "odometry"),
        read_only=True,
    )
    map_frame: str = option(
        "odom",
        "fixed frame of the map, z up; a frame that jumps, such as map, breaks the map where it does",
        read_only=True,
    )
    base_frame: str = option(
        "",
        "with poses odometry: frame of the robot that odom tells about, which tf connects with the camera; "
        "empty = the optical frame of the camera",
        read_only=True,
    )
    publish_tf: bool = option(True, "with poses odometry: publish the transform, too", read_only=True)
    max_speed_mps: float = max_speed_option()
    max_turn_dps: float = max_turn_option()
    on_pose_jump: str = option(
        "refuse",
        "what follows a jump of the pose: refuse = nothing is fused until it jumps back or ~/reset is "
        "called; restart = a new map begins at the new place, and the one before is given up",
        choices=("refuse", "restart"),
    )
    check_images: bool = option(
        True,
        "images that are dark, white or covered are not fused; false for depth cameras with their own light",
    )
    map_radius_m: float = option(
        0.0,
        "what is farther from the camera is dropped; 0 = nothing, up to max_mb",
        unit="m",
        minimum=0.0,
        maximum=100000.0,
    )
    mesh_period_s: float = option(
        1.0, "time between two looks for changes of map/mesh", unit="s", minimum=0.1, maximum=3600.0
    )
    points_period_s: float = option(
        5.0, "shortest time between two messages on map/points", unit="s", minimum=0.1, maximum=3600.0
    )
    grid_period_s: float = option(
        2.0,
        "shortest time between two messages on map/grid and map/distance",
        unit="s",
        minimum=0.1,
        maximum=3600.0,
    )
    map_folder: str = option(
        "~/.ros/recon3d/maps",
        "folder in which ~/save_map makes map_0001 and so on; ~/load_map takes the last",
    )
    autostart: bool = autostart_option()
    bond_heartbeat_period: float = heartbeat_option()

    def validate(self) -> None:
        """Check that the names can be names, and that odometry has one camera to follow."""
        require_heartbeat(self.bond_heartbeat_period)
        require_camera_names(self.cameras)
        if not self.map_frame.strip("/"):
            raise ConfigError("map_frame must be the name of a fixed frame, such as odom, got an empty one")
        if self.poses == "odometry" and len(self.cameras) > 1:
            raise ConfigError(
                f"poses odometry follows one camera, got {len(self.cameras)}: set poses to tf, or name one"
            )
