"""Markers that are written by hand are those that rclpy would write."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import Point
from rclpy.serialization import deserialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from recon3d_ros.mapping.surface import Mesh
from recon3d_ros.ros.mapper.mesh_messages import deletion, serialized_mesh


def mesh_of(triangles: int) -> Mesh:
    rng = np.random.default_rng(4)
    vertices = rng.normal(size=(triangles + 2, 3)).astype(np.float32)
    faces = np.stack([np.arange(triangles) + i for i in range(3)], axis=1).astype(np.int32)
    return Mesh(vertices, faces, rng.integers(0, 256, (triangles + 2, 3), np.uint8))


@pytest.mark.parametrize("triangles", [1, 2, 777])
@pytest.mark.parametrize("frame_id", ["odom", "map", "robot/odom", ""])  # which move all that follows
def test_a_marker_is_read_as_it_was_meant(triangles, frame_id):
    mesh, place = mesh_of(triangles), (-3, 2, 1500)
    msg = deserialize_message(serialized_mesh(place, mesh, frame_id), Marker)
    expected = deletion(place, frame_id)
    expected.action = Marker.ADD
    corners = mesh.faces.ravel()
    expected.points = [Point(x=x, y=y, z=z) for x, y, z in mesh.vertices[corners].tolist()]
    colours = (mesh.colours[corners] / np.float32(255)).tolist()
    expected.colors = [ColorRGBA(r=r, g=g, b=b, a=1.0) for r, g, b in colours]
    assert msg == expected


def test_places_have_ids_of_their_own():
    def name(*place: int) -> tuple[str, int]:
        msg = deletion(place, "odom")
        return msg.ns, msg.id

    places = [(x, y, z) for x in (-1025, -1, 0, 1, 1024) for y in (-1, 0, 1023) for z in (-512, 0, 511)]
    assert len({name(*place) for place in places}) == len(places)
    assert all(0 <= name(*place)[1] < 2**31 for place in places)
