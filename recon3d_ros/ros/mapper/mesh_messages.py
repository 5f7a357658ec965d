"""A mesh in cubes as visualization_msgs/Marker, which RViz and Foxglove draw."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from geometry_msgs.msg import Point
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from recon3d_ros.mapping.live_map import Place
from recon3d_ros.mapping.surface import Mesh
from recon3d_ros.ros.bridge.conversions import make_header

_BITS = 10  # of each coordinate in an id; what does not fit is in the name
_SENTINEL = -1.2345e-67
_CORNERS = 3  # of the marker that is taken apart


def serialized_mesh(place: Place, mesh: Mesh, frame_id: str) -> bytes:
    """The triangles of one cube as a serialized Marker; they stay until the next one of the same place.

    The stamp is 0: a viewer takes the newest transform, however old the surface is.

    rclpy makes and reads an object for each corner and each colour, 50 times as long as it takes to make the
    surface. Therefore they are written as CDR puts them: each sequence is its length and its numbers, 24
    bytes a point and 16 a colour, so that what follows stays as it was, aligned to 8 bytes.
    """
    head, between, tail = _parts(place, frame_id)
    corners = mesh.faces.ravel()
    points = mesh.vertices.astype("<f8")[corners]
    colours = np.ones((len(corners), 4), "<f4")
    colours[:, :3] = mesh.colours[corners] / np.float32(255)
    count = np.array([len(corners)], "<u4").tobytes()
    return b"".join((head, count, between, points.tobytes(), count, colours.tobytes(), tail))


def deletion(place: Place, frame_id: str) -> Marker:
    """Takes the triangles of one cube away."""
    msg = _marker(place, frame_id)
    msg.action = Marker.DELETE
    return msg


def deletion_of_all(frame_id: str) -> Marker:
    """Takes everything away that was ever published on the topic."""
    return Marker(header=make_header(0, frame_id), action=Marker.DELETEALL)


@lru_cache(maxsize=1000)
def _parts(place: Place, frame_id: str) -> tuple[bytes, bytes, bytes]:
    """What a marker is before the number of its points, between that and them, and behind its colours."""
    msg = _marker(place, frame_id)
    msg.action = Marker.ADD
    msg.points = [Point(x=_SENTINEL, y=_SENTINEL, z=_SENTINEL)] * _CORNERS
    msg.colors = [ColorRGBA()] * _CORNERS
    data: bytes = serialize_message(msg)
    points = data.index(np.array([_SENTINEL] * 3 * _CORNERS, "<f8").tobytes())
    number = data.rindex(np.array([_CORNERS], "<u4").tobytes(), 0, points)
    tail = points + _CORNERS * 24 + 4 + _CORNERS * 16
    return data[:number], data[number + 4 : points], data[tail:]


def _marker(place: Place, frame_id: str) -> Marker:
    low = (1 << _BITS) - 1
    number = sum((value & low) << (_BITS * axis) for axis, value in enumerate(place))
    high = tuple(value >> _BITS for value in place)
    name = "map" if high == (0, 0, 0) else f"map {high[0]} {high[1]} {high[2]}"
    msg = Marker(header=make_header(0, frame_id), ns=name, id=number, type=Marker.TRIANGLE_LIST)
    msg.pose.orientation.w = 1.0
    msg.scale.x = msg.scale.y = msg.scale.z = 1.0
    msg.color.a = 1.0
    return msg
