"""A long walk with the map node: does its process grow while the map around the camera does not?"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from nav_msgs.msg import OccupancyGrid
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from visualization_msgs.msg import Marker

from recon3d_ros.errors import DataError
from recon3d_ros.ros.bench.corridor import (
    FRAME,
    MAP_FRAME,
    PERIOD_S,
    SIZE_WH,
    START_NS,
    Corridor,
    CorridorPoses,
    pose_at,
)
from recon3d_ros.ros.bench.harness import newest_status, ros_words
from recon3d_ros.ros.bench.processes import Part, Processes, serve_camera, serve_consumer
from recon3d_ros.ros.bench.soak import (
    FrameRow,
    ProcessRow,
    ProcessSample,
    check,
    frame_counts,
    frame_row,
    process_row,
    process_sample,
)
from recon3d_ros.ros.bridge.conversions import camera_to_info, depth_to_msg, image_to_msg
from recon3d_ros.ros.bridge.runtime import advertise, run_node, subscribe
from recon3d_ros.ros.mapper.map_node import MapNode
from recon3d_ros.ros.mapper.map_outputs import DISTANCE, GRID, MESH, POINTS, TYPES, latched_qos

CHUNK = 100
RADIUS_M = 6.0
STEP_NS = 200_000_000  # of the walk, whatever the rate at which it is played
_SIGMA = 0.01  # of the depth, relative
_START_S = 60.0
_PARAMETERS = {
    "mode": "mono",
    "map_frame": MAP_FRAME,
    "map_radius_m": RADIUS_M,
    "voxel_m": 0.08,  # and small images: what grows does so with them, too
    "obstacle_max_height_m": 0.6,  # what a camera at 1 m that looks down sees above the floor
}


class MapSoakRow(ProcessRow, FrameRow):
    """One walk; memory, threads, files and frames as those of `soak.SoakRow`.

    `walk_s` is the time that passed for the camera, `map_mb` the voxels at the end, and `messages` how many
    of the map came out.
    """

    frames: int
    rate_hz: float
    walk_s: float
    map_mb: float
    messages: int


def benchmark_map_soak(
    frames: int = 6_000,
    rate_hz: float = 15.0,
    on_sample: Callable[[ProcessSample], object] = lambda sample: None,
    chunk: int = CHUNK,
    size_wh: tuple[int, int] = SIZE_WH,
) -> list[MapSoakRow]:
    """Walk down a corridor at 1 m/s with five images a second, and sample the node's process between them.

    Blocks farther than 6 m are dropped; somebody looks at the mesh, the points, the grid and the distances.

    Args:
        frames: How many images; 6,000 are a walk of 20 minutes.
        rate_hz: At which they are sent: 15 is three times faster than the walk.
        on_sample: Called with every sample.
        chunk: Frames between two samples.
        size_wh: Of the images.

    Raises:
        BackendError: The node's process grows, or frames are unaccounted for.
        DataError: No map comes, or a process ends.
    """
    with MapHarness(size_wh) as harness:
        samples, sent = [], 0
        before = frame_counts(harness.status)
        for first in range(0, frames, chunk):
            sent += harness.walk(rate_hz, min(chunk, frames - first))
            samples.append(process_sample(harness.node_pid, sent))
            on_sample(samples[-1])
        after = frame_counts(harness.status)
        messages, status = harness.collect()
    row = MapSoakRow(
        frames=frames,
        rate_hz=rate_hz,
        walk_s=sent * STEP_NS / 1e9,
        **process_row(samples, frames),
        **frame_row(sent, before, after),
        map_mb=float(status["map_mb"]),
        messages=messages,
    )
    check(row, frames)
    return [row]


class MapHarness(Processes):
    """A camera in a corridor, a map node and a viewer; ended when the context is left.

    Args:
        size_wh: Of the images.

    Raises:
        DataError: No map comes within a minute.
    """

    def __init__(self, size_wh: tuple[int, int]) -> None:
        super().__init__(
            {"map node": Part(_run_map_node, (ros_words(_PARAMETERS),))},
            Part(_run_camera, (size_wh,)),
            Part(_run_viewer),
        )

    def __enter__(self) -> MapHarness:
        try:
            self.start()
            deadline = time.monotonic() + _START_S
            while not self.collect()[0]:
                self.walk(5.0, 5)
                if time.monotonic() > deadline:
                    raise DataError(
                        f"expected a map within {_START_S:.0f} s, got none: see the warnings above"
                    )
            return self
        except BaseException:
            self.close()
            raise

    def walk(self, rate_hz: float, frames: int) -> int:
        """Go on with the walk; return how many images were sent."""
        return int(self.ask_camera((rate_hz, frames)))

    def collect(self) -> tuple[int, dict[str, str]]:
        """How many messages of the map came so far, and the newest diagnostics."""
        messages, status = self.ask_consumer("collect")
        return messages, status

    def status(self) -> dict[str, str]:
        """The newest diagnostics."""
        return self.collect()[1]


def _run_map_node(words: list[str]) -> None:
    raise SystemExit(run_node(partial(MapNode, CorridorPoses()), words))


def _run_camera(pipe: Connection, size_wh: tuple[int, int]) -> None:
    def make(node: Node) -> Callable[[Any], int]:
        camera = _Camera(node, size_wh)
        return lambda request: camera.walk(*request)

    serve_camera(pipe, make)


class _Camera:
    def __init__(self, node: Node, size_wh: tuple[int, int]) -> None:
        self._corridor, self._count = Corridor(size_wh), 0
        self._views: list[tuple[NDArray[np.float32], NDArray[np.uint8]]] = []
        kinds = {"depth/camera_info": CameraInfo, "image": Image, "depth/image": Image, "depth/sigma": Image}
        self._publishers = {topic: advertise(node, kind, topic) for topic, kind in kinds.items()}

    def walk(self, rate_hz: float, frames: int) -> int:
        began = time.monotonic()
        for i in range(frames):
            stamp_ns = START_NS + self._count * STEP_NS
            depth, image = self._view()
            if (wait_s := began + i / rate_hz - time.monotonic()) > 0:
                time.sleep(wait_s)
            at = (stamp_ns, FRAME)
            messages = {
                "depth/camera_info": camera_to_info(self._corridor.camera, *at),
                "image": image_to_msg(image, *at),
                "depth/image": depth_to_msg(depth, *at),
                "depth/sigma": depth_to_msg(np.float32(_SIGMA) * depth, *at),
            }
            for topic, msg in messages.items():
                self._publishers[topic].publish(msg)
            self._count += 1
        return frames

    def _view(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """What is seen now; after a period it is seen again."""
        period = round(PERIOD_S * 1e9 / STEP_NS)
        if len(self._views) < period:
            self._views.append(self._corridor.view(pose_at(self._count * STEP_NS / 1e9)))
        return self._views[self._count % period]


def _run_viewer(pipe: Connection) -> None:
    def make(node: Node) -> Callable[[], Any]:
        count = [0]

        def on_message(msg: Marker | PointCloud2 | OccupancyGrid) -> None:
            count[0] += 1

        for topic in (MESH, POINTS, GRID, DISTANCE):
            subscribe(node, TYPES[topic], topic, on_message, qos=None if topic == MESH else latched_qos())
        status = newest_status(node)
        return lambda: (count[0], status)

    serve_consumer(pipe, make)
