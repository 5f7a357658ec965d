"""What the map node publishes of the map: the mesh cube by cube, points, grid, distances; odom and tf."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from geometry_msgs.msg import Pose
from nav_msgs.msg import MapMetaData
from nav_msgs.msg import OccupancyGrid as OccupancyGridMessage
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import Marker

from recon3d_ros.config.mapper import MapNodeConfig
from recon3d_ros.config.mapping import GridConfig
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import XYZRGB
from recon3d_ros.mapping.live_map import LiveMap, Place
from recon3d_ros.mapping.occupancy import OCCUPIED, UNKNOWN, OccupancyGrid
from recon3d_ros.ros.bridge.conversions import make_header, to_bytes_array
from recon3d_ros.ros.bridge.runtime import advertise, reliable_qos
from recon3d_ros.ros.mapper.mesh_messages import deletion, deletion_of_all, serialized_mesh
from recon3d_ros.ros.output.cloud_message import list_to_msg

MESH, POINTS, GRID, DISTANCE = "map/mesh", "map/points", "map/grid", "map/distance"
TYPES = {MESH: Marker, POINTS: PointCloud2, GRID: OccupancyGridMessage, DISTANCE: PointCloud2}
_MESH_SHARE = 0.3  # of its period, for which cubes are made; the rest is for the next depth maps
_MARKERS_AT_ONCE = 8  # for who comes late: a viewer keeps no more than its queue
_QUEUE = 64
_SETTLE_S = 0.3  # after somebody subscribed, until it hears everything
_REMIND_S = 5.0


def latched_qos() -> QoSProfile:
    """Return the profile of maps: who comes late gets the last one, as map_server does it."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
    )


class MapOutputs:
    """The publishers of the map; `publish_due` belongs to the worker's thread, as all that follows from it.

    Nothing is computed for a topic without subscribers.

    Args:
        node: who publishes.
        config: the frame and the periods.

    Attributes:
        no_grid: why there is no grid at present; empty when there is one, or nobody asked.

    Raises:
        ConfigError: a qos_overrides parameter is no value of its policy.
    """

    def __init__(self, node: Node, config: MapNodeConfig) -> None:
        self._node = node
        self.config = config
        self.no_grid = ""
        self._publishers: dict[str, Publisher] = {
            name: advertise(node, kind, name, qos=reliable_qos(_QUEUE) if name == MESH else latched_qos())
            for name, kind in TYPES.items()
        }
        self._due_s = dict.fromkeys(TYPES, 0.0)
        self._published_version = dict.fromkeys(TYPES, -1)
        self._audience: frozenset[bytes] = frozenset()
        self._count, self._settled_s = 0, 0.0
        self._read = 0  # changes of the mesh so far
        self._newcomer = False
        self._late: dict[Place, None] = {}  # what who came late has not heard yet
        self._cleared = False
        self._grid: OccupancyGrid | None = None

    @property
    def _frame_id(self) -> str:
        return self.config.map_frame.lstrip("/")

    def close(self) -> None:
        """Take the topics back; the worker is done with them."""
        while self._publishers:
            self._node.destroy_publisher(self._publishers.popitem()[1])

    def publish_due(self, live: LiveMap, grid_config: GridConfig, version: int, stamp_ns: int) -> None:
        """Publish what is due, has changed and is wanted.

        Args:
            live: The map.
            grid_config: Of the grid.
            version: Another number whenever the map is another one.
            stamp_ns: Of the last depth map in it.
        """
        self._look_at_audience()
        if self._is_due(MESH, self.config.mesh_period_s) and (self._wanted(MESH) or self._wanted(POINTS)):
            self._publish_changes(live)
        self._publish_late(live)
        if self._takes(POINTS, self.config.points_period_s, self._read):
            self._publish_points(live, stamp_ns)
        grid_s = self.config.grid_period_s
        wanted = [name for name in (GRID, DISTANCE) if self._takes(name, grid_s, version)]
        if wanted:
            self._publish_grids(live, grid_config, stamp_ns, wanted)

    def _wanted(self, name: str) -> bool:
        return bool(self._publishers[name].get_subscription_count() > 0)

    def _is_due(self, name: str, period_s: float) -> bool:
        now = time.monotonic()
        if now < self._due_s[name]:
            return False
        self._due_s[name] = now + period_s
        return True

    def _takes(self, name: str, period_s: float, version: int) -> bool:
        """Whether a latched topic has something new for somebody; if so it counts as published."""
        if version == self._published_version[name] or not self._wanted(name):
            return False
        if not self._is_due(name, period_s):
            return False
        self._published_version[name] = version
        return True

    # --- mesh -----------------------------------------------------------------------------------------

    def _look_at_audience(self) -> None:
        """Notice who is new: a volatile topic, as a marker replaces one of many before."""
        now, count = time.monotonic(), self._publishers[MESH].get_subscription_count()
        if count == self._count and now < self._due_s[MESH]:
            return
        topic = self._publishers[MESH].topic_name
        infos = self._node.get_subscriptions_info_by_topic(topic)
        audience = frozenset(bytes(info.endpoint_gid) for info in infos)
        if audience - self._audience or count > self._count:
            self._settled_s, self._newcomer = now + _SETTLE_S, True
        self._audience, self._count = audience, count

    def _publish_changes(self, live: LiveMap) -> None:
        heard = self._wanted(MESH)
        for place, mesh in live.mesh_changes(_MESH_SHARE * self.config.mesh_period_s):
            self._read += 1
            if heard:
                message = (
                    deletion(place, self._frame_id)
                    if mesh is None
                    else serialized_mesh(place, mesh, self._frame_id)
                )
                self._publishers[MESH].publish(message)
            self._late.pop(place, None)

    def _publish_late(self, live: LiveMap) -> None:
        """Everything, a few cubes at a time, for who came late."""
        if self._newcomer and time.monotonic() >= self._settled_s:
            if not self._cleared:
                self._publishers[MESH].publish(deletion_of_all(self._frame_id))  # of a node before this one
                self._cleared = True
            self._newcomer, self._late = False, dict.fromkeys(live.meshes)
        for place in list(self._late)[:_MARKERS_AT_ONCE]:
            del self._late[place]
            if place in live.meshes:
                self._publishers[MESH].publish(serialized_mesh(place, live.meshes[place], self._frame_id))

    # --- points and grids -----------------------------------------------------------------------------

    def _publish_points(self, live: LiveMap, stamp_ns: int) -> None:
        vertices, colours = live.points()
        packed = colours.astype(np.uint32)
        rgb = (packed[:, 0] << 16 | packed[:, 1] << 8 | packed[:, 2]).view(np.float32)
        data = np.column_stack([vertices, rgb]).astype(np.float32)
        self._publishers[POINTS].publish(list_to_msg(data, XYZRGB, stamp_ns, self._frame_id))

    def _publish_grids(
        self, live: LiveMap, grid_config: GridConfig, stamp_ns: int, wanted: list[str]
    ) -> None:
        try:
            grid = live.grid(grid_config)
        except DataError as exc:
            self._without_grid(live, str(exc), stamp_ns, wanted)
            return
        self.no_grid, self._grid = "", grid
        for name in wanted:
            make: Callable[..., Any] = grid_message if name == GRID else distance_message
            self._publishers[name].publish(make(grid, stamp_ns, self._frame_id))

    def _without_grid(self, live: LiveMap, reason: str, stamp_ns: int, wanted: list[str]) -> None:
        """Say why; what was published before holds no more."""
        if reason != self.no_grid and len(live.fusion.store):
            self._node.get_logger().info(f"no map/grid: {reason}", throttle_duration_sec=_REMIND_S)
        self.no_grid = reason
        if self._grid is None:
            return
        cells = np.full_like(self._grid.cells, UNKNOWN)
        grid = OccupancyGrid(cells, self._grid.origin_xy, self._grid.cell_m, self._grid.T_map_world)
        self._grid = None
        for name in wanted:
            make: Callable[..., Any] = grid_message if name == GRID else distance_message
            self._publishers[name].publish(make(grid, stamp_ns, self._frame_id))


