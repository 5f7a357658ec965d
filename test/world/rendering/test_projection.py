"""What is rendered lies where the camera model projects it, in both images, whatever the pose."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from recon3d_ros.geometry import Sample, StereoRig
from recon3d_ros.world import render_stereo
from recon3d_ros.world.rendering.render import build_lighting
from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.scene import Light, Material, SceneBuilder, rotation_between

DARK = Light(
    (0.0, 2.0, 3.0), (2.0, 0.0, 0.0), 1.0, key_colour=(0, 0, 0), ambient=(0, 0, 0), sky_low=(0, 0, 0)
)
GLOWING = Material(emission=0.5)
BLACK_SKY = {"sky_high": (0.0, 0.0, 0.0), "cloudiness": 0.0}


def scene_of(add):
    b = SceneBuilder()
    add(b)
    light = Light(**{**vars(DARK), **BLACK_SKY})
    return b.build(light)


def project(
    points: np.ndarray, pose: np.ndarray, rig: StereoRig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns in the left and in the right image, and depths, of (N, 3) world points."""
    x, _, z = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    return rig.left.fx * x / z + rig.left.cx, rig.right.fx * (x - rig.baseline_m) / z + rig.right.cx, z


POSES = [
    look_at(np.zeros(3), np.array([1.0, 0.0, 0.0])),
    look_at(np.array([0.3, -0.4, 0.2]), np.array([3.0, 0.1, -0.2]), roll=0.2),
    look_at(np.array([-0.5, 1.2, 0.5]), np.array([3.0, -0.2, 0.0]), roll=-0.4),
]


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("doffs_px", [0.0, 3.5])
def test_the_disparity_of_a_plane_is_that_of_its_projected_points(pose: np.ndarray, doffs_px: float) -> None:
    rig = StereoRig.simple(73, 50, 61.0, 0.15, cx=33.2, cy=27.1, doffs_px=doffs_px)
    normal, at = np.array([-1.0, 0.3, -0.2]), np.array([3.0, 0.0, 0.0])
    scene = scene_of(lambda b: b.patch(at, rotation_between(normal), (50, 50), GLOWING))
    sample = render_stereo(scene, rig, pose)
    v, u = np.mgrid[: rig.left.height, : rig.left.width]
    directions = np.stack(
        [(u - rig.left.cx) / rig.left.fx, (v - rig.left.cy) / rig.left.fy, np.ones(u.shape)], -1
    )
    world = directions @ pose[:3, :3].T
    depth = ((at - pose[:3, 3]) @ normal) / (world @ normal)  # where each ray meets the plane
    points = pose[:3, 3] + world * depth[..., None]
    left, right, z = project(points.reshape(-1, 3), pose, rig)
    np.testing.assert_allclose(left, u.ravel(), atol=1e-6)
    np.testing.assert_allclose(sample.disparity.ravel(), left - right, atol=2e-4)
    np.testing.assert_allclose(sample.depth.ravel(), z, rtol=1e-5)


def bright(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    assert sample.frame.right is not None
    return sample.frame.image.max(2) > 100, sample.frame.right.max(2) > 100


def test_a_box_is_seen_where_its_corners_are_projected() -> None:
    rig = StereoRig.simple(160, 90, 100.0, 0.25, cx=80.3, cy=44.6)
    pose = look_at(np.array([0.0, 0.05, 0.1]), np.array([2.0, 0.05, 0.1]))  # straight ahead along x
    scene = scene_of(lambda b: b.box((2.0, 0.1, 0.0), (0.4, 0.5, 0.3), GLOWING))
    left, right = bright(render_stereo(scene, rig, pose, gain=1.0))
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = np.array([2.0, 0.1, 0.0]) + signs * [0.2, 0.25, 0.15]
    at_left, at_right, _ = project(corners, pose, rig)
    for seen, at in ((left, at_left), (right, at_right)):
        columns = np.flatnonzero(seen.any(0))
        # Tent blending reaches half a pixel beyond the outline, and brightness is its root.
        assert columns[0] == pytest.approx(at.min() + 0.5, abs=1.01)
        assert columns[-1] == pytest.approx(at.max() - 0.5, abs=1.01)
    # The near face at 1.8 m hides the rest: its edge moves by its own disparity.
    shift = np.flatnonzero(left.any(0))[0] - np.flatnonzero(right.any(0))[0]
    assert shift == pytest.approx(100 * 0.25 / 1.8, abs=1.01)


def test_a_whole_pixel_of_disparity_moves_the_image_by_a_pixel_exactly() -> None:
    """A wall of texture in parallel to the image: the right image is the left one, six columns on."""
    rig = StereoRig.simple(64, 40, 48.0, 0.25, cx=31.5, cy=19.5)
    wall = Material(texture=20, emission=1.0)
    scene = scene_of(lambda b: b.patch((2.0, 0, 0), rotation_between(np.array([-1.0, 0, 0])), (9, 9), wall))
    sample = render_stereo(scene, rig, POSES[0], gain=1.0, lighting=build_lighting(scene, smooth=True))
    assert sample.frame.right is not None
    np.testing.assert_allclose(sample.disparity, 6.0, rtol=1e-6)
    apart = np.abs(sample.frame.image[:, 6:].astype(int) - sample.frame.right[:, :-6])
    # The two views see each point at angles of their own, so by mip levels a little apart.
    assert apart.max() <= 4 and apart.mean() < 1 and sample.frame.image.std() > 5
    moved = np.abs(sample.frame.image[:, 5:-1].astype(int) - sample.frame.right[:, :-6])
    assert moved.mean() > 10 * max(apart.mean(), 0.01)  # a column off is seen


@pytest.mark.slow
def test_another_process_renders_the_same_bytes() -> None:
    """Neither the order of a hash nor what was rendered before decides anything."""
    probe = (
        "import hashlib, sys; from recon3d_ros.world import training_sample, view_sample, WorldCamera\n"
        "def told(s): return hashlib.sha256(s.frame.image.tobytes() + s.depth.tobytes()).hexdigest()\n"
        "print(told(training_sample(3, (41, 30), 32)), told(view_sample(3, (41, 30))), "
        "told(WorldCamera(3, 'outdoor', (40, 30)).sample(5)))\n"
    )
    found = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1 and len(found.pop().split()) == 3
