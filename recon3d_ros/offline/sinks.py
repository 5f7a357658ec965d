"""Where the results of a bag go: into another bag, and into files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from recon3d_ros.config import ProcessConfig
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.files import make_folder, write_ply
from recon3d_ros.geometry import Frame
from recon3d_ros.pipeline import Result

IMAGE, CAMERA_INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
CLOUD = "sensor_msgs/msg/PointCloud2"


class Processed(NamedTuple):
    """One frame that came through: its place in the bag, its stamp and frame, its images, what it became."""

    number: int
    logged_ns: int
    stamp_ns: int
    frame_id: str
    frame: Frame
    result: Result


class Sink(Protocol):
    """Takes results; `close` completes what it writes, `abort` leaves nothing unfinished."""

    def write(self, processed: Processed) -> None:
        """Take one result."""

    def close(self) -> None:
        """Complete it."""

    def abort(self) -> None:
        """Give up."""


class BagSink:
    """Writes clouds, depth and its camera_info to a bag, under the names the node gives them."""

    def __init__(self, path: Path, config: ProcessConfig, storage: str = "mcap") -> None:
        kinds = {
            "points": CLOUD,
            "points_free": CLOUD,
            "points_ground": CLOUD,
            "points_obstacles": CLOUD,
            "depth/image": IMAGE,
            "depth/camera_info": CAMERA_INFO,
        }
        self._topics = {name: config.absolute(name) for name in kinds}
        self._bag = BagWriter(path, {self._topics[name]: kind for name, kind in kinds.items()}, storage)

    def write(self, processed: Processed) -> None:
        """Append the messages of a frame, with the stamp and the frame of its (left) image."""
        result, bag, stamped = processed.result, self._bag, (processed.stamp_ns, processed.frame_id)
        messages = {
            "depth/image": bag.depth(result.depth_map.depth, *stamped),
            "depth/camera_info": bag.camera_info(result.depth_map.camera, *stamped),
        }
        if result.cloud is not None:
            messages["points"] = bag.cloud(result.cloud, *stamped)
        lists = {
            "points_free": result.free_points,
            "points_ground": result.ground,
            "points_obstacles": result.obstacles,
        }
        messages |= {
            name: bag.cloud(points, *stamped) for name, points in lists.items() if points is not None
        }
        for name, msg in messages.items():
            bag.write(self._topics[name], processed.logged_ns, msg)

    def close(self) -> None:
        """Complete the bag."""
        self._bag.close()

    def abort(self) -> None:
        """Remove what there is of it."""
        self._bag.abort()


class PlySink:
    """Writes every cloud as NUMBER_STAMP.ply into a folder."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder

    def write(self, processed: Processed) -> None:
        """Write the cloud of a frame."""
        if processed.result.cloud is not None:
            name = f"{processed.number:06d}_{processed.stamp_ns}.ply"
            write_ply(self._folder / name, processed.result.cloud)

    def close(self) -> None:
        """Nothing is open."""

    def abort(self) -> None:
        """The clouds that are written are whole."""
