"""A room drawn from a path of one camera: its shipped stereo network measures it from pairs of views."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np
import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.errors import ConfigError, NoParallaxError, ParallaxError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.motion import MotionStereo, View
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.geometry.motion_pair import MotionPair
from recon3d_ros.world.rendering.render import build_lighting, render_stereo
from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.showcase import living_room

SIZE_WH = (288, 224)
RIG = StereoRig.simple(*SIZE_WH, 0.82 * SIZE_WH[0], 0.1)


@pytest.fixture(scope="module")
def estimator():
    with Estimator.open(ModelConfig(model="recon3d_stereo_light", backend="onnxruntime")) as opened:
        yield opened


@pytest.fixture(scope="module")
def room():
    """From a shift in the camera's own frame, m, to what is seen there and the pose."""
    place = living_room(3)
    lighting = build_lighting(place.scene)
    start = look_at(place.path.centre, place.path.target)

    def seen(*shift_m: float):
        pose = start.copy()
        pose[:3, 3] += start[:3, :3] @ np.array(shift_m)
        sample = render_stereo(place.scene, RIG, pose, gain=place.gain, lighting=lighting)
        return Frame(0, sample.frame.image, RIG.left), sample.depth, pose

    return seen


@pytest.mark.parametrize("shift", [(0.4, 0.0, 0.0), (-0.4, 0.03, 0.1), (0.05, 0.35, 0.0), (0.3, -0.2, 0.3)])
def test_depth_is_that_of_the_room(estimator, room, shift):
    motion = MotionStereo(estimator, MotionConfig(motion_parallax_px=30.0))
    before, _, there = room(*shift)
    frame, exact, here = room(0.0, 0.0, 0.0)
    with pytest.raises(ParallaxError, match="first"):
        motion.estimate(before, there)
    found = motion.estimate(frame, here)
    assert found.camera == frame.camera
    assert (found.valid == np.isfinite(found.depth)).all()
    assert (found.confidence[~found.valid] == 0).all()
    sure = found.valid & (found.confidence > 0.9)
    error = np.abs(found.depth[sure] / exact[sure] - 1)
    assert sure.mean() > 0.25
    assert np.median(error) < 0.03
    assert (error > 0.1).mean() < (0.05 if abs(shift[2]) < 0.2 else 0.08)  # forward, too: stretched views


def test_what_only_one_view_shows_is_unknown(estimator, room):
    """The other view stands far to the right: it cannot show the left edge of the image."""
    motion = MotionStereo(estimator, MotionConfig(motion_parallax_px=40.0))
    views = [room(0.35, 0.0, 0.0), room(0.0, 0.0, 0.0)]
    with pytest.raises(ParallaxError):
        motion.estimate(views[0][0], views[0][2])
    frame, exact, pose = views[1]
    found = motion.estimate(frame, pose)
    u = np.arange(SIZE_WH[0])[None] - RIG.fx * 0.35 / exact
    assert found.valid[u < -2].mean() < 0.03
    assert found.valid[u > 10].mean() > 0.3


def test_of_earlier_views_the_one_with_the_parallax_that_is_wanted_is_taken(estimator, room, monkeypatch):
    taken = []
    between = MotionPair.between

    def noted(camera, T_other_view):
        taken.append(float(np.linalg.norm(T_other_view[:3, 3])))
        return between(camera, T_other_view)

    monkeypatch.setattr(MotionPair, "between", noted)
    image, _, pose = room(0.0, 0.0, 0.0)
    for wanted_px, expected_m in ((10.0, 0.12), (40.0, 0.48)):
        motion = MotionStereo(estimator, MotionConfig(motion_parallax_px=wanted_px, motion_depth_m=2.5))
        for shift_m in (0.9, 0.48, 0.24, 0.12, 0.03):
            place = pose.copy()
            place[:3, 3] += pose[:3, 0] * shift_m
            motion._keep(View(image, place))
        motion.estimate(image, pose)
        assert taken[-1] == pytest.approx(expected_m)


