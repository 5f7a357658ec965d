"""What the tests of readers share: writers of each layout, and samples to write."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recon3d_ros.world import WorldCamera

sys.path.insert(0, str(Path(__file__).parent))
from rgbd_writers import as_recorded

NYUV2_SIZE_WH = (640, 480)


@pytest.fixture(scope="session")
def rooms():
    """Three frames of the world's room as an RGB-D camera of odd size would record them."""
    camera = WorldCamera(seed=5, size_wh=(75, 53))
    return [as_recorded(camera.sample(7 * i)) for i in range(3)]


@pytest.fixture(scope="session")
def big_rooms():
    """One such frame at NYUv2's size."""
    return [as_recorded(WorldCamera(seed=5, size_wh=NYUV2_SIZE_WH).sample(3))]
