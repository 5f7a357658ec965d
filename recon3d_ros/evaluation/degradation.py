"""Images as a worse camera would take them: noise, compression, low light, misaligned rows, fewer pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ConfigError
from recon3d_ros.evaluation.noise import noisy
from recon3d_ros.geometry import Sample

Image = NDArray[np.uint8]
Plane = TypeVar("Plane", np.float32, np.uint8)


class Degradation(NamedTuple):
    """What is done to the images of a set: a kind of `DEGRADATIONS` and how much of it; no kind = nothing."""

    kind: str = ""
    amount: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Degradation:
        """Read `none` or `kind=amount`.

        Raises:
            ConfigError: There is no such kind, or the amount is none of it.
        """
        if text == "none":
            return UNCHANGED
        kind, _, number = text.partition("=")
        try:
            amount = float(number)
        except ValueError:
            amount = math.nan
        if kind not in DEGRADATIONS or not DEGRADATIONS[kind].accepts(amount):
            known = ", ".join(f"{name}={one.range}" for name, one in DEGRADATIONS.items())
            raise ConfigError(f"expected degradations of none, {known}, got {text!r}: correct it")
        return cls(kind, amount)

    @property
    def label(self) -> str:
        """For reports; empty for no degradation."""
        return f"{self.kind} {self.amount:g}" if self.kind else ""

    @property
    def noise(self) -> float:
        """The standard deviation of the noise that it adds, in grey levels."""
        return self.amount if self.kind == "noise" else 0.0

    def apply(self, sample: Sample, seed: int) -> Sample:
        """The sample as seen that way; the truth is that of the new images.

        Args:
            sample: With one image or two.
            seed: Of the noise.

        Raises:
            ConfigError: Rows can be off in pairs only, or the image would be smaller than two pixels.
        """
        return DEGRADATIONS[self.kind].apply(sample, self.amount, seed) if self.kind else sample


UNCHANGED = Degradation()


class _Kind(NamedTuple):
    """Which amounts there are, for people and as a check, and what is done."""

    range: str
    accepts: Callable[[float], bool]
    apply: Callable[[Sample, float, int], Sample]


def _with_images(sample: Sample, change: Callable[[Image], Image]) -> Sample:
    frame = sample.frame
    right = None if frame.right is None else change(frame.right)
    return replace(sample, frame=replace(frame, image=change(frame.image), right=right))


def _compressed(sample: Sample, quality: float, seed: int) -> Sample:
    def change(image: Image) -> Image:
        grey = image.ndim == 2
        packed = cv2.imencode(
            ".jpg", image if grey else image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(quality)]
        )[1]
        seen = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR), np.uint8)
        return seen if grey else np.ascontiguousarray(seen[..., ::-1])

    return _with_images(sample, change)


def _darker(sample: Sample, share: float, seed: int) -> Sample:
    return _with_images(sample, lambda image: np.rint(np.float32(share) * image).astype(np.uint8))


def _shifted(sample: Sample, rows: float, seed: int) -> Sample:
    frame = sample.frame
    if frame.right is None:
        raise ConfigError(
            f"expected pairs for rows={rows:g}, got the single image {sample.name}: leave it out"
        )
    height, width = frame.right.shape[:2]
    matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, rows]])
    right = cv2.warpAffine(frame.right, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return replace(sample, frame=replace(frame, right=np.asarray(right, np.uint8)))


def _smaller(sample: Sample, share: float, seed: int) -> Sample:
    frame = sample.frame
    width, height = frame.camera.image_size_wh
    size_wh = round(share * width), round(share * height)
    if min(size_wh) < 2:
        raise ConfigError(f"expected 2 pixels or more of {width}x{height}, got size={share:g}: choose more")

    def resized(image: Image) -> Image:
        return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)

    def shown(plane: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        # A pixel that was partly seen has partly another colour.
        return None if plane is None else resized(plane.astype(np.uint8) * 255) == 255

    changed = replace(
        frame,
        image=resized(frame.image),
        camera=frame.camera.scaled(size_wh),
        right=None if frame.right is None else resized(frame.right),
        rig=None if frame.rig is None else frame.rig.scaled(size_wh),
        valid=shown(frame.valid),
        right_valid=shown(frame.right_valid),
    )
    disparity = None
    if sample.disparity is not None:
        disparity = np.float32(size_wh[0] / width) * _sampled(sample.disparity, size_wh)
    depth = None if sample.depth is None else _sampled(sample.depth, size_wh)
    labels = None if sample.labels is None else _sampled(sample.labels, size_wh)
    return Sample(changed, disparity, depth, sample.name, labels)


def _sampled(plane: NDArray[Plane], size_wh: tuple[int, int]) -> NDArray[Plane]:
    # No value is made up between two surfaces, and NaN stays NaN.
    found = cv2.resize(plane, size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(found, plane.dtype)


DEGRADATIONS = {
    # Gaussian, its standard deviation in grey levels of 255, each image with its own.
    "noise": _Kind("SIGMA", lambda amount: 0.0 < amount <= 255.0, noisy),
    "jpeg": _Kind("QUALITY", lambda amount: 1.0 <= amount <= 100.0, _compressed),
    # Of grey levels, rounded to whole ones.
    "brightness": _Kind("SHARE", lambda amount: 0.0 < amount < 1.0, _darker),
    # The right image down, px.
    "rows": _Kind("PX", lambda amount: 0.0 < abs(amount) <= 100.0, _shifted),
    # Of width and height.
    "size": _Kind("SHARE", lambda amount: 0.0 < amount < 1.0, _smaller),
}
