"""Meshes in a folder, and a tiny folder laid out as the renderings of ShapeNet by Choy et al. are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.datasets.shapes import (
    VIEWS_PER_MESH,
    choy_pose,
    is_shape_source,
    open_shapes,
    read_mesh,
)
from recon3d_ros.errors import DataError
from recon3d_ros.metrics import nearest_distances

trimesh = pytest.importorskip("trimesh")

SIZE_WH = (97, 71)
# Not the same from any two sides: a tall box with a long low one along -z, y up as ShapeNet has it.
TALL, LOW = ((0.2, 0.5, 0.15), (0.0, 0.05, 0.0)), ((0.1, 0.1, 0.3), (0.05, -0.15, -0.2))


def chair_like() -> trimesh.Trimesh:
    boxes = []
    for extents, middle in (TALL, LOW):
        box = trimesh.creation.box(extents=extents)
        box.apply_translation(middle)
        boxes.append(box)
    return trimesh.util.concatenate(boxes)


def blender_rays(azimuth: float, elevation: float, distance: float) -> np.ndarray:
    """(137, 137) bool: which pixels of Choy's camera meet the boxes, cast by trimesh alone.

    The camera as users of the data set write it: x_camera = C^T (R^T x - d), R of -azimuth, -elevation.
    """
    sa, ca = np.sin(np.radians(-azimuth)), np.cos(np.radians(-azimuth))
    se, ce = np.sin(np.radians(-elevation)), np.cos(np.radians(-elevation))
    to_object = np.array([[ca * ce, -sa, ca * se], [sa * ce, ca, sa * se], [-se, 0, ce]]).T
    to_camera = np.diag([1.0, -1.0, -1.0]) @ np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]).T
    place = to_object.T @ [1.75 * distance, 0, 0]
    v, u = np.indices((137, 137)).reshape(2, -1)
    focal = 35 * 137 / 32
    rays = np.stack([(u + 0.5 - 68.5) / focal, (v + 0.5 - 68.5) / focal, np.ones(u.size)], axis=1)
    ways = rays @ (to_camera @ to_object)
    inside = np.zeros(u.size, bool)
    for extents, middle in (TALL, LOW):
        half, centre = (np.array([a[0], a[2], a[1]]) for a in (np.array(extents) / 2, middle))
        centre = centre * [1, -1, 1]  # Blender's z is up
        with np.errstate(divide="ignore"):
            near, far = (
                np.sort([(centre - s * half - place) / ways for s in (1, -1)], axis=0)[k] for k in (0, 1)
            )
        inside |= near.max(axis=1) < far.min(axis=1)
    return inside.reshape(137, 137)


@pytest.fixture(scope="module")
def shapenet(tmp_path_factory) -> Path:
    """Two models with two renderings each, 137x137 px with alpha."""
    root = tmp_path_factory.mktemp("shapenet")
    views = ((30.0, 25.0, 0.0, 0.8, 25.0), (250.0, 28.0, 0.0, 0.7, 25.0))
    for model in ("a1", "b2"):
        folder = root / "ShapeNetRendering" / "03001627" / model / "rendering"
        folder.mkdir(parents=True)
        (folder / "renderings.txt").write_text("00.png\n01.png\n")
        lines = "\n".join(" ".join(map(str, view)) for view in views) + "\n"
        (folder / "rendering_metadata.txt").write_text(lines)
        for k, (azimuth, elevation, _, distance, _) in enumerate(views):
            seen = blender_rays(azimuth, elevation, distance)
            rgba = np.zeros((137, 137, 4), np.uint8)
            rgba[seen] = (200, 90, 30, 255)
            write_rgba(folder / f"{k:02d}.png", rgba)
        mesh = root / "ShapeNetCore.v1" / "03001627" / model / "model.obj"
        mesh.parent.mkdir(parents=True)
        chair_like().export(mesh)
    return root


def write_rgba(path: Path, rgba: np.ndarray) -> None:
    import cv2

    cv2.imwrite(str(path), rgba[..., [2, 1, 0, 3]])


def test_renderings_and_their_meshes_fit_each_other(shapenet):
    source = open_shapes(f"shapenet:{shapenet}", SIZE_WH)
    assert len(source.views) == 4 and list(source.shapes) == [0, 0, 1, 1]
    for one in source.views:
        assert one.image.shape == (137, 137, 3) and one.kind == "03001627"
        assert (one.image[one.mask] == (200, 90, 30)).all() and (one.image[~one.mask] == 255).all()
        camera, points = one.camera, one.whole
        u = np.rint(points[:, 0] / points[:, 2] * camera.fx + camera.cx).astype(int)
        v = np.rint(points[:, 1] / points[:, 2] * camera.fy + camera.cy).astype(int)
        assert one.mask[v, u].mean() > 0.97  # all points project into the alpha of the image
        shown = np.zeros_like(one.mask)
        shown[v, u] = True
        near = np.lib.stride_tricks.sliding_window_view(np.pad(shown, 2), (5, 5)).any(axis=(2, 3))
        assert near[one.mask].mean() > 0.97  # and cover it
        assert len(one.partial) > 100 and nearest_distances(one.partial, one.whole)[0].max() < 0.06


def test_the_camera_stands_where_the_metadata_say():
    np.testing.assert_allclose(choy_pose(0, 0, 1.0)[:3, 3], [1.75, 0, 0], atol=1e-9)
    np.testing.assert_allclose(choy_pose(90, 0, 0.5)[:3, 3], [0, -0.875, 0], atol=1e-9)
    np.testing.assert_allclose(choy_pose(10, 60, 1.0)[2, 3], 1.75 * np.sin(np.radians(60)))


def test_meshes_are_rendered_with_our_renderer(tmp_path):
    chair_like().export(tmp_path / "y_up.obj")
    chair_like().export(tmp_path / "z_up.stl")
    source = open_shapes(f"meshes:{tmp_path}", SIZE_WH)
    assert len(source.views) == 2 * VIEWS_PER_MESH and source.shapes[VIEWS_PER_MESH] == 1
    one = source.views[0]
    assert one.image.shape == (71, 97, 3) and 0.01 < one.mask.mean() < 0.9
    camera, points = one.camera, one.whole
    u = np.rint(points[:, 0] / points[:, 2] * camera.fx + camera.cx).astype(int)
    v = np.rint(points[:, 1] / points[:, 2] * camera.fy + camera.cy).astype(int)
    assert one.mask[v, u].mean() > 0.95
    assert np.median(nearest_distances(one.partial, one.whole)[0]) < 0.03
    (tall, _, surface), (flat, _, _) = (read_mesh(tmp_path / name) for name in ("y_up.obj", "z_up.stl"))
    assert np.ptp(tall[:, 2]) == pytest.approx(0.5, abs=0.01) and tall[:, 2].min() == flat[:, 2].min() == 0
    assert np.ptp(flat[:, 1]) == pytest.approx(0.5, abs=0.01) and surface.shape == (4096, 3)


def test_what_is_not_there_or_wrong_is_told(tmp_path, shapenet):
    assert is_shape_source("meshes:a") and is_shape_source("shapenet:a") and not is_shape_source("world")
    for name in (f"meshes:{tmp_path}", f"shapenet:{tmp_path}"):
        with pytest.raises(DataError, match="got none"):
            open_shapes(name, SIZE_WH)
    (tmp_path / "broken.obj").write_text("v 0 0 0\n")
    with pytest.raises(DataError, match="expected a mesh of triangles in"):
        open_shapes(f"meshes:{tmp_path}", SIZE_WH).views[0]
    folder = tmp_path / "ShapeNetRendering" / "1" / "2" / "rendering"
    folder.mkdir(parents=True)
    (folder / "renderings.txt").write_text("00.png\n01.png\n")
    (folder / "rendering_metadata.txt").write_text("1 2 3 4 5\n")
    with pytest.raises(DataError, match="got 1 and 2"):
        open_shapes(f"shapenet:{tmp_path}", SIZE_WH)
    (folder / "rendering_metadata.txt").write_text("1 2 3\n4 5 6 7 8\n")
    with pytest.raises(DataError, match="five numbers a line"):
        open_shapes(f"shapenet:{tmp_path}", SIZE_WH)
