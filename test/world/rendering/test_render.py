"""Depth against closed forms, the pair against itself, with every odd shape of image and rig."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros.geometry import StereoRig
from recon3d_ros.world import Scene, random_scene, render_stereo, training_sample
from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.scene import CUTOUT, ELLIPSE, Light, Material, SceneBuilder, rotation_between

LIGHT = Light((0.0, 2.0, 3.0), (2.0, 0.0, 0.0), 1.0)
AHEAD = look_at(np.zeros(3), np.array([1.0, 0.0, 0.0]))  # camera x = -y, y = -z, z = x of the world
RIG = StereoRig.simple(61, 40, 55.0, 0.2, cx=27.3, cy=21.8)
PLAIN = Material()


def rays(rig: StereoRig) -> tuple[np.ndarray, np.ndarray]:
    width, height = rig.left.image_size_wh
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    return (u - rig.left.cx) / rig.left.fx, (v - rig.left.cy) / rig.left.fy


def built(fill) -> Scene:
    builder = SceneBuilder()
    fill(builder)
    return builder.build(LIGHT)


def test_depth_of_a_tilted_plane_is_exact() -> None:
    normal = np.array([-1.0, 0.4, 0.3])
    scene = built(lambda b: b.patch((3, 0, 0), rotation_between(normal), (50, 50), PLAIN))
    x, y = rays(RIG)
    world = np.stack([np.ones_like(x), -x, -y])  # ray directions of depth 1
    expected = 3 * normal[0] / np.tensordot(normal, world, 1)
    sample = render_stereo(scene, RIG, AHEAD)
    np.testing.assert_allclose(sample.depth, expected, rtol=1e-5)
    np.testing.assert_allclose(sample.disparity, 55 * 0.2 / expected, rtol=1e-5)


def test_depth_of_a_sphere_is_exact_and_the_rest_is_sky() -> None:
    centre, radius = np.array([2.5, 0.2, -0.1]), 0.7
    scene = built(lambda b: b.ellipsoid(centre, (radius,) * 3, PLAIN))
    x, y = rays(RIG)
    d = np.stack([np.ones_like(x), -x, -y])
    b, a, c = np.tensordot(centre, d, 1), (d * d).sum(0), centre @ centre - radius**2
    disc = b * b - a * c
    sample = render_stereo(scene, RIG, AHEAD)
    sure = np.abs(disc) > 1e-3  # not on the very outline
    seen = sure & (disc > 0)
    assert seen.sum() > 100 and (sure & ~seen).sum() > 100
    expected = (b - np.sqrt(np.maximum(disc, 0))) / a
    np.testing.assert_allclose(sample.depth[seen], expected[seen], rtol=2e-5)
    assert np.isposinf(sample.depth[sure & ~seen]).all()
    assert (sample.disparity[sure & ~seen] == 0).all()


@pytest.mark.parametrize("axis", ["upright", "lying"])
def test_depth_of_a_cylinder_is_exact(axis: str) -> None:
    ends = ((2, 0, -9), (2, 0, 9)) if axis == "upright" else ((2, -9, 0), (2, 9, 0))
    scene = built(lambda b: b.cylinder(*ends, 0.5, PLAIN))
    x, y = rays(RIG)
    t = x if axis == "upright" else y
    disc = 4 - (1 + t * t) * (4 - 0.25)
    seen = disc > 1e-3
    expected = (2 - np.sqrt(np.where(seen, disc, 0))) / (1 + t * t)
    depth = render_stereo(scene, RIG, AHEAD).depth
    np.testing.assert_allclose(depth[seen], expected[seen], rtol=2e-5)
    assert np.isinf(depth[disc < -1e-3]).all()


def test_a_box_hides_what_is_behind_it_and_shows_its_near_face() -> None:
    def fill(b: SceneBuilder) -> None:
        b.box((3, 0, 0), (1, 1, 1), PLAIN)
        b.ellipsoid((3, 0, 0), (0.3, 0.3, 0.3), PLAIN)  # inside

    depth = render_stereo(built(fill), RIG, AHEAD).depth
    assert depth[22, 27] == pytest.approx(2.5, rel=1e-5)
    assert np.isinf(depth[0, 0])


def test_ellipse_and_cone_have_their_outlines() -> None:
    facing = rotation_between(np.array([-1.0, 0, 0]))
    x, y = rays(RIG)
    disc = np.isfinite(
        render_stereo(
            built(lambda b: b.patch((2, 0, 0), facing, (0.6, 0.6), PLAIN, ELLIPSE)), RIG, AHEAD
        ).depth
    )
    np.testing.assert_array_equal(disc, np.hypot(x, y) * 2 < 0.6)
    cone = np.isfinite(render_stereo(built(lambda b: b.cone((3, 0, 0.5), 1.0, 0.4, PLAIN)), RIG, AHEAD).depth)
    widths = cone.sum(1)
    rows = np.flatnonzero(widths)[:-1]  # the last row is the round rim of the base
    assert (np.diff(widths[rows]) >= 0).all() and widths[rows[-1]] > widths[rows[0]] + 10


def test_a_cut_out_has_holes_that_show_what_is_behind() -> None:
    from recon3d_ros.world.textures.atlas import texture_atlas

    leaves = Material(texture=texture_atlas().names["foliage"][1], tile_m=None)

    def fill(b: SceneBuilder) -> None:
        b.patch((2, 0, 0), rotation_between(np.array([-1.0, 0, 0])), (0.9, 0.9), leaves, CUTOUT)
        b.patch((4, 0, 0), rotation_between(np.array([-1.0, 0, 0])), (9, 9), PLAIN)

    depth = render_stereo(built(fill), RIG, AHEAD).depth
    near = np.isclose(depth, 2, rtol=1e-4)
    assert np.isclose(depth[~near], 4, rtol=1e-4).all()
    assert 0.05 < near.mean() < 0.6


def warp_errors(sample) -> tuple[np.ndarray, np.ndarray]:
    """Return |left - right sampled at u - d| and where the left pixel is visible in the right image."""
    disparity, rig = sample.disparity, sample.frame.rig
    height, width = disparity.shape
    columns = np.arange(width) - disparity
    rows = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, 1)
    warped = cv2.remap(sample.frame.right, columns.astype(np.float32), rows, cv2.INTER_LINEAR)
    # A pixel is occluded where something nearer lands on the same right column.
    nearest = np.full((height, width + 2), -np.inf)
    target = np.clip(np.rint(columns).astype(int), -1, width) + 1
    for shift in (-1, 0, 1):
        np.maximum.at(nearest, (rows.astype(int), np.clip(target + shift, 0, width + 1)), disparity)
    visible = (disparity >= nearest[rows.astype(int), target] - 1) & (columns > 0) & (columns < width - 1)
    assert rig is not None
    return np.abs(warped.astype(float) - sample.frame.image).mean(2), visible


@pytest.mark.parametrize("seed", range(6))
def test_the_right_image_warped_by_the_true_disparity_is_the_left_image(seed: int) -> None:
    sample = training_sample(seed, (161, 107), 40)
    error, visible = warp_errors(sample)
    assert visible.mean() > 0.3
    assert np.mean(error[visible]) < 5.0
    assert np.median(error[visible]) < 1.5
    # The test can fail: half a pixel off is clearly worse.
    moved = type(sample)(sample.frame, sample.disparity + np.float32(0.7), sample.depth, "moved")
    worse, _ = warp_errors(moved)
    assert np.mean(worse[visible]) > 1.15 * np.mean(error[visible])


def test_unequal_principal_points_shift_the_right_image_alone() -> None:
    scene = random_scene(np.random.default_rng(3), "indoor")
    pose = look_at(np.array([0.0, 0.0, 1.2]), np.array([2.0, 0.3, 1.0]))
    equal = StereoRig.simple(80, 51, 60.0, 0.1)
    unequal = StereoRig.simple(80, 51, 60.0, 0.1, doffs_px=4.0)
    a, b = render_stereo(scene, equal, pose, gain=1.0), render_stereo(scene, unequal, pose, gain=1.0)
    np.testing.assert_array_equal(a.frame.image, b.frame.image)
    np.testing.assert_array_equal(a.depth, b.depth)
    np.testing.assert_allclose(b.disparity, a.disparity + 4.0, atol=1e-4)
    apart = np.abs(a.frame.right[:, 4:].astype(int) - b.frame.right[:, :-4])
    assert np.mean(apart) < 0.5  # the same rays up to rounding


@pytest.mark.parametrize("size_wh", [(33, 20), (20, 33), (64, 48)])
def test_sizes_dtypes_and_the_sky_rule(size_wh: tuple[int, int]) -> None:
    scene = random_scene(np.random.default_rng(1), "outdoor")
    rig = StereoRig.simple(*size_wh, 0.7 * size_wh[0], 0.5)
    sample = render_stereo(scene, rig, look_at(np.array([0, 0, 1.5]), np.array([9.0, 0, 2.5])))
    shape = size_wh[::-1]
    assert sample.frame.image.shape == sample.frame.right.shape == (*shape, 3)
    assert sample.frame.image.dtype == np.uint8
    assert sample.depth.shape == sample.disparity.shape == shape
    assert sample.depth.dtype == sample.disparity.dtype == np.float32
    assert (sample.depth > 0).all() and not np.isnan(sample.disparity).any()
    sky = np.isinf(sample.depth)
    assert sky.any() and (sample.disparity[sky] == 0).all() and (sample.disparity[~sky] > 0).all()


def test_shadows_darken_the_floor_under_an_object() -> None:
    floor = Material(texture=0, low=(0.6,) * 3, high=(0.6,) * 3)
    light = Light((3.0, 0.0, 4.0), (3.0, 0.0, 0.0), 0.8, ambient=(0.2, 0.2, 0.2))

    def scene(with_ball: bool) -> Scene:
        b = SceneBuilder()
        b.patch((3, 0, 0), np.eye(3), (3, 3), floor)
        if with_ball:
            b.ellipsoid((3, 0, 1.5), (0.5, 0.5, 0.3), floor)
        return b.build(light)

    pose = look_at(np.array([0.0, 0.0, 1.0]), np.array([3.0, 0, 0.2]))
    without, shaded = (render_stereo(scene(k), RIG, pose, gain=1.0) for k in (False, True))
    spot = np.rint(RIG.left.k @ (pose[:3, :3].T @ (np.array([3.0, 0, 0]) - pose[:3, 3]))[:, None]).ravel()
    u, v = (spot[:2] / (pose[:3, :3].T @ (np.array([3.0, 0, 0]) - pose[:3, 3]))[2]).astype(int)
    assert np.isclose(without.depth[v, u], shaded.depth[v, u])
    assert shaded.frame.image[v, u].mean() < 0.8 * without.frame.image[v, u].mean()


def test_what_a_polished_floor_mirrors_moves_between_the_views_and_leaves_its_depth() -> None:
    from recon3d_ros.world.textures.atlas import texture_atlas

    room = np.array([[-1.0, -3.0, -1.0], [8.0, 3.0, 2.0]])
    picture = texture_atlas().names["picture"][0]
    light = Light((3.0, 0.0, 1.9), (3.0, 0.0, -1.0), 1.0, room=room, mirrored=picture)

    def pair(mirror: float):
        b = SceneBuilder()
        b.patch((3, 0, -1), np.eye(3), (5, 5), Material(low=(0.5,) * 3, high=(0.5,) * 3, mirror=mirror))
        return render_stereo(b.build(light), RIG, AHEAD, gain=1.0)

    dull, polished = pair(0.0), pair(0.8)
    np.testing.assert_array_equal(dull.depth, polished.depth)
    floor = np.isfinite(dull.depth)
    errors = []
    for sample in (dull, polished):
        error, visible = warp_errors(sample)
        errors.append(error[visible & floor].mean())
    assert errors[1] > 2 * errors[0] + 1
