"""Results into a bag of ROS 2, with the library rosbags; ROS itself is not needed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.datasets.bags.reader import SUFFIXES
from recon3d_ros.errors import OutputError
from recon3d_ros.files import make_folder
from recon3d_ros.geometry import OrganizedCloud, PinholeCamera, UnorganizedCloud
from recon3d_ros.geometry.cloud import LABEL
from recon3d_ros.system import lazy

NS_PER_S = 1_000_000_000
STORAGES = ("mcap", "sqlite3")
_METADATA_VERSION = 8  # of rosbag2 in Jazzy, which newer ones read too


class BagWriter:
    """Writes one bag; it appears under its name when it is complete, and not at all after an error.

    Args:
        path: A folder to make, or a file `.mcap` or `.db3` that holds everything.
        topics: Name to type of what will be written, as in "sensor_msgs/msg/Image".
        storage: Of a folder: mcap or sqlite3.

    Raises:
        OutputError: Something is there already, or it cannot be written.
        MissingDependencyError: rosbags is not installed.
    """

    def __init__(self, path: Path | str, topics: Mapping[str, str], storage: str = "mcap") -> None:
        self.path = Path(path)
        rosbag2 = lazy.require("rosbags.rosbag2", extra="bags")
        typesys = lazy.require("rosbags.typesys", extra="bags")
        if self.path.exists():
            raise OutputError(f"{self.path} is there already: choose another name, or remove it")
        self._single = self.path.suffix in SUFFIXES
        if self._single:
            storage = "mcap" if self.path.suffix == ".mcap" else "sqlite3"
        self._store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
        # A bag names its files inside: a folder's are called as they will be, and a single file, whose name
        # nobody reads, always the same, so that its bytes do not depend on what it is called.
        self._draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        make_folder(self._draft)
        self._folder = self._draft / ("bag" if self._single else self.path.name)
        try:
            plugin = rosbag2.StoragePlugin[storage.upper()]
            self._writer = rosbag2.Writer(self._folder, version=_METADATA_VERSION, storage_plugin=plugin)
            self._writer.open()
            self._connections = {
                topic: self._writer.add_connection(topic, kind, typestore=self._store)
                for topic, kind in topics.items()
            }
        except BaseException as exc:  # Ctrl-C leaves no draft either
            failed = self._failed(exc)
            if not isinstance(exc, Exception):
                raise
            raise failed from exc

    def write(self, topic: str, logged_ns: int, msg: Any) -> None:
        """Append a message of one of the topics.

        Raises:
            OutputError: The disk is full, or the like.
        """
        connection = self._connections[topic]
        try:
            self._writer.write(connection, logged_ns, self._store.serialize_cdr(msg, connection.msgtype))
        except Exception as exc:  # OSError, SQLite's errors
            raise self._failed(exc) from exc

    def close(self) -> None:
        """Complete the bag and give it its name.

        Raises:
            OutputError: The disk is full, or the like.
        """
        try:
            self._writer.close()
            if self._single:
                os.replace(self._folder / f"{self._folder.name}{self.path.suffix}", self.path)
            else:
                os.replace(self._folder, self.path)
        except Exception as exc:
            raise self._failed(exc) from exc
        shutil.rmtree(self._draft, ignore_errors=True)

    def abort(self) -> None:
        """Leave nothing behind."""
        self._writer.abort()
        shutil.rmtree(self._draft, ignore_errors=True)

    def cloud(self, cloud: OrganizedCloud | UnorganizedCloud, stamp_ns: int, frame_id: str) -> Any:
        """Make a PointCloud2 as the node publishes it; invalid points of an organized one are NaN."""
        kinds = self._store.types
        field = kinds["sensor_msgs/msg/PointField"]
        height, width = cloud.data.shape[:2] if cloud.data.ndim == 3 else (1, len(cloud.data))
        fields = [
            field(name, 4 * i, field.UINT8 if name == LABEL[0] else field.FLOAT32, 1)
            for i, name in enumerate(cloud.fields)
        ]
        return kinds["sensor_msgs/msg/PointCloud2"](
            header=self._header(stamp_ns, frame_id),
            height=height,
            width=width,
            fields=fields,
            is_bigendian=False,
            point_step=cloud.point_step,
            row_step=width * cloud.point_step,
            data=np.ascontiguousarray(cloud.data, "<f4").reshape(-1).view(np.uint8),
            is_dense=cloud.data.ndim == 2,
        )

    def depth(self, depth: NDArray[np.float32], stamp_ns: int, frame_id: str) -> Any:
        """Make a 32FC1 depth image (REP 118); (H, W) float32 m, NaN and +Inf as they are."""
        height, width = depth.shape
        return self._store.types["sensor_msgs/msg/Image"](
            header=self._header(stamp_ns, frame_id),
            height=height,
            width=width,
            encoding="32FC1",
            is_bigendian=0,
            step=width * 4,
            data=np.ascontiguousarray(depth, "<f4").reshape(-1).view(np.uint8),
        )

    def camera_info(self, camera: PinholeCamera, stamp_ns: int, frame_id: str) -> Any:
        """Make the camera_info of a rectified camera (REP 104)."""
        kinds = self._store.types
        return kinds["sensor_msgs/msg/CameraInfo"](
            header=self._header(stamp_ns, frame_id),
            height=camera.height,
            width=camera.width,
            distortion_model=camera.distortion_model,
            d=camera.d,
            k=camera.k.ravel(),
            r=camera.r.ravel(),
            p=camera.p.ravel(),
            binning_x=camera.binning_x,
            binning_y=camera.binning_y,
            roi=kinds["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
        )

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        time = self._store.types["builtin_interfaces/msg/Time"](stamp_ns // NS_PER_S, stamp_ns % NS_PER_S)
        return self._store.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)

    def _failed(self, exc: BaseException) -> OutputError:
        shutil.rmtree(self._draft, ignore_errors=True)
        said = " ".join(str(exc).split()) or type(exc).__name__
        return OutputError(f"cannot write the bag {self.path} ({said:.200}): free the disk or choose another")
