"""A running map node beside a probe that plays an RGB-D camera in a room, over real DDS."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from nav_msgs.msg import OccupancyGrid, Odometry
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import Marker

from recon3d_ros.errors import FrameError
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.ros.bridge.conversions import camera_to_info, depth_to_msg, image_to_msg
from recon3d_ros.ros.bridge.dds import profile_environment
from recon3d_ros.ros.mapper import map_node
from test.ros.node_bench import NodeBench

os.environ.update(profile_environment())  # before the first context; children inherit it
DEADLINE_S = 40.0
OUTPUTS = {
    "map/mesh": Marker,
    "map/points": PointCloud2,
    "map/grid": OccupancyGrid,
    "map/distance": PointCloud2,
    "odom": Odometry,
}
FRAME = "camera_optical"
STEP_NS = 100_000_000
# Optical axes (x right, y down, z forward) in a world with x forward, y left, z up.
LEVEL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


class Room:
    """A room of 4 x 3 x 2.4 m, x and y from the middle, the floor at 0; a box stands in it, one may walk.

    Attributes:
        camera: 164x123 px.
        boxes: (low, high) corners of things, m.
    """

    camera = PinholeCamera.simple(164, 123, 110.0)
    box = (np.array([0.8, -0.9, 0.0]), np.array([1.2, -0.4, 0.8]))

    def pose(self, x: float = -1.6, y: float = 0.0, yaw: float = 0.0, pitch_deg: float = 25.0) -> np.ndarray:
        """Of the optical frame, 0.9 m over the floor, tilted down by `pitch_deg`."""
        turn, tilt = np.eye(4), np.eye(4)
        c, s = np.cos(yaw), np.sin(yaw)
        turn[:2, :2] = [[c, -s], [s, c]]
        turn[:3, 3] = x, y, 0.9
        c, s = np.cos(np.radians(pitch_deg)), np.sin(np.radians(pitch_deg))
        tilt[[0, 0, 2, 2], [0, 2, 0, 2]] = c, s, -s, c
        return turn @ tilt @ LEVEL

    def view(self, pose: np.ndarray, things: tuple = ()) -> tuple[np.ndarray, np.ndarray]:
        """Exact depth (H, W) float32 m, and an image with a pattern on every surface, of a pose."""
        cam = self.camera
        u, v = np.meshgrid(np.arange(cam.width), np.arange(cam.height))
        rays = np.stack([(u - cam.cx) / cam.fx, (v - cam.cy) / cam.fy, np.ones(u.shape)], axis=-1)
        rays = rays @ pose[:3, :3].T
        origin = pose[:3, 3]
        inside = _slabs(origin, rays, np.array([-2, -1.5, 0]), np.array([2, 1.5, 2.4]))[1]
        depth = inside
        for low, high in (self.box, *things):
            near, far = _slabs(origin, rays, low, high)
            hit = (near < far) & (near > 0) & (near < depth)
            depth = np.where(hit, near, depth)
        points = origin + rays * depth[..., None]
        return depth.astype(np.float32), _pattern(points)


def _slabs(origin: np.ndarray, rays: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[Any, Any]:
    """Where rays enter and leave a box, by the method of slabs."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (low - origin) / rays, (high - origin) / rays
    return np.fmin(one, other).max(axis=-1), np.fmax(one, other).min(axis=-1)


def _pattern(points: np.ndarray) -> np.ndarray:
    """Colours that are a function of the place, with corners to track: cells of 12 cm of random grey."""
    cells = np.floor(points / 0.12).astype(np.int64)
    mixed = cells[..., 0] * 73856093 ^ cells[..., 1] * 19349663 ^ cells[..., 2] * 83492791
    grey = 60 + (mixed * 2654435761 >> 7) % 160
    return np.stack([grey, grey, np.clip(grey + 20, 0, 255)], axis=-1).astype(np.uint8)


class Poses:
    """A source of transforms that knows what the probe has told it, at the stamps of its images."""

    def __init__(self) -> None:
        self.known: dict[int, np.ndarray] = {}
        self.frames = ("odom", FRAME)

    def start(self) -> None:
        """There is nothing to listen to."""

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> np.ndarray:
        if (target_frame, source_frame) != self.frames or stamp_ns not in self.known:
            raise FrameError(f"expected a transform of {source_frame} at {stamp_ns}, got none: publish it")
        return self.known[stamp_ns]


