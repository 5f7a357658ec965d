"""Quaternions and matrices describe the same turn."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from recon3d_ros.geometry.rotations import matrices_of, quaternions_of, vectors_of

number = st.floats(-1, 1)


@given(st.tuples(number, number, number, number))
def test_there_and_back(xyzw):
    quaternion = np.array([xyzw])
    assume(np.linalg.norm(quaternion) > 1e-3)
    matrix = matrices_of(quaternion)
    assert np.allclose(matrix[0] @ matrix[0].T, np.eye(3))
    assert np.linalg.det(matrix[0]) > 0
    back = quaternions_of(matrix)
    assert back[0, 3] >= 0
    assert np.allclose(matrices_of(back), matrix)


def test_a_quarter_turn_around_z_takes_x_to_y():
    half = np.sqrt(0.5)
    turned = matrices_of(np.array([[0, 0, half, half]]))[0]
    assert np.allclose(turned @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(quaternions_of(turned[None]), [[0, 0, half, half]])


@given(st.tuples(*[st.floats(-1.7, 1.7)] * 3), st.integers(0, 12))
def test_rotation_vectors_come_back_however_small(vector, smaller):
    wanted = np.array(vector) * 10.0**-smaller
    found = vectors_of(cv2.Rodrigues(wanted)[0][None])[0]
    assert np.allclose(found, wanted, rtol=1e-6, atol=1e-15)
