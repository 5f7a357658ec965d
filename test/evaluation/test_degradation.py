"""Degradations do to images what they say, and the truth stays that of the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d_ros.errors import ConfigError
from recon3d_ros.evaluation.degradation import UNCHANGED, Degradation
from recon3d_ros.geometry import Frame, Sample, StereoRig

WIDTH, HEIGHT = 90, 62
RIG = StereoRig.simple(WIDTH, HEIGHT, 80.0, 0.2)


def pair(channels=3):
    """Waves that move 6 px to the left, with a hole in the truth."""
    v, u = np.mgrid[:HEIGHT, : WIDTH + 6].astype(np.float32)
    waves = 120 + 60 * np.sin(u / 5) + 40 * np.cos(v / 7)
    image = (
        waves.astype(np.uint8)
        if channels == 1
        else np.stack([waves, waves / 2, waves / 4], 2).astype(np.uint8)
    )
    disparity = np.full((HEIGHT, WIDTH), 6.0, np.float32)
    disparity[10:20, 10:20] = np.nan
    valid = np.ones((HEIGHT, WIDTH), np.bool_)
    valid[:, :9] = False
    left, right = (np.ascontiguousarray(image[:, part]) for part in (slice(0, WIDTH), slice(6, None)))
    frame = Frame(3, left, RIG.left, right, RIG, "p", "camera", valid)
    return Sample(frame, disparity, RIG.depth_from_disparity(disparity), "p")


@pytest.mark.parametrize("text", ["noise=10", "jpeg=30", "brightness=0.15", "rows=-2", "rows=1.5"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_change_and_the_truth_stays(text, channels):
    sample, degradation = pair(channels), Degradation.parse(text)
    seen = degradation.apply(sample, seed=4)
    assert seen.disparity is sample.disparity and seen.depth is sample.depth
    assert seen.frame.camera == sample.frame.camera and seen.frame.valid is sample.frame.valid
    assert seen.frame.image.dtype == np.uint8 and seen.frame.image.shape == sample.frame.image.shape
    assert (seen.frame.right != sample.frame.right).mean() > 0.3
    assert degradation.label == text.replace("=", " ")


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_pixels_and_colours_where_they_are(channels):
    seen = Degradation("jpeg", 95.0).apply(pair(channels), seed=0)
    for now, before in (
        (seen.frame.image, pair(channels).frame.image),
        (seen.frame.right, pair(channels).frame.right),
    ):
        assert np.abs(now.astype(int) - before).mean() < 4.0


def test_low_light_is_rounded_to_whole_grey_levels():
    seen = Degradation("brightness", 0.15).apply(pair(1), seed=0)
    np.testing.assert_array_equal(seen.frame.image, np.rint(pair(1).frame.image * np.float32(0.15)))


@pytest.mark.parametrize("rows", [2, -2])
def test_rows_move_the_right_image_alone(rows):
    sample = pair()
    seen = Degradation("rows", float(rows)).apply(sample, seed=0)
    assert seen.frame.image is sample.frame.image
    moved, still = (slice(2, None), slice(0, -2)) if rows > 0 else (slice(0, -2), slice(2, None))
    np.testing.assert_array_equal(seen.frame.right[moved], sample.frame.right[still])


def test_smaller_images_have_their_camera_and_their_truth():
    sample = pair()
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, 40:] = 2
    seen = Degradation("size", 0.5).apply(replace(sample, labels=labels), seed=0)
    assert seen.frame.camera.image_size_wh == (45, 31) and seen.frame.right.shape == (31, 45, 3)
    assert seen.frame.rig.fx == pytest.approx(40.0) and seen.frame.rig.baseline_m == pytest.approx(0.2)
    known = np.isfinite(seen.disparity)
    assert (seen.disparity[known] == 3.0).all() and (~known).sum() == 25
    # Metres are those of before: they follow from the new disparity by the new rig.
    expected = seen.frame.rig.depth_from_disparity(seen.disparity)
    np.testing.assert_allclose(seen.depth, expected, rtol=1e-6)
    assert set(np.unique(seen.labels)) == {0, 2} and (seen.labels[:, 20:] == 2).all()
    assert not seen.frame.valid[:, :5].any() and seen.frame.valid[:, 5:].all()
    assert seen.frame.frame_id == "camera" and seen.frame.stamp_ns == 3


def test_nothing_is_the_sample_itself():
    sample = pair()
    assert Degradation.parse("none") == UNCHANGED and UNCHANGED.apply(sample, seed=0) is sample
    assert UNCHANGED.label == "" and UNCHANGED.noise == 0.0 and Degradation("noise", 5.0).noise == 5.0


@pytest.mark.parametrize(
    "text", ["", "fog=1", "noise", "noise=x", "jpeg=0", "size=1", "rows=0", "brightness=nan"]
)
def test_what_it_is_not_is_refused(text):
    with pytest.raises(ConfigError, match="expected degradations of none, noise=SIGMA"):
        Degradation.parse(text)


def test_what_cannot_be_done_to_a_sample_is_refused():
    sample = pair()
    with pytest.raises(ConfigError, match="expected pairs for rows=2"):
        Degradation("rows", 2.0).apply(replace(sample, frame=sample.frame.single), seed=0)
    with pytest.raises(ConfigError, match="2 pixels or more of 90x62"):
        Degradation("size", 0.01).apply(sample, seed=0)
