from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.config import ScaleConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.scale import Mount


@pytest.mark.parametrize(
    ("pitch_deg", "roll_deg", "down"),
    [
        (0, 0, (0, 1, 0)),
        (90, 0, (0, 0, 1)),
        (0, 180, (0, -1, 0)),
        (0, 90, (1, 0, 0)),
        (30, 0, (0, 0.866, 0.5)),
    ],
)
def test_known_attitudes(pitch_deg, roll_deg, down):
    config = ScaleConfig(camera_height_m=1.2, camera_pitch_deg=pitch_deg, camera_roll_deg=roll_deg)
    mount = Mount.of(config)
    assert mount.height_m == 1.2
    np.testing.assert_allclose(mount.down, down, atol=1e-3)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_angles_turn_the_camera_as_rotations_do(pitch_deg, roll_deg):
    """Down in the camera is what a pitch about x and then a roll about z make of it (x right, z ahead)."""
    pitch, roll = np.radians([pitch_deg, roll_deg])
    tilted = np.array([0, np.cos(pitch), np.sin(pitch)])
    rolled = np.array(
        [np.sin(roll) * tilted[1] + np.cos(roll) * tilted[0], np.cos(roll) * tilted[1], tilted[2]]
    )
    config = ScaleConfig(camera_height_m=1.0, camera_pitch_deg=pitch_deg, camera_roll_deg=roll_deg)
    np.testing.assert_allclose(Mount.of(config).down, rolled, atol=1e-12)


def test_a_mount_needs_a_height_and_a_direction():
    assert Mount.of(ScaleConfig()) is None
    np.testing.assert_allclose(Mount(1.0, np.array([0, 3.0, 4.0])).down, [0, 0.6, 0.8])
    with pytest.raises(ConfigError, match="camera above the floor, got a height of -1 m"):
        Mount(-1.0, np.array([0, 1, 0]))
    with pytest.raises(ConfigError, match="three numbers that point down"):
        Mount(1.0, np.zeros(3))
