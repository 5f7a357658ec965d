"""From a depth map to an organized cloud, written straight into the memory of a message."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.cloud import LABEL, NORMAL, XYZRGB, OrganizedCloud, check_fields
from recon3d_ros.geometry.depth_map import check_plane
from recon3d_ros.geometry.grey import to_grey
from recon3d_ros.geometry.normals import surface_curvature, surface_normals

_BLOCK_PX = 1 << 15  # of scratch at a time: 16 bytes each, half a megabyte
Plane = NDArray[np.float32]


class PointPacker:
    """Back-projects depth maps of one camera into organized clouds: x = (u - cx) z / fx, y = (v - cy) z / fy.

    It works in blocks of rows whose scratch planes stay in the processor's cache: whole-image temporaries
    cost ten times as much at 1280x720, most of it page faults. The scratch makes a packer serve one thread
    at a time.

    Args:
        camera: The camera of the depth maps; its rectified projection P is used.
        fields: Of the clouds; x, y, z first.
        decimation: Of every so many rows and columns one makes points, from the first on.

    Raises:
        ImageError: A field is unknown.
    """

    def __init__(self, camera: PinholeCamera, fields: tuple[str, ...] = XYZRGB, decimation: int = 1) -> None:
        check_fields(fields)
        self.camera = camera.as_rectified()
        self.fields = fields
        self._step = decimation
        width, _ = self.camera.image_size_wh
        rays_x, rays_y = ray_slopes(self.camera, decimation)
        self._rays_x, self._rays_y = rays_x[None, :], rays_y[:, None]
        self.shape_hw = (len(rays_y), len(rays_x))
        self._rows = min(self.shape_hw[0], max(1, _BLOCK_PX // self.shape_hw[1]))
        block = (self._rows, self.shape_hw[1])
        self._xyz = [np.empty(block, np.float32) for _ in range(3)]
        self._bgra = np.zeros((self._rows, width, 4), np.uint8)
        self._grey = np.zeros(block, np.float32)
        self._unknown = np.full(block, np.nan, np.float32)

    def pack(
        self,
        depth: Plane,
        image: NDArray[np.uint8] | None = None,
        out: Plane | None = None,
        confidence: Plane | None = None,
        sigma: Plane | None = None,
        labels: tuple[NDArray[np.uint8], Plane] | None = None,
    ) -> OrganizedCloud:
        """Make the cloud of one depth map.

        Args:
            depth: (H, W) float32 m; NaN, +-Inf and 0 become points of NaN.
            image: (H, W, 3) RGB or (H, W) mono uint8 on the same grid; without it colours are 0.
            out: float32 in C order of `shape_hw` and the number of fields to write into, e.g. a view of a
                message's buffer; by default a new array.
            confidence: (H, W) float32 for the field of that name; without it the field is NaN.
            sigma: (H, W) float32 m, the same.
            labels: (H, W) uint8 and (H, W) float32 for the fields label and label_probability; without
                them they
                are 0 and NaN.

        Raises:
            ImageError: Shapes or dtypes differ, or `out` is read-only.
            CalibrationError: The image has another size than the camera.
        """
        self._check_inputs(depth, image, confidence, sigma)
        planes = {"confidence": confidence, "sigma": sigma}
        if NORMAL[0] in self.fields or "curvature" in self.fields:
            normals = surface_normals(depth, self.camera)
            planes.update(zip(NORMAL, normals))
            if "curvature" in self.fields:
                planes["curvature"] = surface_curvature(depth, self.camera, normals)
        if LABEL[0] in self.fields:
            planes.update(zip(LABEL, self._label_planes(depth.shape, labels)))
        n = self._step
        if n > 1:
            depth = depth[::n, ::n]
            image = None if image is None else image[::n]  # OpenCV copies what has gaps within rows
            planes = {name: None if plane is None else plane[::n, ::n] for name, plane in planes.items()}
        cloud = self._target(out)
        with np.errstate(invalid="ignore"):
            for top in range(0, self.shape_hw[0], self._rows):
                rows = slice(top, min(top + self._rows, self.shape_hw[0]))
                self._pack_rows(depth[rows], image, planes, rows, cloud.data[rows])
        return cloud

    def _label_planes(
        self, shape: tuple[int, ...], labels: tuple[NDArray[np.uint8], Plane] | None
    ) -> tuple[Plane, Plane | None]:
        """Labels as the bits of float32, and their probability."""
        if labels is None:
            return np.zeros(shape, np.float32), None
        return labels[0].astype(np.uint32).view(np.float32), labels[1]

    def _check_inputs(
        self, depth: Plane, image: NDArray[np.uint8] | None, confidence: Plane | None, sigma: Plane | None
    ) -> None:
        check_plane("depth", depth, self.camera)
        for name, plane in (("confidence", confidence), ("sigma", sigma)):
            if plane is not None:
                check_plane(name, plane, self.camera)
        if image is None:
            self._bgra[:] = 0
            self._grey[:] = 0
        else:
            self.camera.check_image(image)

    def _target(self, out: Plane | None) -> OrganizedCloud:
        shape = (*self.shape_hw, len(self.fields))
        cloud = OrganizedCloud(np.empty(shape, np.float32) if out is None else out, self.fields)
        if cloud.data.shape != shape or not cloud.data.flags.writeable:
            raise ImageError(
                f"expected a writable target of {shape}, got {cloud.data.shape}, "
                f"writeable={cloud.data.flags.writeable}: make one of that size"
            )
        return cloud

    def _pack_rows(
        self,
        depth: Plane,
        image: NDArray[np.uint8] | None,
        planes: dict[str, Plane | None],
        rows: slice,
        out: Plane,
    ) -> None:
        x, y, z = columns = [plane[: len(depth)] for plane in self._xyz]
        np.divide(depth, depth, out=z)  # 1 where there is a point: NaN / NaN, Inf / Inf, 0 / 0 are NaN
        np.multiply(z, depth, out=z)
        np.multiply(z, self._rays_x, out=x)
        np.multiply(z, self._rays_y[rows], out=y)
        for field in self.fields[3:]:
            if field == "rgb":
                columns.append(self._packed_colours(image, rows, len(depth)))
            elif field == "intensity":
                columns.append(self._intensity(image, rows, len(depth)))
            else:
                plane = planes[field]
                columns.append(self._unknown[: len(depth)] if plane is None else plane[rows])
        cv2.merge(columns, dst=out)

    def _packed_colours(self, image: NDArray[np.uint8] | None, rows: slice, count: int) -> Plane:
        bgra = self._bgra[:count]
        packed = bgra.view(np.uint32)[..., 0]
        if image is not None:
            cv2.cvtColor(
                image[rows], cv2.COLOR_GRAY2BGRA if image.ndim == 2 else cv2.COLOR_RGB2BGRA, dst=bgra
            )
            packed &= 0x00FFFFFF  # OpenCV sets alpha to 255; floats of such bits can be NaN
        return packed.view(np.float32)[:, :: self._step]

    def _intensity(self, image: NDArray[np.uint8] | None, rows: slice, count: int) -> Plane:
        grey = self._grey[:count]
        if image is not None:
            part = image[rows]
            grey[:] = to_grey(part)[:, :: self._step]
        return grey


def ray_slopes(camera: PinholeCamera, decimation: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """X / z of every column and y / z of every row that makes points, (columns,) and (rows,) float32.

    Args:
        camera: Its rectified projection P is used.
        decimation: Of every so many rows and columns one makes points, from the first on.
    """
    camera = camera.as_rectified()
    width, height = camera.image_size_wh
    x = (np.arange(0, width, decimation) - camera.cx) / camera.fx
    y = (np.arange(0, height, decimation) - camera.cy) / camera.fy
    return x.astype(np.float32), y.astype(np.float32)
