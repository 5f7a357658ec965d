from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry import Frame, Sample, StereoRig

RIG = StereoRig.simple(5, 4, 10.0, 0.1)
IMAGE = np.zeros((4, 5, 3), np.uint8)
MONO = np.zeros((4, 5), np.uint8)


def test_mono_and_stereo():
    assert not Frame(1, IMAGE, RIG.left).is_stereo
    assert Frame(1, IMAGE, RIG.left, MONO, RIG).is_stereo


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((IMAGE.transpose(1, 0, 2), RIG.left), CalibrationError, "5x4"),
        ((IMAGE, RIG.left, IMAGE[:3], RIG), CalibrationError, "5x4"),
        ((IMAGE, RIG.left, IMAGE, None), ImageError, "together"),
        ((IMAGE, RIG.left, None, RIG), ImageError, "together"),
        ((IMAGE.astype(np.float32), RIG.left), ImageError, "uint8"),
        ((IMAGE, replace(RIG.left, d=np.array([0.1, 0, 0, 0]))), CalibrationError, "rectified"),
        ((IMAGE, RIG.left, IMAGE, RIG.scaled((6, 4))), CalibrationError, "6x4"),
    ],
)
def test_sizes_are_checked_once_here(arguments, error, says):
    with pytest.raises(error, match=says):
        Frame(1, *arguments)


def test_truth_is_on_the_grid_of_the_image():
    frame = Frame(1, IMAGE, RIG.left)
    plane = np.ones((4, 5), np.float32)
    Sample(frame, plane, None, "a")
    with pytest.raises(ImageError, match="disparity"):
        Sample(frame, plane.T, None, "a")
    with pytest.raises(ImageError, match="depth"):
        Sample(frame, None, plane.astype(np.float64), "a")
