"""The mesh that `recon3d reconstruct` writes in any case, into a `RerunLog`, which reads no faces of PLY."""

from __future__ import annotations

from pathlib import Path

from recon3d_ros.mapping.mesh_files import read_mesh
from recon3d_ros.reports.rerun_log import RerunLog

NAME = "mesh.ply"
_READ_BY_VIEWER = ("mesh.glb", "mesh.obj", "mesh.stl")


def mesh_at(path: Path) -> Path | None:
    """The file of a mesh that has to be logged by us: at a path, or in a folder without another format."""
    if path.is_file():
        return path if path.name == NAME else None
    others = any((path / name).is_file() for name in _READ_BY_VIEWER)
    return path / NAME if (path / NAME).is_file() and not others else None


def log_mesh(log: RerunLog, path: Path) -> None:
    """Log the triangles of a file in their colours.

    Raises:
        DataError: The file is damaged.
        MissingDependencyError: trimesh is not installed.
    """
    mesh = read_mesh(path)
    log.triangles(mesh.vertices, mesh.faces, mesh.colours)
