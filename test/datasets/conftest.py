"""What the tests of readers share: writers of each layout, and samples to write."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon3d_ros.geometry import Frame, PinholeCamera, Sample

sys.path.insert(0, str(Path(__file__).parent))


def recorded(seed: int, size_wh: tuple[int, int], camera: PinholeCamera) -> Sample:
    """A colourful image and depth of 0.7 to 13 m in whole mm with holes, as a sensor of a room would give."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 255, (7, 9, 3), np.uint8), size_wh, interpolation=cv2.INTER_CUBIC)
    rough = cv2.resize(rng.uniform(700, 13_000, (5, 6)), size_wh, interpolation=cv2.INTER_LINEAR)
    mm = np.rint(rough).astype(np.float32)
    mm[rng.random(mm.shape) < 0.1] = np.nan
    mm[1:4, 2:9] = np.nan
    name = f"room_{seed}"
    return Sample(Frame(seed, image, camera, name=name), None, mm / np.float32(1000), name)


@pytest.fixture(scope="session")
def rooms() -> list[Sample]:
    """Three samples of an odd size."""
    camera = PinholeCamera.simple(75, 53, 61.5, cx=36.25, cy=27.5, fy=62.25)
    return [recorded(seed, (75, 53), camera) for seed in range(3)]


@pytest.fixture(scope="session")
def big_rooms() -> list[Sample]:
    """One of NYUv2's and Kinect's size."""
    return [recorded(3, (640, 480), PinholeCamera.simple(640, 480, 525.0, cx=321.5, cy=236.0))]
