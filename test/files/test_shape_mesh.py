from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.files.shape_mesh import METHODS, shape_mesh, write_shape_mesh

pytest.importorskip("open3d")


def ball(count: int = 1500) -> np.ndarray:
    k = np.arange(count)
    z, angle = 1 - (2 * k + 1) / count, 2.39996 * k
    ring = np.sqrt(1 - z * z)
    return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), z]) * 0.4 + [0.1, 0.0, 2.0]


@pytest.mark.parametrize("method", METHODS)
def test_a_mesh_goes_through_the_points(method, tmp_path):
    vertices, corners = shape_mesh(ball(), method)
    assert corners.max() < len(vertices) and len(corners) > 500
    np.testing.assert_allclose(np.linalg.norm(vertices - [0.1, 0, 2.0], axis=1), 0.4, atol=0.03)
    path = tmp_path / "ball.stl"
    write_shape_mesh(path, ball(), method)
    trimesh = pytest.importorskip("trimesh")
    mesh = trimesh.load(path)
    assert len(mesh.faces) > 500 and mesh.area == pytest.approx(4 * np.pi * 0.16, rel=0.1)


def test_points_in_one_place_make_no_mesh():
    for method in METHODS:
        with pytest.raises(DataError, match="expected"):
            shape_mesh(np.ones((50, 3)), method)


def test_few_points_make_no_mesh(tmp_path):
    with pytest.raises(DataError, match="expected more than 16 points"):
        write_shape_mesh(tmp_path / "a.stl", ball(10), "poisson")
    assert not list(tmp_path.iterdir())
