"""Noise that is what it says, and denoisers that take some of it away."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.evaluation.noise import DENOISERS, DenoisingEstimator, noisy
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, Sample, StereoRig

WIDTH, HEIGHT = 75, 48
RIG = StereoRig.simple(WIDTH, HEIGHT, 80.0, 0.2)
SMOOTH = np.tile(np.linspace(60, 190, WIDTH), (HEIGHT, 1)).astype(np.uint8)


def _pair(image=SMOOTH):
    return Sample(Frame(3, image, RIG.left, image.copy(), RIG, "p"), None, None, "p")


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_has_its_sigma_is_the_same_again_and_differs_between_the_sides(channels):
    image = SMOOTH if channels == 1 else np.repeat(SMOOTH[..., None], 3, axis=2)
    seen = noisy(_pair(image), 10.0, seed=5).frame
    left, right = (side.astype(float) - image for side in (seen.image, seen.right))
    assert left.std() == pytest.approx(10, abs=0.4) and abs(left.mean()) < 0.6
    assert (
        right.std() == pytest.approx(10, abs=0.4)
        and abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.1
    )
    np.testing.assert_array_equal(noisy(_pair(image), 10.0, seed=5).frame.image, seen.image)
    assert (noisy(_pair(image), 10.0, seed=6).frame.image != seen.image).any()
    assert seen.image.dtype == np.uint8 and (seen.stamp_ns, seen.name) == (3, "p")


def test_no_noise_is_the_sample_itself():
    sample = _pair()
    assert noisy(sample, 0.0, seed=1) is sample
    white = noisy(_pair(np.full((HEIGHT, WIDTH), 255, np.uint8)), 20.0, seed=1).frame.image
    assert white.max() == 255 and white.min() > 150  # clipped, not wrapped


class _Noise:
    """Estimates how far the image is from the smooth one."""

    is_stereo = True

    def estimate(self, frame):
        sides = [frame.image] if frame.right is None else [frame.image, frame.right]
        error = np.mean(
            [np.abs(side.astype(np.float32).reshape(HEIGHT, WIDTH, -1)[..., 0] - SMOOTH) for side in sides]
        )
        return DepthMap(np.full((HEIGHT, WIDTH), error, np.float32), frame.camera)


@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_denoiser_takes_noise_away_from_both_sides(name, channels):
    image = SMOOTH if channels == 1 else np.repeat(SMOOTH[..., None], 3, axis=2)
    frame = noisy(_pair(image), 10.0, seed=5).frame
    before = _Noise().estimate(frame).depth[0, 0]
    denoised = DenoisingEstimator(_Noise(), name, 10.0)
    assert denoised.is_stereo
    assert denoised.estimate(frame).depth[0, 0] < 0.85 * before


def test_one_camera_has_one_image_to_denoise():
    camera = PinholeCamera.simple(WIDTH, HEIGHT, 80.0)
    frame = Frame(0, SMOOTH, camera)
    assert DenoisingEstimator(_Noise(), "median", 0.0).estimate(frame).depth[0, 0] < 1
