"""What noise in the images costs, and what removing it before the network gains and costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.evaluation.scoring import FrameEstimator
from recon3d_ros.geometry import DepthMap, Frame, Sample

Image = NDArray[np.uint8]


def noisy(sample: Sample, sigma: float, seed: int) -> Sample:
    """Add Gaussian noise to the image, or to both, each with its own.

    Args:
        sample: Its truth stays.
        sigma: One standard deviation, in grey levels of 255; 0 gives the sample itself.
        seed: The same one gives the same noise.
    """
    if sigma == 0:
        return sample
    rng = np.random.default_rng(seed)

    def add(image: Image) -> Image:
        noise = np.float32(sigma) * rng.standard_normal(image.shape, np.float32)
        return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)

    frame = sample.frame
    image, right = add(frame.image), None if frame.right is None else add(frame.right)
    return replace(sample, frame=replace(frame, image=image, right=right))


def _non_local_means(image: Image, sigma: float) -> Image:
    strength = max(sigma, 3.0)
    if image.ndim == 2:
        return cv2.fastNlMeansDenoising(image, None, strength)  # type: ignore[return-value]
    return cv2.fastNlMeansDenoisingColored(image, None, strength, strength)  # type: ignore[return-value]


# An image and the noise it has, in grey levels, to an image with less.
DENOISERS: dict[str, Callable[[Image, float], Image]] = {
    "gaussian": lambda image, _: cv2.GaussianBlur(image, (0, 0), 0.8),  # type: ignore[dict-item, return-value]
    "bilateral": lambda image, _: cv2.bilateralFilter(image, 5, 30, 30),  # type: ignore[dict-item, return-value]
    "median": lambda image, _: cv2.medianBlur(image, 3),  # type: ignore[dict-item, return-value]
    "nlmeans": _non_local_means,
}


class DenoisingEstimator:
    """An estimator whose images are denoised first; its time is that of both.

    Args:
        estimator: Gets the denoised images.
        name: Of a denoiser, one of `DENOISERS`.
        sigma: What noise the images have, in grey levels; the strength of non-local means.
    """

    def __init__(self, estimator: FrameEstimator, name: str, sigma: float) -> None:
        self._estimator, self._denoise, self._sigma = estimator, DENOISERS[name], sigma

    @property
    def is_stereo(self) -> bool:
        """Whether it needs pairs."""
        return self._estimator.is_stereo

    def estimate(self, frame: Frame) -> DepthMap:
        """Depth of the frame's (left) image."""
        right = None if frame.right is None else self._denoise(frame.right, self._sigma)
        return self._estimator.estimate(
            replace(frame, image=self._denoise(frame.image, self._sigma), right=right)
        )