@pytest.mark.parametrize(
    ("shift", "reason"),
    [((0.0, 0.0, 0.4), "along its axis"), ((0.004, 0.0, 0.0), "far enough"), ((0.0, 0.0, 0.0), "far enough")],
)
def test_motion_without_parallax_is_refused(estimator, room, shift, reason):
    motion = MotionStereo(estimator)
    image, _, here = room(0.0, 0.0, 0.0)
    there = here.copy()
    there[:3, 3] += here[:3, :3] @ np.array(shift)
    with pytest.raises(ParallaxError, match="first view"):
        motion.estimate(image, there)
    with pytest.raises(ParallaxError, match=reason):
        motion.estimate(image, here)
    turned = here @ np.diag([-1.0, 1.0, -1.0, 1.0])
    turned[:3, 3] += 0.3
    with pytest.raises(ParallaxError, match="turned away"):
        motion.estimate(image, turned)


@pytest.mark.parametrize(
    "turn", [cv2.Rodrigues(np.array(axis))[0] for axis in ((0.06, 0.0, 0.0), (0.0, 0.0, 0.1))]
)
def test_poses_that_do_not_fit_the_images_are_refused(estimator, room, turn):
    motion = MotionStereo(estimator)
    (before, _, there), (image, _, here) = room(0.4, 0.0, 0.0), room(0.0, 0.0, 0.0)
    there = there.copy()
    there[:3, :3] = there[:3, :3] @ turn
    with pytest.raises(ParallaxError, match="first view"):
        motion.estimate(before, there)
    with pytest.raises(ParallaxError, match="fit the poses"):
        motion.estimate(image, here)


def test_a_blank_wall_has_no_depth(estimator):
    """Nothing can be matched: it must not become a wall somewhere."""
    motion = MotionStereo(estimator)
    image = Frame(0, np.full((SIZE_WH[1], SIZE_WH[0], 3), 127, np.uint8), RIG.left)
    there = np.eye(4)
    there[0, 3] = 0.3
    with pytest.raises(ParallaxError):
        motion.estimate(image, there)
    found = motion.estimate(image, np.eye(4))
    assert (found.valid & (found.confidence > 0.5)).mean() < 0.05


def test_a_mono_model_is_refused():
    with Estimator.open(ModelConfig(model="fake_mono")) as mono, pytest.raises(ConfigError, match="stereo"):
        MotionStereo(mono)


@pytest.mark.parametrize("before_m", [0.2, 40.0])
def test_another_scene_than_before_is_measured(estimator, room, before_m):
    """After a wall close by every view seems to have moved too far, after a street every one too little."""
    motion = MotionStereo(estimator, MotionConfig(motion_parallax_px=30.0))
    motion._typical_m = before_m
    seen = []
    for i in range(8):
        frame, exact, pose = room(0.25 * i - 0.8, 0.0, 0.0)
        with suppress(NoParallaxError):
            seen.append(motion.estimate(frame, pose))
    assert len(seen) >= 2
    sure = seen[-1].valid & (seen[-1].confidence > 0.9)
    assert np.median(np.abs(seen[-1].depth[sure] / exact[sure] - 1)) < 0.03


def test_a_shift_that_is_too_small_for_depth_tells_that_the_scene_is_far(estimator, room):
    motion = MotionStereo(estimator, MotionConfig(motion_parallax_px=30.0, motion_min_parallax_px=40.0))
    for i in range(6):
        frame, _, pose = room(0.02 * i, 0.0, 0.0)
        with suppress(NoParallaxError):
            assert motion.estimate(frame, pose).valid.mean() < 0.02
    assert motion._typical_m > 1.5


def test_views_are_forgotten_all_or_the_old_ones_and_options_change(estimator, room):
    motion = MotionStereo(estimator, MotionConfig(motion_parallax_px=30.0))
    frames = [replace(room(0.3 * i, 0.0, 0.0)[0], stamp_ns=i) for i in range(3)]
    poses = [room(0.3 * i, 0.0, 0.0)[2] for i in range(3)]
    with pytest.raises(NoParallaxError, match="first"):
        motion.estimate(frames[0], poses[0])
    assert motion.estimate(frames[1], poses[1]).valid.any()
    motion.forget_before(2)
    with pytest.raises(NoParallaxError, match="first"):
        motion.estimate(frames[2], poses[2])
    motion.configure(MotionConfig(motion_parallax_px=30.0, motion_min_parallax_px=25.0))
    far = room(0.0, 0.0, 0.0)[1]
    found = motion.estimate(frames[0], poses[0])
    assert found.valid.any() and not found.valid[far > 0.6 * RIG.fx * 1.1 / 25].any()
    motion.forget()
    with pytest.raises(NoParallaxError, match="first"):
        motion.estimate(frames[1], poses[1])
