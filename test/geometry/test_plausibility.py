"""Unlikely calibrations are named, and likely ones are left alone."""

from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.datasets import DATASETS, WORLDS, open_dataset
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import FrameRectifier, PinholeCamera, StereoRig, stereo_rectified_pair
from recon3d_ros.geometry.plausibility import calibration_doubts, range_doubts, share_beyond

KITTI = {"width": 640, "height": 370, "fx": 707.1, "cx": 301.9, "cy": 183.1}


def rig(baseline_m: float) -> StereoRig:
    return StereoRig.simple(**KITTI, baseline_m=baseline_m)


def camera(**changes: float) -> PinholeCamera:
    return PinholeCamera.simple(**{**KITTI, **changes})


def skewed(px: float) -> PinholeCamera:
    matrix = camera().k.copy()
    matrix[0, 1] = px
    return PinholeCamera(640, 370, matrix)


@pytest.mark.parametrize(
    ("calibration", "says"),
    [
        (rig(537.0), r"baseline of 0\.005 to 3 m, got 537 m: P\[0, 3\] in millimetres\?$"),
        (rig(0.537 / 707.1), r"got 0\.000759 m: P\[0, 3\] = -0\.537 without fx\?$"),
        (rig(12.0), r"got 12 m: P\[0, 3\] in centimetres\?$"),
        (rig(53.7), r"got 53\.7 m: P\[0, 3\] in millimetres or centimetres\?$"),
        (rig(1e6), r"got 1e\+06 m: P\[0, 3\] in another unit than metres\?$"),
        (rig(0.004), "got 0.004 m"),
        (camera(fx=353.5, cx=150.7, cy=91.3), r"principal point .* 640x370 in P, .*0\.48 .*binned\?\)$"),
        (camera(fx=1414.2, cx=604.3, cy=366.7), r"1\.9 times the size \(this one binned\?\)$"),
        (camera(cx=20.0), r"got 20, 183\.1: of another image\?$"),
        (camera(cy=-30.0), "principal point"),
        (camera(fx=4.0), r"focal length of 96 to 5120 px .* got 4 px: in millimetres"),
        (camera(fx=7071.0), "got 7071 px: of another image size"),
        (camera(fy=353.5), "fx and fy of about the same size in P, got 707.1 and 353.5 px"),
        (skewed(5.0), r"P\[0, 1\] = 0 \(no skew\), got 5 px"),
    ],
)
def test_each_unlikely_number_is_one_sentence(calibration: PinholeCamera | StereoRig, says: str) -> None:
    doubts = calibration_doubts(calibration)
    assert any(re.search(says, doubt) for doubt in doubts), doubts
    assert all(doubt.startswith("expected") and ", got " in doubt for doubt in doubts)
    assert len(doubts) <= 2  # fx of another image or unit is far from fy, too


def test_the_raw_k_is_looked_at_as_well_as_p_and_goes_with_every_frame() -> None:
    good = camera()
    binned = np.diag([0.5, 0.5, 1.0]) @ good.k
    raw = PinholeCamera(640, 370, binned, np.array([0.1, 0.0, 0.0, 0.0]), p=good.p)
    (doubt,) = calibration_doubts(raw)
    assert "in K" in doubt and "binned?" in doubt
    assert not calibration_doubts(raw.as_rectified())
    frame = FrameRectifier(raw).frame(np.zeros((370, 640), np.uint8))
    assert frame.doubts == (doubt,)


def test_binning_and_a_region_of_interest_that_are_declared_are_fine() -> None:
    whole = PinholeCamera.simple(1280, 960, 900.0)
    assert not calibration_doubts(replace(whole, binning_x=2, binning_y=2))
    assert not calibration_doubts(replace(whole, binning_x=2, binning_y=2, roi=(100, 60, 1100, 800)))
    undeclared = PinholeCamera(640, 480, whole.k)  # the same binning without a word of it
    assert "this one binned?" in calibration_doubts(undeclared)[0]


