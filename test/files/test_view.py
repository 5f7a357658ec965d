from __future__ import annotations

import importlib.util
import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import ImageError, MissingDependencyError, OutputError
from recon3d_ros.files import read_image, view
from recon3d_ros.filters import voxel_grid
from recon3d_ros.geometry import PinholeCamera, PointPacker
from recon3d_ros.system.installing import how_to_install

needs_open3d = pytest.mark.skipif(
    importlib.util.find_spec("open3d") is None, reason="open3d is not installed"
)


def wall(depth_m=2.0, width=161, height=119):
    """A wall that is red to the left, green to the right, blue in its lowest rows."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (200, 30, 20)
    image[:, width // 2 :] = (20, 180, 40)
    image[-height // 4 :] = (10, 40, 220)
    depth = np.full((height, width), depth_m, np.float32)
    return PointPacker(PinholeCamera.simple(width, height, 150.0)).pack(depth, image)


@needs_open3d
def test_the_picture_shows_the_cloud_the_right_way_round_in_its_colours(tmp_path):
    try:
        view.render_cloud(wall(), tmp_path / "cloud.png", size_wh=(320, 260))
    except MissingDependencyError as exc:
        pytest.skip(str(exc))
    picture = read_image(tmp_path / "cloud.png")
    assert picture.shape == (260, 320, 3)
    assert picture[110, 100].tolist() == [200, 30, 20]
    assert picture[110, 220].tolist() == [20, 180, 40]
    assert picture[210, 160].tolist() == [10, 40, 220]
    corner = picture[-2, -2].astype(int)
    assert np.abs(corner - view.BACKGROUND_RGB).max() <= 4
    holes = (np.abs(picture.astype(int) - corner).max(axis=2) <= 2)[90:180, 80:240]
    assert not holes.any(), "neighbouring points close up"


@needs_open3d
@pytest.mark.skipif(not hasattr(cv2, "imencodeanimation"), reason="OpenCV is older than 4.11")
def test_a_turntable_shows_the_cloud_from_all_sides_and_repeats(tmp_path):
    try:
        view.render_turntable(wall(), tmp_path / "turn.webp", size_wh=(160, 130), pictures=4)
    except MissingDependencyError as exc:
        pytest.skip(str(exc))
    done, animation = cv2.imreadanimation(str(tmp_path / "turn.webp"))
    assert done and animation.loop_count == 0 and list(animation.durations) == [1000] * 4
    above, right, below, left = (frame[..., :3].astype(int) for frame in animation.frames)
    # on its way the viewer comes nearer to one side, which then fills more of the picture
    reds = [int(np.sum(seen[..., 2] > 120)) for seen in (right, left)]
    assert abs(reds[0] - reds[1]) > 0.1 * max(reds)
    assert np.abs(above - below).mean() > 5


@pytest.mark.skipif(hasattr(cv2, "imencodeanimation"), reason="OpenCV is 4.11 or newer")
def test_an_opencv_without_animations_is_named(tmp_path):
    with pytest.raises(MissingDependencyError, match=r"OpenCV 4\.11 or newer, got 4"):
        view.render_turntable(wall(), tmp_path / "turn.webp")


@needs_open3d
def test_without_a_graphics_driver_it_names_the_packages(tmp_path, monkeypatch):
    for name in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES", "__EGL_VENDOR_LIBRARY_FILENAMES"):
        monkeypatch.setenv(name, str(tmp_path / "absent.json"))
    monkeypatch.setenv("LIBGL_DRIVERS_PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="mesa-vulkan-drivers") as caught:
        view.render_cloud(wall(), tmp_path / "cloud.png")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cloud.png").exists()


def test_without_open3d_it_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(view.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setitem(__import__("sys").modules, "open3d", None)
    with pytest.raises(MissingDependencyError, match=re.escape(how_to_install("view"))):
        view.render_cloud(wall(), tmp_path / "cloud.png")


@needs_open3d
def test_a_temporary_folder_that_cannot_be_used_is_an_output_error(tmp_path, monkeypatch):
    monkeypatch.setattr(view.tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(OutputError, match="temporary folder"):
        view.render_cloud(wall(), tmp_path / "cloud.png")


@needs_open3d
def test_a_picture_that_was_not_finished_is_an_output_error(tmp_path, monkeypatch):
    monkeypatch.setattr(view, "_run_child", lambda command, picture: picture.write_bytes(b"\x93NUMPY"))
    with pytest.raises(OutputError, match="temporary folder"):
        view.render_cloud(wall(), tmp_path / "cloud.png")


def test_a_list_of_points_is_seen_from_where_the_grid_is():
    cloud = wall()
    grid, points = (view.viewpoint(c, (320, 260)) for c in (cloud, cloud.points()))
    np.testing.assert_allclose(points.eye, grid.eye)
    assert points.point_px == pytest.approx(grid.point_px, rel=0.25)  # a 161x119 grid is nearly a square
    assert view.viewpoint(voxel_grid(cloud.points(), 0.2), (320, 260)).point_px > 3 * grid.point_px


def test_nothing_to_draw_is_an_image_error():
    with pytest.raises(ImageError, match="valid points"):
        view.viewpoint(wall(np.nan), (320, 240))


@given(st.floats(0.25, 500), st.integers(20, 200), st.integers(20, 200))
def test_the_viewer_stands_behind_above_and_left_and_sees_the_middle(depth_m, width, height):
    cloud = wall(depth_m, width, height)
    place = view.viewpoint(cloud, (960, 720))
    assert place.eye[2] < place.target[2]
    assert place.eye[1] < place.target[1], "y points down"
    assert place.eye[0] < place.target[0]
    assert 0 < place.fov_deg < 120 and place.point_px >= 2
    # scale of the scene changes nothing
    double = view.viewpoint(wall(2 * depth_m, width, height), (960, 720))
    assert np.allclose(double.eye, 2 * place.eye) and double.fov_deg == pytest.approx(place.fov_deg)


def test_a_few_far_points_do_not_move_the_viewer():
    plain = wall()
    far = wall()
    far.data[:3, :30, :3] *= 100
    for a, b in zip((plain, far), (far, plain), strict=True):
        assert np.allclose(view.viewpoint(a, (960, 720)).eye, view.viewpoint(b, (960, 720)).eye, rtol=0.05)
