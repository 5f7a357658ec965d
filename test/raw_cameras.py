"""Raw cameras and pairs of any lens, for tests of what they did not see."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import strategies as st

from recon3d_ros.geometry import PinholeCamera, StereoRig

SIZE_WH = (131, 97)
LENSES = {
    "plumb_bob": st.tuples(*(st.floats(-0.4, 0.4), st.floats(-0.1, 0.1), *[st.floats(-2e-3, 2e-3)] * 2)),
    "rational_polynomial": st.tuples(
        *(st.floats(-0.3, 0.6), st.floats(-0.2, 0.2), *[st.floats(-1e-3, 1e-3)] * 2, st.floats(-0.05, 0.05)),
        *(st.floats(-0.1, 0.8), st.floats(-0.1, 0.2), st.floats(-0.02, 0.05)),
    ),
    "equidistant": st.tuples(*[st.floats(-0.08, 0.08)] * 4),
}


@st.composite
def raw_cameras(draw):
    """Cameras of any lens, turned a little, with P from narrower to far wider than the raw image (alpha)."""
    model = draw(st.sampled_from(sorted(LENSES)))
    width, height = SIZE_WH
    fx = draw(st.floats(60, 180))
    k = np.array([[fx, 0, width / 2 + draw(st.floats(-9, 9))], [0, fx * 1.02, height / 2 + 3], [0, 0, 1]])
    turn = np.array([draw(st.floats(-0.15, 0.15)) for _ in range(3)])
    p = np.hstack([k, np.zeros((3, 1))])
    p[:2, :2] *= draw(st.floats(0.35, 1.3))
    return PinholeCamera(width, height, k, np.array(draw(LENSES[model])), model, cv2.Rodrigues(turn)[0], p)


def barrel_rig(zoom: float = 0.6) -> StereoRig:
    """A pair behind barrel lenses whose P shows far more than the cameras saw."""
    k = np.array([[100.0, 0, 65], [0, 100, 48], [0, 0, 1]])
    p = np.hstack([k, np.zeros((3, 1))])
    p[:2, :2] *= zoom
    right = p.copy()
    right[0, 3] = -p[0, 0] * 0.1
    d = np.array([-0.3, 0.1, 0, 0])
    return StereoRig(PinholeCamera(*SIZE_WH, k, d, p=p), PinholeCamera(*SIZE_WH, k, d, p=right))


@st.composite
def raw_rigs(draw):
    """Pairs whose cameras have lenses of one model each their own, behind one P with a baseline of 0.1 m."""
    left = draw(raw_cameras())
    width, height = SIZE_WH
    right = left.p.copy()
    right[0, 3] = -right[0, 0] * 0.1
    turn = cv2.Rodrigues(np.array([draw(st.floats(-0.15, 0.15)) for _ in range(3)]))[0]
    d = np.array(draw(LENSES[left.distortion_model]))
    return StereoRig(left, PinholeCamera(width, height, left.k, d, left.distortion_model, turn, right))