class MapBench(NodeBench):
    """One map node and one probe in a context and thread of their own."""

    def __init__(self, namespace: str, outputs: tuple[str, ...] = tuple(OUTPUTS), **parameters: Any) -> None:
        given = {"mode": "mono", "mesh_period_s": 0.2, "points_period_s": 0.2, "grid_period_s": 0.2}
        given["obstacle_max_height_m"] = 0.6  # a camera at 0.9 m that looks down sees no more above the floor
        overrides = [Parameter(name, value=value) for name, value in {**given, **parameters}.items()]
        self.poses, self.room = Poses(), Room()
        super().__init__(
            lambda context: map_node.MapNode(
                self.poses, context=context, namespace=namespace, parameter_overrides=overrides
            ),
            namespace,
        )
        for topic in outputs:
            self.listen(topic)
        self.start()
        self.stamp_ns = 1_000_000_000_000

    def listen(self, topic: str, into: str = "", latched: bool = True) -> None:
        """Collect the messages of a topic in `received`."""
        durability = QoSDurabilityPolicy.VOLATILE
        if latched and topic not in ("map/mesh", "odom"):
            durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
        qos = QoSProfile(depth=200, durability=durability)
        received = self.received[into or topic]
        self.probe.create_subscription(OUTPUTS[topic], topic, received.append, qos)

    def wait(self, condition: Callable[[], Any], what: str = "", seconds: float = DEADLINE_S) -> Any:
        """Wait for a condition; return its value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(0.005)
        raise AssertionError(f"{what or 'nothing'} within {seconds} s; {self.status()}; {self.logs()[-5:]}")

    def send(self, pose: np.ndarray, things: tuple = (), told: Any = None, **changes: Any) -> int:
        """Publish what is seen from a pose, with the pose that tf tells; return the stamp."""
        self.stamp_ns += STEP_NS
        depth, image = self.room.view(pose, things)
        self.poses.known[self.stamp_ns] = pose if told is None else told
        arrays = changes.get("depth", depth), changes.get("image", image)
        self.send_arrays(*arrays, changes.get("confidence"), sigma=changes.get("sigma"))
        return self.stamp_ns

    def send_arrays(
        self, depth: Any, image: Any, confidence: Any = None, prefix: str = "", sigma: Any = None
    ) -> None:
        at = (self.stamp_ns, FRAME)
        self.publish(f"{prefix}depth/camera_info", camera_to_info(self.room.camera, *at))
        self.publish(f"{prefix}image", image_to_msg(image, *at))
        self.publish(f"{prefix}depth/image", depth_to_msg(depth, *at))
        if confidence is not None:
            self.publish(f"{prefix}confidence", depth_to_msg(confidence, *at))
        if sigma is not None:
            self.publish(f"{prefix}depth/sigma", depth_to_msg(sigma, *at))

    def fuse(self, pose: np.ndarray, things: tuple = (), **changes: Any) -> None:
        """Publish a view and wait until it is in the map."""
        before = self.frames
        self.send(pose, things, **changes)
        self.wait(lambda: self.frames > before, "the frame was not fused")

    def refuse(self, pose: np.ndarray, cause: str, **changes: Any) -> str:
        """Publish a view, wait until it was dropped for a cause; return what is said about it."""
        before, frames = self.dropped(cause), self.frames
        self.send(pose, **changes)
        self.wait(lambda: self.dropped(cause) > before, f"not dropped: {cause}")
        assert self.frames == frames
        return self.node._channels[0].health.report().message

    @property
    def frames(self) -> int:
        """How many are in the map."""
        return sum(channel.health.report().published for channel in self.node._channels)

    def dropped(self, cause: str) -> int:
        return self.node._channels[0].health.report().drops[cause]

    def status(self, camera: str = "map") -> dict[str, str]:
        """The newest diagnostics of a camera, with `level` and `message`."""
        return self.newest_status(camera)

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        """Call a service of the node and wait for the response."""
        client = self.probe.create_client(kind, f"{self.node.get_fully_qualified_name()}/{name}")
        assert client.wait_for_service(DEADLINE_S), f"no service {name}"
        future = client.call_async(kind.Request(**fields))
        return self.wait(lambda: future.result() if future.done() else None, f"no answer of {name}")

    def set_parameters(self, **values: Any) -> Any:
        """Set parameters as one set, over DDS; return the result."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        return self.call(SetParametersAtomically, "set_parameters_atomically", parameters=parameters).result

    def newest(self, topic: str, condition: Callable[[Any], Any], what: str = "") -> Any:
        """Wait until the last message of a topic is as wanted; return it."""
        return self.wait(
            lambda: (
                self.received[topic][-1]
                if self.received[topic] and condition(self.received[topic][-1])
                else None
            ),
            what or f"no such message on {topic}",
        )

    def markers(self, topic: str = "map/mesh") -> dict[tuple[str, int], Marker]:
        """What a viewer shows now."""
        shown: dict[tuple[str, int], Marker] = {}
        for msg in list(self.received[topic]):
            if msg.action == Marker.DELETEALL:
                shown.clear()
            elif msg.action == Marker.DELETE:
                shown.pop((msg.ns, msg.id), None)
            else:
                shown[msg.ns, msg.id] = msg
        return dict(sorted(shown.items()))

    def vertices(self, topic: str = "map/mesh") -> np.ndarray:
        """Corners of all triangles that a viewer shows, (N, 3) m."""
        found = [(p.x, p.y, p.z) for msg in self.markers(topic).values() for p in msg.points]
        return np.array(found).reshape(-1, 3)


@pytest.fixture(scope="module")
def make_map_bench() -> Iterator[Callable[..., MapBench]]:
    """Make benches that live as long as the module; diagnostics come ten times a second."""
    benches: list[MapBench] = []
    period_s, map_node.DIAGNOSTICS_PERIOD_S = map_node.DIAGNOSTICS_PERIOD_S, 0.1

    def make(namespace: str, **kwargs: Any) -> MapBench:
        benches.append(MapBench(namespace, **kwargs))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()
    map_node.DIAGNOSTICS_PERIOD_S = period_s
