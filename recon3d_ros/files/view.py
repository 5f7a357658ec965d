"""Draw a point cloud as a person would look at it, with Open3D and without a screen.

Open3D runs in a process of its own: its renderer writes to stdout as it likes, and without a graphics
driver it ends its process.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError, MissingDependencyError, OutputError
from recon3d_ros.files import require_animations, write_animation, write_image
from recon3d_ros.geometry import Cloud, OrganizedCloud
from recon3d_ros.system import lazy

BACKGROUND_RGB = (52, 56, 64)
# The viewer stands to the left of the camera and above it, by these angles around the middle of the scene.
_YAW_DEG, _PITCH_DEG = 14.0, 9.0
_STEP_BACK = 1.12  # in distances to the middle of the scene
_SIDES_KEPT = 0.7  # of a cloud that is wider than the picture
# A turntable moves the viewer on an ellipse before the scene, to where one sees what the camera did not.
_SWING_YAW_DEG, _SWING_PITCH_DEG = 20.0, 5.0
_TURN_S = 4.0
_TIMEOUT_S = 180


@dataclass(frozen=True)
class Viewpoint:
    """Where the viewer stands, in the optical frame of the cloud.

    Attributes:
        eye: (3,) m.
        target: (3,) m, what is in the middle of the picture.
        fov_deg: Vertical field of view.
        point_px: Size of a point that closes the gaps between neighbours.
    """

    eye: NDArray[np.float64]
    target: NDArray[np.float64]
    fov_deg: float
    point_px: float


def render_cloud(cloud: Cloud, path: Path, size_wh: tuple[int, int] = (960, 720)) -> None:
    """Draw the coloured cloud from slightly above and aside of its camera into an image file.

    Args:
        cloud: What to draw; its invalid points are left out.
        path: Of the PNG (or other image) to write.
        size_wh: Columns and rows of the picture.

    Raises:
        ImageError: The cloud has no valid point.
        MissingDependencyError: Open3D, or the graphics driver it draws with, is not installed.
        OutputError: The picture, or what is handed to the drawing process, cannot be written.
    """
    view = viewpoint(cloud, size_wh)
    write_image(path, _pictures(cloud, size_wh, view, view.eye[None])[0])


def render_turntable(
    cloud: Cloud, path: Path, size_wh: tuple[int, int] = (640, 480), pictures: int = 40
) -> None:
    """Draw the coloured cloud from a viewer that moves around it into an animation that repeats.

    Args:
        cloud: What to draw; its invalid points are left out.
        path: Of the WebP or GIF to write.
        size_wh: Columns and rows of the animation.
        pictures: How many it has.

    Raises:
        ImageError: The cloud has no valid point.
        MissingDependencyError: OpenCV is older than 4.11 and writes no animations; or as `render_cloud`.
        OutputError: As `render_cloud`.
    """
    require_animations()  # before seconds of drawing
    view = viewpoint(cloud, size_wh)
    angles = np.arange(pictures) * (2 * np.pi / pictures)
    eyes = [
        view.target
        + _towards(_SWING_YAW_DEG * np.sin(angle), _PITCH_DEG + _SWING_PITCH_DEG * np.cos(angle))
        * view.target[2]
        * _STEP_BACK
        for angle in angles
    ]
    shown = list(_pictures(cloud, size_wh, view, np.array(eyes)))
    write_animation(path, shown, round(1e3 * _TURN_S / pictures))


def viewpoint(cloud: Cloud, size_wh: tuple[int, int]) -> Viewpoint:
    """Place the viewer so that the scene is seen as in the image, but with its depth.

    Args:
        cloud: With at least one valid point.
        size_wh: Of the picture.

    Raises:
        ImageError: The cloud has no valid point.
    """
    xyz = cloud.points().xyz.astype(np.float64)
    if len(xyz) == 0:
        raise ImageError("expected a cloud with valid points to draw, got none: check depth and its limits")
    # The nearer part of a scene carries its shape; a few far points must not move the viewer away.
    middle_m = np.percentile(xyz[:, 2], 40)
    slopes = xyz[:, :2] / xyz[:, 2:]
    low, high = np.percentile(slopes, (1, 99), axis=0)
    target = np.append((low + high) / 2, 1) * middle_m
    eye = target + _towards(_YAW_DEG, _PITCH_DEG) * middle_m * _STEP_BACK
    width, height = size_wh
    half_wh = np.maximum((high - low) / 2, 0.05)  # tangents of half the cloud's field of view
    # A panorama is cut at its sides rather than shown as a thin strip.
    tangent = max(half_wh[1], _SIDES_KEPT * half_wh[0] * height / width)
    # Points of a list are as far apart as if they stood in a square.
    columns = cloud.shape_hw[1] if isinstance(cloud, OrganizedCloud) else np.sqrt(len(xyz))
    pitch_px = (width / columns) * (half_wh[0] * height / width / tangent)
    return Viewpoint(eye, target, float(2 * np.rad2deg(np.arctan(tangent))), float(max(2.0, 2.4 * pitch_px)))


def _towards(yaw_deg: float, pitch_deg: float) -> NDArray[np.float64]:
    """(3,) unit vector from the middle of the scene to the viewer, left of the camera and above it."""
    yaw, pitch = np.deg2rad(yaw_deg), np.deg2rad(pitch_deg)
    return np.array([-np.sin(yaw) * np.cos(pitch), -np.sin(pitch), -np.cos(yaw) * np.cos(pitch)])


def _pictures(
    cloud: Cloud, size_wh: tuple[int, int], view: Viewpoint, eyes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """(N, rows, columns, 3) RGB: what is seen from each of (N, 3) m, all else being as in the viewpoint."""
    if importlib.util.find_spec("open3d") is None:
        lazy.require("open3d", extra="view")
    points = cloud.points()
    try:
        with tempfile.TemporaryDirectory(prefix="recon3d-view-") as folder:
            scene, picture = Path(folder, "scene.npz"), Path(folder, "picture.npy")
            shown = {**vars(view), "eyes": eyes}
            np.savez(scene, xyz=points.xyz, rgb=points.rgb, size_wh=size_wh, **shown)
            _run_child([sys.executable, "-m", "recon3d_ros.files.view", str(scene), str(picture)], picture)
            pixels: NDArray[np.uint8] = np.load(picture)
            return pixels
    except (OSError, ValueError, EOFError) as exc:  # the last two: a picture that the child could not finish
        raise OutputError(
            f"cannot draw by way of a temporary folder ({exc}): free its disk, or set TMPDIR to another"
        ) from exc


def _run_child(command: list[str], picture: Path) -> None:
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise MissingDependencyError(
            f"Open3D did not draw within {_TIMEOUT_S} s: check the graphics driver, or leave the picture out"
        ) from exc
    if not picture.is_file():
        last = (child.stderr.strip() or child.stdout.strip() or "no output").splitlines()[-1]
        raise MissingDependencyError(
            f"Open3D could not draw (exit code {child.returncode}: {last}): install a graphics driver, "
            "on Debian and Ubuntu without a GPU apt install libvulkan1 mesa-vulkan-drivers"
        )


def _draw(scene_file: str, picture_file: str) -> None:
    """Draw in this process; runs in the child."""
    open3d = lazy.require("open3d", extra="view")
    scene = np.load(scene_file)
    points = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(scene["xyz"].astype(np.float64)))
    points.colors = open3d.utility.Vector3dVector(scene["rgb"] / 255.0)
    material = open3d.visualization.rendering.MaterialRecord()
    material.shader = "defaultUnlit"
    material.point_size = float(scene["point_px"])
    renderer = open3d.visualization.rendering.OffscreenRenderer(*(int(side) for side in scene["size_wh"]))
    renderer.scene.view.set_post_processing(False)  # its tone mapping would change the colours
    # Without it the background, unlike the points, comes out as linear light: undo that.
    renderer.scene.set_background([*((channel / 255) ** (1 / 2.2) for channel in BACKGROUND_RGB), 1.0])
    renderer.scene.add_geometry("cloud", points, material)
    pictures = []
    for eye in scene["eyes"]:
        renderer.setup_camera(float(scene["fov_deg"]), scene["target"], eye, [0.0, -1.0, 0.0])
        pictures.append(np.asarray(renderer.render_to_image()))
    np.save(picture_file, np.stack(pictures))


if __name__ == "__main__":
    _draw(*sys.argv[1:])
