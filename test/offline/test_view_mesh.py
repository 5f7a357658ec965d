"""The mesh of a reconstruction is shown with its faces, once."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("trimesh")

from recon3d_ros.mapping.mesh_files import write_mesh
from recon3d_ros.mapping.surface import Mesh
from recon3d_ros.offline.view_mesh import log_mesh, mesh_at


def test_a_ply_is_logged_where_no_other_format_lies_beside_it(tmp_path):
    vertices = np.array([[0, 0, 2], [1, 0, 2], [0, 1, 2], [1, 1, 3]], np.float32)
    faces = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
    colours = np.arange(12, dtype=np.uint8).reshape(4, 3)
    path = tmp_path / "mesh.ply"
    assert mesh_at(tmp_path) is None
    write_mesh(path, Mesh(vertices, faces, colours))
    assert mesh_at(tmp_path) == mesh_at(path) == path
    logged = []

    class Log:
        def triangles(self, *arrays):
            logged.extend(arrays)

    log_mesh(Log(), path)
    for got, expected in zip(logged, (vertices, faces, colours), strict=True):
        np.testing.assert_array_equal(got, expected)
    write_mesh(tmp_path / "mesh.glb", Mesh(vertices, faces, colours))  # which the viewer reads itself
    (tmp_path / "cloud.ply").write_bytes(path.read_bytes())
    assert mesh_at(tmp_path) is None and mesh_at(tmp_path / "cloud.ply") is None
