"""What goes into an estimator, and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.depth_map import check_plane
from recon3d_ros.geometry.rig import StereoRig

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Frame:
    """A rectified image, or a rectified stereo pair, with its calibration.

    Attributes:
        stamp_ns: Acquisition time, ns.
        image: (H, W, 3) RGB or (H, W) mono uint8; the left one of a pair.
        camera: The rectified camera of `image`.
        right: The right image of a pair, or None.
        rig: The rectified rig of a pair, or None.
        name: For file names and messages.
        frame_id: Name of the optical frame of `camera`; can be empty.
        valid: (H, W) bool, False where `image` has no content from the camera, as in the black corners after
            rectification. None = True everywhere.
        right_valid: The same for the right image.
        doubts: What is unlikely about the calibration of the raw camera, one sentence each.
        T_world_camera: (4, 4) float64 m, pose of the optical frame of `camera`, where it is known.

    Raises:
        ImageError: At construction: an image or plane is not such an array, or right and rig are not both
            given.
        CalibrationError: A camera is raw, or has another size than its image.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    camera: PinholeCamera
    right: NDArray[np.uint8] | None = None
    rig: StereoRig | None = None
    name: str = ""
    frame_id: str = ""
    valid: NDArray[np.bool_] | None = None
    right_valid: NDArray[np.bool_] | None = None
    doubts: tuple[str, ...] = ()
    T_world_camera: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if (self.right is None) != (self.rig is None):
            raise ImageError(
                "expected a right image and its rig together, got one of them: give both or none"
            )
        views = [(self.camera, self.image)]
        if self.rig is not None and self.right is not None:
            views += [(self.rig.left, self.image), (self.rig.right, self.right)]
        for camera, image in views:
            if not camera.rectified:
                raise CalibrationError(
                    "expected a rectified camera in a frame, got a raw one: rectify the image and use "
                    "Rectifier.camera, or as_rectified() when the image is rectified already"
                )
            camera.check_image(image)
        for name, plane in (("valid", self.valid), ("right_valid", self.right_valid)):
            if plane is not None and (plane.shape != self.camera.image_shape_hw or plane.dtype != np.bool_):
                raise ImageError(
                    f"expected {name} of shape {self.camera.image_shape_hw} bool, got {plane.shape} "
                    f"{plane.dtype}: make it on the grid of the rectified image"
                )

    def restricted(
        self, valid: NDArray[np.bool_] | None, right_valid: NDArray[np.bool_] | None = None
    ) -> Frame:
        """The same frame with less seen: what already was not seen, and what these planes leave out.

        Args:
            valid: (H, W) bool of the image; None = everywhere.
            right_valid: The same of the right image.

        Raises:
            ImageError: A plane has another size than the image.
        """

        def both(
            before: NDArray[np.bool_] | None, plane: NDArray[np.bool_] | None
        ) -> NDArray[np.bool_] | None:
            if before is None or plane is None or before.shape != plane.shape:
                return before if plane is None else plane
            return before & plane

        return replace(self, valid=both(self.valid, valid), right_valid=both(self.right_valid, right_valid))

    def seen(self, disparity: NDArray[np.float32] | None = None) -> NDArray[np.bool_] | None:
        """Where depth can be known: the camera saw it and, of a pair, the right camera its match.

        Args:
            disparity: (H, W) px of a stereo model, NaN = unknown; None for a model that looks at one image.

        Returns:
            (H, W) bool; None = everywhere. With a `right_valid`, a match outside the right image was not seen
            either.
        """
        if self.right_valid is None or disparity is None:
            return self.valid
        height, width = disparity.shape
        u = np.arange(width, dtype=np.float32) - np.nan_to_num(disparity, nan=-np.inf)
        shown = self.right_valid.astype(np.uint8) * 255
        match = (
            cv2.remap(shown, np.clip(u, -2, width + 1), row_numbers(height, width), cv2.INTER_LINEAR) > 127
        )
        return match if self.valid is None else match & self.valid

    @property
    def single(self) -> Frame:
        """The (left) image alone."""
        return self if self.right is None else replace(self, right=None, rig=None, right_valid=None)

    @property
    def side_by_side(self) -> Frame:
        """The frame as a network wants it: a vertical pair after a quarter turn, any other one itself."""
        if self.rig is None or not self.rig.is_vertical:
            return self
        rig = self.rig.turned()
        return replace(
            self,
            image=_turned(self.image),
            right=None if self.right is None else _turned(self.right),
            camera=rig.left,
            rig=rig,
            valid=None if self.valid is None else _turned(self.valid),
            right_valid=None if self.right_valid is None else _turned(self.right_valid),
        )

    @property
    def is_stereo(self) -> bool:
        """Whether there is a right image."""
        return self.right is not None


def _turned(plane: NDArray[Pixel]) -> NDArray[Pixel]:
    return np.ascontiguousarray(np.rot90(plane))


@lru_cache(maxsize=4)  # the same for every frame of a camera
def row_numbers(height: int, width: int) -> NDArray[np.float32]:
    """(height, width) float32, the number of each pixel's row, for cv2.remap; not to be changed."""
    rows = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    rows.flags.writeable = False
    return rows


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame with its ground truth.

    Attributes:
        frame: The images.
        disparity: (H, W) float32 px of the left image; NaN = unknown, 0 = sky; or None.
        depth: (H, W) float32 m; NaN = unknown, +Inf = sky; or None.
        name: Of the sample, unique in its data set.
        labels: (H, W) uint8, the `PointLabel` of each pixel; or None.

    Raises:
        ImageError: At construction, when an array is not (H, W) of its dtype and of the image's size.
    """

    frame: Frame
    disparity: NDArray[np.float32] | None
    depth: NDArray[np.float32] | None
    name: str
    labels: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        for name in ("disparity", "depth"):
            array = getattr(self, name)
            if array is not None:
                check_plane(name, array, self.frame.camera)
        labels, shape_hw = self.labels, self.frame.camera.image_shape_hw
        if labels is not None and (labels.shape != shape_hw or labels.dtype != np.uint8):
            raise ImageError(
                f"expected labels of shape {shape_hw} uint8, got {labels.shape} {labels.dtype}: make them on "
                "the grid of the image"
            )
