"""What an estimator says about one image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry.camera import PinholeCamera


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Metric depth on the grid of one rectified image.

    Attributes:
        depth: (H, W) float32 m along the optical axis; NaN = invalid, +Inf = farther than measurable.
        camera: The rectified camera of that grid.
        disparity: (H, W) float32 px, or None for a mono model.
        confidence: (H, W) float32 in [0, 1], higher is better, or None.
        sigma_m: (H, W) float32 m, one standard deviation of depth, or None.
        relative_depth: (H, W) float32, inverse depth up to scale and shift, of a model without metric scale;
            NaN = invalid. Its depth is NaN until a scale is found. None for other models.

    Raises:
        ImageError: At construction, when an array is not (H, W) float32 of the camera's size.
    """

    depth: NDArray[np.float32]
    camera: PinholeCamera
    disparity: NDArray[np.float32] | None = None
    confidence: NDArray[np.float32] | None = None
    sigma_m: NDArray[np.float32] | None = None
    relative_depth: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in ("depth", "disparity", "confidence", "sigma_m", "relative_depth"):
            array = getattr(self, name)
            if array is not None or name == "depth":
                check_plane(name, array, self.camera)

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """(H, W) bool, True where depth is finite and positive."""
        return np.isfinite(self.depth) & (self.depth > 0)

    def turned_back(self, camera: PinholeCamera) -> DepthMap:
        """The map of a vertical pair's `Frame.side_by_side` on the grid of the pair's own (upper) camera.

        It has no disparity, which ran down the columns there.
        """

        def back(plane: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
            return None if plane is None else np.ascontiguousarray(np.rot90(plane, -1))

        depth = np.ascontiguousarray(np.rot90(self.depth, -1))
        planes = (back(plane) for plane in (self.confidence, self.sigma_m, self.relative_depth))
        return DepthMap(depth, camera, None, *planes)

    def restricted(self, valid: NDArray[np.bool_] | None) -> DepthMap:
        """The same map where `valid` is True; elsewhere depth is invalid and confidence is 0.

        Args:
            valid: (H, W) bool; None = everywhere, and the map itself is returned.
        """
        if valid is None:
            return self
        unknown = np.float32(np.nan)

        def kept(plane: NDArray[np.float32] | None, instead: np.float32) -> NDArray[np.float32] | None:
            return None if plane is None else np.where(valid, plane, instead)

        return DepthMap(
            np.where(valid, self.depth, unknown),
            self.camera,
            kept(self.disparity, unknown),
            kept(self.confidence, np.float32(0)),
            kept(self.sigma_m, unknown),
            kept(self.relative_depth, unknown),
        )


def check_plane(name: str, array: NDArray[np.float32], camera: PinholeCamera) -> None:
    """Refuse what is not a float32 plane on the camera's grid.

    Raises:
        ImageError: Shape or dtype differ.
    """
    if array.shape != camera.image_shape_hw or array.dtype != np.float32:
        raise ImageError(
            f"expected {name} of shape {camera.image_shape_hw} float32, got {array.shape} {array.dtype}: "
            "resize or convert it"
        )
