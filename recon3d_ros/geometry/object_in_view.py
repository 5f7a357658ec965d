"""One object in an image, with points of all its surface: a sample for networks of whole shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.geometry.camera import PinholeCamera

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class ObjectInView:
    """One object in view.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, where the image shows it; not empty.
        camera: Rectified, of the image.
        whole: (N, 3) float32 m in the optical frame, its surface.
        partial: (M, 3) float32 m, the same of what a camera measures of it; may be empty.
        kind: What it is, for tables; can be empty.

    Raises:
        ImageError: At construction, when an array is not such a one.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    camera: PinholeCamera
    whole: NDArray[np.float32]
    partial: NDArray[np.float32]
    kind: str = ""

    def __post_init__(self) -> None:
        good = self.image.shape == (*self.mask.shape, 3) and self.mask.any() and len(self.whole) > 0
        if not good or any(cloud.shape[1:] != (3,) for cloud in (self.whole, self.partial)):
            raise ImageError(
                f"expected an image, a mask that shows an object, and its points, got {self.image.shape}, "
                f"{self.mask.shape} with {np.count_nonzero(self.mask)} px of it, {self.whole.shape} and "
                f"{self.partial.shape}: correct the sample"
            )

    @property
    def box(self) -> Box:
        """x, y, width, height of the mask, px."""
        return box_of(self.mask)


def visible_points(
    depth: NDArray[np.float32],
    mask: NDArray[np.bool_],
    camera: PinholeCamera,
    most: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Points of the masked pixels with depth, some at random where there are more than `most`.

    Args:
        depth: (H, W) float32 m, NaN = unknown.
        mask: (H, W) bool.
        camera: Of the depth image.
        most: Of the points.
        rng: Chooses.

    Returns:
        (N, 3) float32 m in the optical frame.
    """
    v, u = np.nonzero(mask & np.isfinite(depth))
    if v.size > most:
        kept = rng.choice(v.size, most, replace=False)
        v, u = v[kept], u[kept]
    return back_project(camera, u, v, depth[v, u]).astype(np.float32)


def box_of(mask: NDArray[np.bool_]) -> Box:
    """The box around a mask, (H, W) bool: x, y, width, height in px.

    Raises:
        ImageError: It is empty.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise ImageError("expected a mask that shows the object, got one of zeros: white is the object")
    x, y = columns[0], rows[0]
    return float(x), float(y), float(columns[-1] - x + 1), float(rows[-1] - y + 1)
