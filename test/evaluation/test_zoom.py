"""A longer lens: other pixels and another camera, the same points in space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.datasets import open_dataset
from recon3d_ros.errors import ConfigError
from recon3d_ros.evaluation import evaluate, zoomed
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, Sample, StereoRig

WIDTH, HEIGHT = 90, 64


def _slanted(width, height, fx, cx, cy):
    """A plane z = 2 + 0.3 x + 0.2 y, m: 1 / z is affine in the pixel. The image tells the depth in grey."""
    camera = PinholeCamera.simple(width, height, fx, cx, cy, 1.1 * fx)
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    depth = (2 / (1 - 0.3 * (u - cx) / camera.fx - 0.2 * (v - cy) / camera.fy)).astype(np.float32)
    image = np.rint(40 * depth).astype(np.uint8)
    return Sample(Frame(7, image, camera, name="plane"), None, depth, "plane")


@given(
    factor=st.floats(1.0, 4.0),
    cx=st.floats(0.3, 0.7),
    cy=st.floats(0.3, 0.7),
    size=st.tuples(st.integers(60, 91), st.integers(40, 65)),
)
def test_every_pixel_still_lies_on_the_plane(factor, cx, cy, size):
    """Within half a pixel of the original, which is as near as the nearest value can be."""
    width, height = size
    sample = _slanted(width, height, 80.0, cx * width, cy * height)
    seen = zoomed(sample, factor)
    camera = seen.frame.camera
    assert seen.depth.shape == seen.frame.image.shape == (height, width)
    assert camera.fx == pytest.approx(80.0 * factor, rel=factor / width)
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    exact = 2 / (1 - 0.3 * x - 0.2 * y)
    step = 0.51 * (0.3 / sample.frame.camera.fx + 0.2 / sample.frame.camera.fy)
    assert np.abs(1 / seen.depth - 1 / exact).max() <= step / 2 + 1e-6
    assert np.isin(seen.depth, sample.depth).all()
    assert np.abs(seen.frame.image / 40 - exact)[2:-2, 2:-2].max() < 0.05


def test_one_is_the_sample_itself_and_unknown_depth_stays_unknown():
    sample = _slanted(WIDTH, HEIGHT, 80.0, 44.5, 31.5)
    assert zoomed(sample, 1.0) is sample
    sample.depth[30:34, 40:50] = np.nan
    assert np.isnan(zoomed(sample, 2.0).depth).sum() == 4 * 4 * 10


def test_of_a_pair_the_left_image_remains():
    rig = StereoRig.simple(WIDTH, HEIGHT, 80.0, 0.2)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    truth = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    seen = zoomed(Sample(Frame(0, image, rig.left, image, rig), truth, None, "pair"), 1.5)
    assert not seen.frame.is_stereo and seen.disparity is None and seen.depth is None
    assert seen.frame.image.shape == image.shape


@pytest.mark.parametrize("factor", [0.5, 40.0, float("nan")])
def test_what_is_no_zoom_is_refused(factor):
    with pytest.raises(ConfigError, match="zoom"):
        zoomed(_slanted(WIDTH, HEIGHT, 80.0, 44.5, 31.5), factor)


class _Grey:
    """Tells the depth of `_slanted` from its grey; without the focal length it takes every lens for one."""

    is_stereo = False

    def __init__(self, handles_focal):
        self.handles_focal = handles_focal

    def estimate(self, frame):
        depth = (frame.image / np.float32(40)).astype(np.float32)
        return DepthMap(
            depth if self.handles_focal else depth * np.float32(80 / frame.camera.fx), frame.camera
        )


@pytest.mark.parametrize("handles_focal", [True, False])
def test_the_scale_tells_who_knows_the_focal_length(handles_focal):
    sample = _slanted(WIDTH, HEIGHT, 80.0, 44.5, 31.5)
    for factor in (1.0, 1.5, 2.0):
        metrics = evaluate(_Grey(handles_focal), [zoomed(sample, factor)]).metrics
        assert metrics["scale"] == pytest.approx(1.0 if handles_focal else factor, rel=0.01)


def test_a_real_frame_keeps_its_points(data_dir):
    """What lies at a pixel of the zoomed image lies in the same direction, as far away, in the whole one."""
    sample = open_dataset("nyuv2", data_dir)[3]
    seen = zoomed(sample, 2.0)
    camera, whole = seen.frame.camera, sample.frame.camera
    v, u = 200, 411
    ray = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    at = whole.cx + ray[0] * whole.fx, whole.cy + ray[1] * whole.fy
    around = sample.depth[int(at[1]) : int(at[1]) + 2, int(at[0]) : int(at[0]) + 2]
    assert seen.depth[v, u] in around