@given(
    width=st.integers(64, 4000),
    aspect=st.floats(0.25, 1.8),
    focal=st.floats(0.2, 6.0),
    pixel_aspect=st.floats(0.85, 1.15),
    baseline_m=st.floats(0.005, 3.0),
    centre=st.tuples(st.floats(0.22, 0.78), st.floats(0.31, 0.69)),
    doffs=st.floats(-0.05, 0.05),
)
def test_likely_rigs_pass(
    width: int,
    aspect: float,
    focal: float,
    pixel_aspect: float,
    baseline_m: float,
    centre: tuple[float, float],
    doffs: float,
) -> None:
    height = max(16, round(aspect * width))
    fx = focal * max(width, height)
    left = PinholeCamera.simple(width, height, fx, centre[0] * width, centre[1] * height, fx * pixel_aspect)
    right = left.p.copy()
    right[0, 2] -= doffs * width * (centre[0] > 0.5 or -1) * np.sign(doffs)  # towards the middle
    right[0, 3] = -fx * baseline_m * (1 - 1e-9 if baseline_m == 3.0 else 1 + 1e-9)
    assert calibration_doubts(StereoRig(left, replace(left, k=right[:, :3], p=right))) == ()
    assert calibration_doubts(left) == ()


@given(
    fx=st.floats(250, 600),
    shift=st.tuples(*[st.floats(-30, 30)] * 2),
    turn=st.tuples(*[st.floats(-0.03, 0.03)] * 3),
    k1=st.floats(-0.3, 0.1),
)
def test_rectified_pairs_of_any_calibration_pass(
    fx: float, shift: tuple[float, float], turn: tuple[float, float, float], k1: float
) -> None:
    k = np.array([[fx, 0, 320 + shift[0]], [0, fx, 240 + shift[1]], [0, 0, 1]])
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(np.array(turn))[0], (-0.12, 0, 0)
    pair = stereo_rectified_pair(k, [k1, 0, 0, 0], k, [k1, 0, 0, 0], T, (640, 480))
    assert calibration_doubts(pair) == () and calibration_doubts(pair.as_rectified()) == ()


@pytest.mark.parametrize("name", [*WORLDS, *DATASETS])
def test_every_camera_of_the_data_sets_passes(name: str) -> None:
    try:
        samples = open_dataset(name)
    except DataError as exc:  # the data are not here; worlds always are
        pytest.skip(str(exc))
    for i in {0, len(samples) // 2, len(samples) - 1}:
        frame = samples[i].frame
        assert frame.doubts == () == calibration_doubts(frame.rig or frame.camera)


@pytest.mark.parametrize(
    ("metres", "says"),
    [
        ((1.0, 3.0, 19.0), ""),
        ((21.0, np.inf, 500.0), "farther than max_depth_m"),
        ((0.1, 0.05), "nearer than"),
    ],
)
def test_depth_beyond_one_limit_is_doubted(metres: tuple[float, ...], says: str) -> None:
    depth = np.resize(np.array(metres, np.float32), (61, 97))
    depth[::7] = np.nan
    doubts = range_doubts(depth, 0.2, 20.0)
    assert len(doubts) == bool(says) and all(says in doubt for doubt in doubts)


def test_a_little_depth_is_no_reason_to_doubt() -> None:
    depth = np.full((480, 640), 30.0, np.float32)
    assert range_doubts(depth, 0.2, 20.0)
    depth[: 480 * 7 // 100] = 3.0  # some floor below a wide sky
    assert not range_doubts(depth, 0.2, 20.0)
    few = np.full((480, 640), np.nan, np.float32)
    few[:30] = 30.0
    assert not range_doubts(few, 0.2, 20.0)
    assert not range_doubts(np.full((3, 5), np.nan, np.float32), 0.2, 20.0)


def test_what_is_some_way_beyond_a_limit_is_a_share_of_all_pixels():
    depth = np.full((120, 90), 3.0, np.float32)
    depth[:30], depth[30:60], depth[60:75], depth[75:90] = 21.0, np.inf, np.nan, 400.0
    assert share_beyond(depth, 20.0) == pytest.approx(0.25, abs=0.02)
    assert share_beyond(depth, 21.0) == 0.0
