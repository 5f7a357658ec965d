"""Options of the ROS node."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from recon3d_ros.config.camera_topics import SEPARATE, STEREO_LAYOUTS, PairingConfig, is_packed
from recon3d_ros.config.motion import depth_from_option, max_speed_option, max_turn_option
from recon3d_ros.config.options import option
from recon3d_ros.errors import ConfigError

_SHORTEST_HEARTBEAT_S = 0.01  # shorter ones would take the executor from the images


def autostart_option() -> Any:
    """Whether a node with a life cycle starts by itself."""
    return option(
        True, "configure and activate at the start; false = wait for a lifecycle manager", read_only=True
    )


def heartbeat_option() -> Any:
    """How often such a node tells its manager that it lives; named as Nav2's servers name it."""
    return option(
        0.1,
        "time between the signs of life for Nav2's lifecycle manager, with autostart false; 0 = none (needs "
        "the package bond)",
        unit="s",
        minimum=0.0,
        read_only=True,
    )


def require_pair_for_layout(mode: str, layout: str) -> None:
    """Check that a layout of two views is that of a stereo camera.

    Raises:
        ConfigError: It is asked for with a single camera.
    """
    if mode == "mono" and is_packed(layout):
        raise ConfigError(
            f"layout {layout} has two views, which mode mono does not use: set mode to stereo, or layout to "
            f"{SEPARATE}"
        )


def require_heartbeat(period_s: float) -> None:
    """Check `bond_heartbeat_period`.

    Raises:
        ConfigError: It is too short.
    """
    if 0 < period_s < _SHORTEST_HEARTBEAT_S:
        raise ConfigError(
            f"bond_heartbeat_period must be 0 (off) or at least {_SHORTEST_HEARTBEAT_S} s, got {period_s}"
        )


def require_camera_names(names: tuple[str, ...]) -> None:
    """Check that the namespaces of cameras are distinct, and that each makes a topic.

    Raises:
        ConfigError: One is no namespace, or is there twice.
    """
    for name in names:
        if not re.fullmatch(r"[A-Za-z]\w*(/[A-Za-z]\w*)*", name):
            raise ConfigError(
                f"cameras must be namespaces such as front or robot/front, got {name!r}: "
                "letters, digits and underscores, no leading or trailing slash"
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"cameras must be different namespaces, got {', '.join(names)}")


@dataclass(frozen=True)
class NodeConfig(PairingConfig):
    """How the ROS node takes in images and gives out results."""

    mode: str = option("stereo", "stereo pair or single camera", choices=("stereo", "mono"), read_only=True)
    depth_from: str = depth_from_option()
    motion_frame: str = option(
        "odom",
        "with depth_from motion: fixed frame in which tf tells the poses of the camera; a frame that jumps, "
        "such as map, gives wrong depth where it does",
        read_only=True,
    )
    motion_pose_wait_ms: float = option(
        200.0,
        "with depth_from motion: longest time that an image waits for its pose",
        unit="ms",
        minimum=0.0,
        maximum=2000.0,
    )
    motion_max_age_s: float = option(
        10.0,
        "with depth_from motion: an image is not matched with one that is older by more than this, because "
        "the scene may have changed",
        unit="s",
        minimum=0.1,
        maximum=3600.0,
    )
    max_speed_mps: float = max_speed_option()
    max_turn_dps: float = max_turn_option()
    layout: str = option(
        "separate",
        "separate = two image topics; side_by_side or top_bottom = both views in one image, the left view "
        "left or above, with left/camera_info and right/camera_info of the views",
        choices=STEREO_LAYOUTS,
        read_only=True,
    )
    rectify: bool = option(
        False, "subscribe to image_raw instead of image_rect, and rectify with camera_info", read_only=True
    )
    image_transport: str = option(
        "raw", "transport of the incoming images", choices=("raw", "compressed"), read_only=True
    )
    # Off by default: a bag played without use_sim_time, or a camera computer whose clock differs, would
    # otherwise lose every frame; the one-slot mailbox bounds the node's own delay anyway.
    max_age_ms: float = option(
        0.0,
        "frames older than this, by the node's clock, are dropped on arrival; 0 = never (for bags set "
        "use_sim_time)",
        unit="ms",
        minimum=0.0,
    )
    depth_encoding: str = option(
        "32FC1", "depth/image in metres (32FC1) or millimetres (16UC1)", choices=("32FC1", "16UC1")
    )
    target_frame: str = option(
        "", "frame of points and points_..., transformed with tf2; empty = the optical frame of the camera"
    )
    labels_frame: str = option(
        "",
        "for point_labels: frame whose axis z points up and whose origin is on the ground, such as "
        "base_footprint, "
        "looked up with tf2; empty = up and the ground are found from the floor in view",
    )
    cameras: tuple[str, ...] = option(
        (),
        "namespaces of several cameras (or pairs) that this node processes with one model; empty = one "
        "camera without a namespace",
        read_only=True,
    )
    autostart: bool = autostart_option()
    bond_heartbeat_period: float = heartbeat_option()
    save_folder: str = option("~/.ros/recon3d", "folder in which ~/save writes frames")
    completion_model: str = option(
        "",
        "for ~/complete_object: model of the task completion, its name or the path of its manifest; empty = "
        "none",
    )
    object_box: str = option(
        "",
        "for ~/complete_object: x,y,width,height of the box around the object in the image of the depth, px",
    )

    @property
    def from_motion(self) -> bool:
        """Whether depth comes from the motion of single cameras."""
        return self.depth_from == "motion"

    @property
    def needs_stereo_model(self) -> bool:
        """Whether the model compares two images."""
        return self.mode == "stereo" or self.from_motion

    @property
    def object_box_px(self) -> tuple[float, float, float, float] | None:
        """The four numbers of `object_box`; None where it is empty."""
        if not self.object_box.strip():
            return None
        try:
            x, y, width, height = (float(word) for word in self.object_box.split(","))
        except ValueError:
            x = y = width = height = math.nan
        if not (math.isfinite(x + y) and 0 < width < math.inf and 0 < height < math.inf):
            raise ConfigError(
                f"object_box must be x,y,width,height in px with a width and a height above 0, got "
                f"{self.object_box!r}"
            )
        return x, y, width, height

    def validate(self) -> None:
        """Check that the cameras are distinct, and that each name makes a topic."""
        require_pair_for_layout(self.mode, self.layout)
        require_heartbeat(self.bond_heartbeat_period)
        require_camera_names(self.cameras)
        self.object_box_px  # noqa: B018 - refuses a box that is none
