"""An exact step: where only one view looks, the two directions disagree."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.geometry.left_right import agreement, exchanged, seen_from_right


def test_twice_exchanged_is_the_pair_itself():
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 255, (2, 31, 47, 3), np.uint8)
    rig = StereoRig.simple(47, 31, 40.0, 0.1, 20.0, 14.0, doffs_px=3.0, fy=41.0)
    valid, right_valid = rng.random((2, 31, 47)) > 0.5
    pair = Frame(4, left, rig.left, right, rig, "name", "camera", valid, right_valid)
    once = exchanged(pair)
    assert (once.image == right[:, ::-1]).all()
    assert (once.right_valid == valid[:, ::-1]).all()
    assert once.rig.doffs_px == 3.0
    assert once.camera.cx == 46 - 17.0
    twice = exchanged(once)
    assert twice.rig == rig
    assert (twice.image == left).all()
    assert (twice.right == right).all()
    assert (twice.valid == valid).all()
    with pytest.raises(ImageError, match="pair"):
        exchanged(Frame(4, left, rig.left))


def test_they_agree_where_both_look():
    """A box of disparity 12 in front of a wall of 4: the 8 columns left of it are hidden from the right."""
    left = np.full((20, 80), 4.0, np.float32)
    left[:, 40:60] = 12.0
    right = np.full((20, 80), 4.0, np.float32)
    right[:, 28:48] = 12.0
    right[3] = np.nan
    right[5] += 0.9
    same = agreement(left, right[:, ::-1], 1.0)
    assert not same[:, :4].any()  # outside of the right view
    assert not same[10, 32:40].any()
    assert same[10, 4:32].all()
    assert same[10, 40:].all()
    assert not same[3].any()
    assert same[5, 4:32].all()
    assert not agreement(left, right[:, ::-1], 0.5)[5].any()
    left[7] = np.nan
    assert not agreement(left, right[:, ::-1], 1.0)[7].any()


def test_the_right_camera_sees_the_nearest():
    disparity = np.array([[np.nan, 0.0, 0.0, 2.0, 9.0]], np.float32)
    assert seen_from_right(disparity).tolist() == [[-np.inf, 2.0, 0.0, -np.inf, -np.inf]]
