"""Small pairs with a known disparity, and a network that trains in a second."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from recon3d_ros.geometry import Frame, PinholeCamera, Sample, StereoRig
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.samples.store import SampleStore, pack_pair

SIZE_WH = (128, 96)
TINY = {
    "bins": 12,
    "step_px": 4,
    "stem": 8,
    "features": (16, 16, 16),
    "matching": 16,
    "guidance": 8,
    "hourglass": (16, 16, 16),
    "blocks": (1, 0, 0),
    "window": 2,
    "uncertainty": 8,
}


def textured_sample(seed: int, size_wh: tuple[int, int] = SIZE_WH) -> Sample:
    """A random texture shifted by a whole number of pixels; columns that only the left sees are unknown."""
    rng = np.random.default_rng(seed)
    width, height = size_wh
    shift = int(rng.integers(4, 30))
    wide = rng.integers(0, 256, (height, width + shift, 3), np.uint8)
    disparity = np.full((height, width), float(shift), np.float32)
    disparity[:, :shift] = np.nan
    rig = StereoRig.simple(width, height, 100.0, 0.1)
    # A point at u in the left image stands at u - shift in the right one.
    frame = Frame(0, wide[:, :width], rig.left, right=wide[:, shift:], rig=rig, name=f"texture_{seed}")
    return Sample(frame, disparity, None, frame.name)


class CtrlC:
    """A SIGINT of the process that unpickles it: one that is being started."""

    def __reduce__(self):
        return (signal.raise_signal, (signal.SIGINT,))


@pytest.fixture
def ctrl_c_on_arrival():
    return CtrlC()


@pytest.fixture
def make_sample():
    return textured_sample


@pytest.fixture
def tiny_network():
    return dict(TINY)


@pytest.fixture
def mono_sample() -> Sample:
    image = np.zeros((4, 6, 3), np.uint8)
    return Sample(Frame(0, image, PinholeCamera.simple(6, 4, 5.0)), None, np.ones((4, 6), np.float32), "mono")


@pytest.fixture
def stores(tmp_path):
    """Eight pairs to train on and two held out, in the folders of a run in `tmp_path`."""
    pairs, held_out = SampleStore(tmp_path / "pairs"), SampleStore(tmp_path / "validation")
    for store, seeds in ((pairs, range(100, 108)), (held_out, range(2))):
        for seed in seeds:
            store.write(seed, pack_pair(textured_sample(seed)))
        store.refresh()
    return pairs, held_out


@pytest.fixture
def make_config(tmp_path):
    """A run of a few small steps in `tmp_path`, on one thread."""

    def make(**values) -> TrainConfig:
        small = {"out": str(tmp_path), "minutes": 5.0, "width": 96, "height": 64, "batch": 2, "loaders": 0}
        return TrainConfig(**{**small, "device": "cpu", "precision": "fp32", "threads": 1, **values})

    return make
