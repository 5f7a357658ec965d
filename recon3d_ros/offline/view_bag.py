"""What `recon3d process` or the node left in a bag, into a `RerunLog`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recon3d_ros.datasets.bags.reader import Bag, is_bag
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.messages.camera_info import info_to_camera
from recon3d_ros.messages.cloud import cloud_from_msg
from recon3d_ros.messages.depth import depth_from_msg
from recon3d_ros.messages.kinds import stamp_to_ns
from recon3d_ros.offline.sinks import CAMERA_INFO, IMAGE
from recon3d_ros.reports.rerun_log import RerunLog

_CLOUD = "sensor_msgs/msg/PointCloud2"
# By the end of a topic: what it is, and its type.
_KINDS = (
    ("depth/camera_info", CAMERA_INFO),
    ("depth/image", IMAGE),
    ("points", _CLOUD),
    ("points_free", _CLOUD),
)


def bags_in(path: Path) -> list[Path]:
    """The bag at a path, or those in a folder of results."""
    if is_bag(path):
        return [path]
    return [bag for bag in sorted(path.iterdir()) if is_bag(bag)] if path.is_dir() else []


def log_bag(log: RerunLog, path: Path) -> int:
    """Log clouds and depth of a bag by the stamps of their images.

    Args:
        log: Where to.
        path: As of `Bag`.

    Returns:
        The number of clouds, or of depth images where there is no cloud.

    Raises:
        DataError: There is nothing of that kind, or the bag is damaged.
    """
    with Bag(path) as bag:
        wanted = dict(_topics(bag))
        if not wanted:
            kinds = ", ".join(end for end, _ in _KINDS[1:])
            raise DataError(f"expected {kinds} in {path}, got none of them: process the bag first")
        shown = _Shown(log)
        for topic, _, msg in bag.messages(tuple(wanted)):
            shown.take(wanted[topic], msg)
    return shown.clouds or shown.depths


def _topics(bag: Bag) -> Iterator[tuple[str, str]]:
    """Topics to show, and what each is."""
    for topic, kind in bag.topics.items():
        for end, wanted in _KINDS:
            if kind == wanted and f"/{topic}".endswith(f"/{end}"):
                yield topic, end


class _Shown:
    """One way through a bag: messages of one stamp are one frame."""

    def __init__(self, log: RerunLog) -> None:
        self._log, self._frame, self._stamp_ns = log, -1, -1
        self._camera: PinholeCamera | None = None
        self.clouds = self.depths = 0

    def take(self, kind: str, msg: Any) -> None:
        stamp_ns = stamp_to_ns(msg.header.stamp)
        if stamp_ns != self._stamp_ns:
            self._frame, self._stamp_ns = self._frame + 1, stamp_ns
        self._log.at(self._frame, stamp_ns)
        if kind == "depth/camera_info":
            self._camera = info_to_camera(msg, rectified=True).as_rectified()
        elif kind == "depth/image":
            depth = depth_from_msg(msg)
            height, width = depth.shape
            camera = self._camera or PinholeCamera.simple(width, height, fx=float(width))
            self._log.depth_map(DepthMap(depth, camera))
            self.depths += 1
        else:
            self._log.cloud(cloud_from_msg(msg), "points" if kind == "points" else "free")
            self.clouds += kind == "points"
