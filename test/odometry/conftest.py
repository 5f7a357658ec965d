from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.geometry import DepthMap
from recon3d_ros.world import WorldCamera


class Walk:
    """A walk through the procedural room: frames with exact depth, and the exact poses."""

    def __init__(self, count: int) -> None:
        self.camera = WorldCamera(size_wh=(321, 241), loop_frames=40)
        self.samples = [self.camera.sample(i) for i in range(count)]

    def __getitem__(self, i):
        sample = self.samples[i]
        return sample.frame, DepthMap(sample.depth, sample.frame.camera)

    def pose(self, i, of=0):
        """(4, 4) T of camera `of` from camera i."""
        return np.linalg.inv(self.camera.pose(of)) @ self.camera.pose(i)


@pytest.fixture(scope="session")
def walk():
    return Walk(40)
