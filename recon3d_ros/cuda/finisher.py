"""The last stage of a frame on the GPU: depth filtered, and its cloud packed.

Never run on a GPU so far: see :mod:`recon3d_ros.cuda.context`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.cuda import layout
from recon3d_ros.cuda.arguments import Finish
from recon3d_ros.cuda.buffers import Buffer
from recon3d_ros.cuda.context import Device
from recon3d_ros.cuda.kernels import Kernels
from recon3d_ros.geometry import PinholeCamera


class Finisher:
    """The memory of this stage for one camera and one density of the cloud.

    Args:
        device: Make, use and free this object within ``with device.active()``.
        camera: Of the (left) image.
        decimation: Of every so many rows and columns one makes points.
    """

    def __init__(self, device: Device, camera: PinholeCamera, decimation: int) -> None:
        shape, tables = camera.image_shape_hw, layout.rays(camera, decimation)
        self._device, self._size_wh = device, camera.image_size_wh
        self._depth, self._values = (Buffer(device, shape, np.float32) for _ in range(2))
        self._cloud = Buffer(device, (len(tables[1]), len(tables[0]), 4), np.float32, pinned=False)
        self._rays = [Buffer.of(device, table) for table in tables]

    def finish(
        self, kernels: Kernels, a: Finish, cloud_into: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run it, and wait.

        Args:
            kernels: Of the device.
            a: All but what is written, and the rays.
            cloud_into: (rows, columns, 4) float32 in C order; None when no cloud is wanted.

        Returns:
            New (H, W) float32 arrays: depth in m; and the values (px of stereo), NaN where depth is.
        """
        a.out_depth, a.out_disparity = self._depth.address, self._values.address
        a.rays_x, a.rays_y = (buffer.address for buffer in self._rays)
        a.cloud = self._cloud.address if cloud_into is not None else None
        kernels.launch(a, self._size_wh)
        self._depth.download()
        self._values.download()
        if cloud_into is not None:
            self._cloud.download(cloud_into)
        self._device.synchronize()
        return self._depth.host.copy(), self._values.host.copy()

    def free(self) -> None:
        """Give the memory back; twice is harmless."""
        for buffer in (self._depth, self._values, self._cloud, *self._rays):
            buffer.free()
