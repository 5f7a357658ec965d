"""A mesh in cubes as visualization_msgs/Marker, which RViz and Foxglove draw."""

from __future__ import annotations

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from recon3d_ros.mapping.live_map import Place
from recon3d_ros.mapping.surface import Mesh
from recon3d_ros.ros.bridge.conversions import make_header

_BITS = 10  # of each coordinate in an id; what does not fit is in the name


def mesh_marker(place: Place, mesh: Mesh, frame_id: str) -> Marker:
    """The triangles of one cube; they stay until the next marker of the same place.

    The stamp is 0: a viewer takes the newest transform, however old the surface is.
    """
    msg = _marker(place, frame_id)
    msg.action = Marker.ADD
    # One object for each vertex, however many triangles have it: making objects is what takes time.
    points = [Point(x=x, y=y, z=z) for x, y, z in mesh.vertices.tolist()]
    colours = [ColorRGBA(r=r, g=g, b=b, a=1.0) for r, g, b in (mesh.colours / 255.0).tolist()]
    corners = mesh.faces.ravel().tolist()
    msg.points = [points[i] for i in corners]
    msg.colors = [colours[i] for i in corners]
    return msg


def deletion(place: Place, frame_id: str) -> Marker:
    """Takes the triangles of one cube away."""
    msg = _marker(place, frame_id)
    msg.action = Marker.DELETE
    return msg


def deletion_of_all(frame_id: str) -> Marker:
    """Takes everything away that was ever published on the topic."""
    return Marker(header=make_header(0, frame_id), action=Marker.DELETEALL)


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
