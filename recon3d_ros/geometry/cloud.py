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
_BLOCK_PX = 1 << 15  # of scratch at a time: 16 bytes each, half a megabyte
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
    """Back-projects depth maps of one camera into organized clouds: x = (u - cx) z / fx, y = (v - cy) z / fy.

    It works in blocks of rows whose scratch planes stay in the processor's cache: whole-image temporaries
    cost ten times as much at 1280x720, most of it page faults. The scratch makes a packer serve one thread
    at a time.

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
        self._rows = min(height, max(1, _BLOCK_PX // width))
        self._xyz = [np.empty((self._rows, width), np.float32) for _ in range(3)]
        self._bgra = np.zeros((self._rows, width, 4), np.uint8)

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
            out: (H, W, 4) float32 in C order to write into, e.g. a view of a message's buffer; by default
                a new array.

        Raises:
            ImageError: Shapes or dtypes differ, or `out` is read-only.
            CalibrationError: The image has another size than the camera.
        """
        check_plane("depth", depth, self.camera)
        if image is None:
            self._bgra[:] = 0
        else:
            self.camera.check_image(image)
        cloud = OrganizedCloud(np.empty((*depth.shape, 4), np.float32) if out is None else out)
        if cloud.shape_hw != depth.shape or not cloud.data.flags.writeable:
            raise ImageError(
                f"expected a writable target of {(*depth.shape, 4)}, got {cloud.data.shape}, "
                f"writeable={cloud.data.flags.writeable}: make one of that size"
            )
        with np.errstate(invalid="ignore"):
            for top in range(0, depth.shape[0], self._rows):
                rows = slice(top, min(top + self._rows, depth.shape[0]))
                self._pack_rows(depth[rows], image, rows, cloud.data[rows])
        return cloud

    def _pack_rows(
        self,
        depth: NDArray[np.float32],
        image: NDArray[np.uint8] | None,
        rows: slice,
        out: NDArray[np.float32],
    ) -> None:
        x, y, z = (plane[: len(depth)] for plane in self._xyz)
        np.divide(depth, depth, out=z)  # 1 where there is a point: NaN / NaN, Inf / Inf, 0 / 0 are NaN
        np.multiply(z, depth, out=z)
        np.multiply(z, self._rays_x, out=x)
        np.multiply(z, self._rays_y[rows], out=y)
        bgra = self._bgra[: len(depth)]
        packed = bgra.view(np.uint32)[..., 0]
        if image is not None:
            cv2.cvtColor(
                image[rows], cv2.COLOR_GRAY2BGRA if image.ndim == 2 else cv2.COLOR_RGB2BGRA, dst=bgra
            )
            packed &= 0x00FFFFFF  # OpenCV sets alpha to 255; floats of such bits can be NaN
        cv2.merge([x, y, z, packed.view(np.float32)], dst=out)
