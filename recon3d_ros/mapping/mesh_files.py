"""Meshes as PLY, OBJ, GLB and STL files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recon3d_ros.errors import DataError, OutputError
from recon3d_ros.files import write_atomically
from recon3d_ros.mapping.surface import Mesh
from recon3d_ros.system import lazy

MESH_SUFFIXES = (".ply", ".obj", ".glb", ".stl")
_VERTEX = [("xyz", "<f4", 3), ("rgb", "u1", 3)]
_FACE = [("count", "u1"), ("corners", "<i4", 3)]


def require_formats() -> Any:
    """The library of all formats but PLY; asked for before hours of fusion, too.

    Raises:
        MissingDependencyError: trimesh is not installed.
    """
    return lazy.require("trimesh", extra="mapping")


def write_mesh(path: Path | str, mesh: Mesh, scale: float = 1.0) -> None:
    """Write a mesh; the ending of the name is the format. Colours are in PLY, OBJ and GLB.

    Args:
        path: Ends with one of `MESH_SUFFIXES`.
        mesh: Vertices in m.
        scale: Of the coordinates in the file, e.g. 1000 for millimetres.

    Raises:
        OutputError: Another ending, or it cannot be written.
        MissingDependencyError: Not PLY, and trimesh is not installed.
    """
    path = Path(path)
    if path.suffix not in MESH_SUFFIXES:
        raise OutputError(
            f"expected a mesh file that ends with {', '.join(MESH_SUFFIXES)}, got {path.name}: rename it"
        )
    vertices = mesh.vertices * np.float32(scale)
    if path.suffix == ".ply":
        write_atomically(path, _header(mesh), _rows(vertices, mesh), _triangles(mesh))
        return
    trimesh = require_formats()
    model = trimesh.Trimesh(vertices, mesh.faces, vertex_colors=mesh.colours, process=False)
    data = model.export(file_type=path.suffix[1:])
    write_atomically(path, data.encode() if isinstance(data, str) else bytes(data))


def read_mesh(path: Path | str) -> Mesh:
    """Read a mesh, or a cloud as a mesh without faces, of any format that trimesh knows.

    Raises:
        DataError: It cannot be read, or has no points.
        MissingDependencyError: trimesh is not installed.
    """
    trimesh = require_formats()
    try:
        loaded = trimesh.load(str(path), process=False)
        if isinstance(loaded, trimesh.Scene):
            loaded = loaded.to_geometry()
        vertices = np.asarray(loaded.vertices, np.float32)
        faces = np.asarray(getattr(loaded, "faces", np.empty((0, 3))), np.int32)
    except Exception as exc:  # of trimesh's many readers: whatever damaged bytes lead to
        said = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise DataError(
            f"expected a mesh or a cloud at {path}, reading failed ({said:.200}): check it"
        ) from exc
    if not len(vertices) or not np.isfinite(vertices).all():
        raise DataError(f"expected finite points in {path}, found none or others: check the file")
    colours = np.full((len(vertices), 3), 160, np.uint8)
    visual = getattr(getattr(loaded, "visual", None), "vertex_colors", None)
    if visual is not None and np.shape(visual)[:1] == (len(vertices),):
        colours = np.asarray(visual)[:, :3].astype(np.uint8)
    return Mesh(vertices, faces, colours)


def _header(mesh: Mesh) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(mesh.vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"property uchar {colour}" for colour in ("red", "green", "blue")]
    lines += [f"element face {len(mesh.faces)}", "property list uchar int vertex_indices", "end_header"]
    return ("\n".join(lines) + "\n").encode()


def _rows(vertices: Any, mesh: Mesh) -> bytes:
    rows = np.empty(len(vertices), _VERTEX)
    rows["xyz"], rows["rgb"] = vertices, mesh.colours
    return rows.tobytes()


def _triangles(mesh: Mesh) -> bytes:
    rows = np.empty(len(mesh.faces), _FACE)
    rows["count"], rows["corners"] = 3, mesh.faces
    return rows.tobytes()