def grid_message(grid: OccupancyGrid, stamp_ns: int, frame_id: str) -> OccupancyGridMessage:
    """The grid as Nav2's static layer takes it."""
    rows, columns = grid.cells.shape
    info = MapMetaData(resolution=grid.cell_m, width=columns, height=rows, origin=_origin(grid))
    header = make_header(stamp_ns, frame_id)
    info.map_load_time = header.stamp
    msg = OccupancyGridMessage(header=header, info=info)
    data = to_bytes_array(grid.cells)
    msg.data = type(data)("b", data.tobytes())
    return msg


def distance_message(grid: OccupancyGrid, stamp_ns: int, frame_id: str) -> PointCloud2:
    """Points on the floor at the middle of each known cell, with the distance to the next obstacle, m.

    The field is called `intensity`, which viewers colour by. Without an obstacle it is infinite.
    """
    known = grid.cells != UNKNOWN
    blocked = grid.cells == OCCUPIED
    if blocked.any():
        distance = cv2.distanceTransform((~blocked).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    else:
        distance = np.full(grid.cells.shape, np.inf, np.float32)
    rows, columns = np.nonzero(known)
    middles = np.zeros((len(rows), 4))
    middles[:, 0] = grid.origin_xy[0] + (columns + 0.5) * grid.cell_m
    middles[:, 1] = grid.origin_xy[1] + (rows + 0.5) * grid.cell_m
    middles[:, 3] = 1.0
    points = middles @ np.linalg.inv(grid.T_map_world).T
    points[:, 3] = distance[known] * grid.cell_m
    return list_to_msg(points.astype(np.float32), ("x", "y", "z", "intensity"), stamp_ns, frame_id)


def _origin(grid: OccupancyGrid) -> Pose:
    """Level, and a multiple of the cells, as Nav2 takes it: the tilt that is left is below 3 degrees."""
    pose = Pose()
    pose.position.x, pose.position.y = grid.origin_xy
    pose.position.z = float(np.linalg.inv(grid.T_map_world)[2, 3])
    pose.orientation.w = 1.0
    return pose
