"""Organized point clouds of 16 bytes a point, and the packer that fills them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.depth_map import check_plane

POINT_STEP = 16
FIELDS = (("x", 0), ("y", 4), ("z", 8), ("rgb", 12))


@dataclass(frozen=True, eq=False)
class OrganizedCloud:
    """Points on the grid of the image they were seen in.

    Attributes:
        data: (H, W, 4) float32, C-contiguous: x right, y down, z forward in m (REP 103, optical frame),
            NaN where invalid; the bits of the fourth are 0x00RRGGBB, as PCL and rviz read `rgb`.

    Raises:
        ImageError: At construction, when `data` is not such an array.
    """

    data: NDArray[np.float32]

    POINT_STEP = POINT_STEP
    FIELDS = FIELDS

    def __post_init__(self) -> None:
        data = self.data
        if data.ndim != 3 or data.shape[2] != 4 or data.dtype != np.float32 or not data.flags.c_contiguous:
            raise ImageError(
                f"expected cloud data of (H, W, 4) float32 in C order, got {data.shape} {data.dtype}: "
                "pass what PointPacker filled"
            )

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape[0], self.data.shape[1]

    @property
    def xyz(self) -> NDArray[np.float32]:
        """(H, W, 3) float32 m, a view."""
        return self.data[..., :3]

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, a view."""
        return self.data.view(np.uint8)[..., 14:11:-1]  # little-endian 0x00RRGGBB is B, G, R, 0

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(H, W) bool, True where the point exists."""
        return np.isfinite(self.data[..., 2])


class PointPacker:
    """Back-projects depth maps of one camera into organized clouds, with nothing computed twice.

    x = (u - cx) z / fx, y = (v - cy) z / fy, with P of the rectified camera.

    Args:
        camera: The camera of the depth maps; its rectified projection P is used.
    """

    def __init__(self, camera: PinholeCamera) -> None:
        self.camera = camera.as_rectified()
        height, width = self.camera.image_shape_hw
        rays_x = (np.arange(width) - self.camera.cx) / self.camera.fx
        rays_y = (np.arange(height) - self.camera.cy) / self.camera.fy
        self._rays_x = rays_x.astype(np.float32)[None, :]
        self._rays_y = rays_y.astype(np.float32)[:, None]

    def pack(
        self,
        depth: NDArray[np.float32],
        image: NDArray[np.uint8] | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> OrganizedCloud:
        """Make the cloud of one depth map.

        Args:
            depth: (H, W) float32 m; NaN, +-Inf and 0 become points of NaN.
            image: (H, W, 3) RGB or (H, W) mono uint8 on the same grid; without it colours are 0.
            out: (H, W, 4) float32 to write into, e.g. a view of a message's buffer.

        Raises:
            ImageError: Shapes or dtypes differ.
            CalibrationError: The image has another size than the camera.
        """
        check_plane("depth", depth, self.camera)
        data = np.empty((*depth.shape, 4), np.float32) if out is None else out
        with np.errstate(invalid="ignore"):
            z = depth * (depth / depth)  # 1 where there is a point; Inf / Inf and 0 / 0 are NaN
        planes = [z * self._rays_x, z * self._rays_y, z, self._packed_rgb(image)]
        cv2.merge(planes, dst=data)
        return OrganizedCloud(data)

    def _packed_rgb(self, image: NDArray[np.uint8] | None) -> NDArray[np.float32]:
        if image is None:
            return np.zeros(self.camera.image_shape_hw, np.float32)
        self.camera.check_image(image)
        code = cv2.COLOR_GRAY2BGRA if image.ndim == 2 else cv2.COLOR_RGB2BGRA
        packed = cv2.cvtColor(image, code).view(np.uint32)[..., 0]
        packed &= 0x00FFFFFF  # OpenCV fills alpha with 255; such floats would be NaN
        return packed.view(np.float32)
