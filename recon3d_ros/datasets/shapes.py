"""Objects in view from files of others: meshes, and renderings of ShapeNet as Choy et al. made them.

`meshes:FOLDER` renders every mesh below a folder with our renderer. `shapenet:FOLDER` reads what trained
3D-R2N2 (Choy et al., ECCV 2016): `ShapeNetRendering/SYNSET/MODEL/rendering/` with `renderings.txt`, one image
of 137x137 px with alpha a line, and `rendering_metadata.txt`, azimuth, elevation, roll (degrees), distance
and angle of view a line; beside it `ShapeNetCore.v1/SYNSET/MODEL/model.obj`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.errors import DataError
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.geometry.object_in_view import ObjectInView, visible_points
from recon3d_ros.system import lazy
from recon3d_ros.world.meshes import mesh_builder, visible_depth
from recon3d_ros.world.objects import PLAIN_LIGHT, Shape, view_of
from recon3d_ros.world.scenes.indoor import look_at

MESHES, SHAPENET = "meshes:", "shapenet:"
MESH_ENDINGS = (".obj", ".off", ".glb", ".gltf", ".ply", ".stl")
# Formats in which y points up; z does in the others.
_Y_UP = (".obj", ".off", ".glb", ".gltf")
VIEWS_PER_MESH = 8
_SURFACE_POINTS, _PARTIAL_POINTS = 4096, 2048
# The camera of Choy et al. in Blender: a lens of 35 mm before a sensor of 32 mm, 1.75 m times the distance
# that the metadata have away from the middle.
_FOCAL_WIDTHS, _DISTANCE_M = 35.0 / 32.0, 1.75


@dataclass(frozen=True)
class ShapeSource:
    """Views of objects, and the number of the shape that each shows: views of one follow each other."""

    views: Sequence[ObjectInView]
    shapes: Sequence[int]


def is_shape_source(name: str) -> bool:
    """Whether a name is one of `open_shapes`."""
    return name.startswith((MESHES, SHAPENET))


def open_shapes(name: str, size_wh: tuple[int, int]) -> ShapeSource:
    """The objects of `meshes:FOLDER` or `shapenet:FOLDER`, read and rendered when asked for.

    Args:
        name: Of the source.
        size_wh: Of rendered images, px.

    Raises:
        DataError: There is nothing of the kind in the folder.
        MissingDependencyError: trimesh is not installed.
    """
    lazy.require("trimesh", extra="mapping")
    folder = Path(name.partition(":")[2]).expanduser()
    return _meshes(folder, size_wh) if name.startswith(MESHES) else _renderings(folder)


def _meshes(folder: Path, size_wh: tuple[int, int]) -> ShapeSource:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MESH_ENDINGS)
    if not files:
        raise DataError(
            f"expected meshes ({', '.join(MESH_ENDINGS)}) below {folder}, got none: check the folder"
        )

    def load(index: int) -> ObjectInView:
        path = files[index // VIEWS_PER_MESH]
        vertices, faces, surface = read_mesh(path)
        rng = np.random.default_rng([index, 31])
        shape = Shape(mesh_builder(vertices, faces, rng), surface, path.parent.name)
        shown = view_of(shape, rng, size_wh, f"{path.stem}_{index % VIEWS_PER_MESH}")
        assert shown.sample.depth is not None
        partial = visible_points(
            shown.sample.depth, shown.mask, shown.sample.frame.camera, _PARTIAL_POINTS, rng
        )
        return ObjectInView(
            shown.sample.frame.image, shown.mask, shown.sample.frame.camera, shown.points, partial, shape.kind
        )

    every = range(len(files) * VIEWS_PER_MESH)
    return ShapeSource(LazySequence(every, load), [index // VIEWS_PER_MESH for index in every])


def read_mesh(
    path: Path, standing: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float32]]:
    """The triangles of a mesh file, z up, and points of its surface.

    Args:
        path: Of the file; in .obj, .off, .glb and .gltf y points up.
        standing: Move it up or down onto z = 0.

    Returns:
        (V, 3) vertices, (T, 3) their corners, (4096, 3) float32 points by area.

    Raises:
        DataError: It is no mesh with triangles.
    """
    trimesh: Any = lazy.require("trimesh", extra="mapping")
    try:
        mesh = trimesh.load(path, force="mesh", process=False)
        vertices, faces = np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
        if not len(faces) or not np.isfinite(vertices).all():
            raise ValueError("no triangles, or vertices that are no numbers")
    except Exception as exc:  # trimesh and what it calls raise of every kind
        raise DataError(
            f"expected a mesh of triangles in {path}, got {' '.join(str(exc).split()):.120}: remove the file"
        ) from exc
    if path.suffix.lower() in _Y_UP:
        vertices = vertices[:, [0, 2, 1]] * [1.0, -1.0, 1.0]
    if standing:
        vertices[:, 2] -= vertices[:, 2].min()
    rng = np.random.default_rng(len(faces))
    return vertices, faces, _on_surface(vertices, faces, rng)


def _on_surface(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Points of triangles by area (Osada et al., TOG 2002, eq. 1)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    if not area.sum() > 0:
        raise DataError("expected a mesh with area, got one without: remove the file")
    chosen = rng.choice(len(faces), _SURFACE_POINTS, p=area / area.sum())
    root, share = np.sqrt(rng.random((_SURFACE_POINTS, 1))), rng.random((_SURFACE_POINTS, 1))
    points = (1 - root) * a[chosen] + root * (1 - share) * b[chosen] + root * share * c[chosen]
    return points.astype(np.float32)


@dataclass(frozen=True)
class _Rendering:
    image: Path
    mesh: Path
    view: tuple[float, ...]  # azimuth, elevation, roll (degrees), distance, angle of view


def _renderings(folder: Path) -> ShapeSource:
    found = []
    for listing in sorted(folder.glob("ShapeNetRendering/*/*/rendering/renderings.txt")):
        synset, model = listing.parts[-4:-2]
        mesh = folder / "ShapeNetCore.v1" / synset / model / "model.obj"
        views = _metadata(listing.with_name("rendering_metadata.txt"))
        names = read_bytes(listing).decode("utf-8", "replace").split()
        if len(names) != len(views):
            raise DataError(
                f"expected as many lines in rendering_metadata.txt as images in {listing}, got {len(views)} "
                f"and {len(names)}: unpack the archive again"
            )
        if mesh.is_file():
            found += [_Rendering(listing.with_name(n), mesh, view) for n, view in zip(names, views)]
    if not found:
        raise DataError(
            f"expected ShapeNetRendering/SYNSET/MODEL/rendering and ShapeNetCore.v1/SYNSET/MODEL/model.obj "
            f"in {folder}, got none: unpack both archives there"
        )
    number_of = {mesh: k for k, mesh in enumerate(dict.fromkeys(one.mesh for one in found))}
    every = LazySequence(range(len(found)), lambda index: _rendered(found[index], index))
    return ShapeSource(every, [number_of[one.mesh] for one in found])


def _metadata(path: Path) -> list[tuple[float, ...]]:
    try:
        rows = [tuple(map(float, line.split())) for line in read_bytes(path).decode().splitlines() if line]
        if any(len(row) != 5 for row in rows):
            raise ValueError("a line without five numbers")
    except ValueError as exc:
        raise DataError(
            f"expected five numbers a line in {path}, got {exc}: unpack the archive again"
        ) from exc
    return rows


def _rendered(one: _Rendering, index: int) -> ObjectInView:
    """A rendering with the points of its mesh, as its camera saw them."""
    encoded = cv2.imdecode(np.frombuffer(read_bytes(one.image), np.uint8), cv2.IMREAD_UNCHANGED)
    if encoded is None or encoded.ndim != 3 or encoded.shape[2] != 4:
        raise DataError(f"expected an image with alpha in {one.image}, got another one: unpack it again")
    height, width = encoded.shape[:2]
    mask = encoded[..., 3] > 127
    rgb = np.where(mask[..., None], encoded[..., 2::-1], np.uint8(255))
    focal = _FOCAL_WIDTHS * width
    camera = PinholeCamera.simple(width, height, focal, width / 2 - 0.5, height / 2 - 0.5)
    pose = choy_pose(one.view[0], one.view[1], one.view[3])
    vertices, faces, surface = read_mesh(one.mesh, standing=False)
    rng = np.random.default_rng([index, 37])
    scene = mesh_builder(vertices, faces, rng).build(PLAIN_LIGHT)
    depth = visible_depth(scene, pose, camera.k, (width, height))
    seen = np.isfinite(depth)
    whole = ((surface - pose[:3, 3]) @ pose[:3, :3]).astype(np.float32)
    partial = visible_points(depth, seen, camera, _PARTIAL_POINTS, rng)
    return ObjectInView(rgb, mask, camera, whole, partial, one.mesh.parts[-3])


def choy_pose(azimuth_deg: float, elevation_deg: float, distance: float) -> NDArray[np.float64]:
    """(4, 4) pose of the optical frame of a rendering of Choy et al. in a world with z up, m.

    The camera looks at the origin from (distance * 1.75 m) away; at azimuth 0 from +x, at 90 from -y.
    """
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    way = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            -np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    return look_at(distance * _DISTANCE_M * way, np.zeros(3))
