"""Whole objects from one image, by a network, and where they are by the depth of what is visible.

All of it is guessed: it is never part of a depth map, nor of free space; clouds carry the field `guessed`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends import Backend
from recon3d_ros.errors import DataError
from recon3d_ros.estimation.completion import guessed_cloud
from recon3d_ros.estimation.cpu_model import CpuModel
from recon3d_ros.geometry import PinholeCamera, UnorganizedCloud
from recon3d_ros.geometry.object_in_view import Box
from recon3d_ros.geometry.unit_frame import ObjectView
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.preprocess import Preprocessor, plan_fit

Points = NDArray[np.float32]
# What is beside an object in its crop when a mask says so, as in training.
MASKED_GREY = 127
# Cells along a box in which the foremost point hides the others, and points with depth that place an object.
_CELLS, _LEAST_PLACED = 24, 8


class ObjectModel(CpuModel):
    """An open model of the task `point_set`. Not thread-safe.

    Args:
        manifest: Of the model.
        backend: In which it is open.
    """

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        super().__init__(manifest, backend)
        assert manifest.input.size_wh is not None  # a square, says the contract
        self.side_px = manifest.input.size_wh[0]
        fit = plan_fit(manifest.input, (self.side_px, self.side_px))
        self._preprocessor = Preprocessor(manifest.input, fit, 1)

    @staticmethod
    def require_task(manifest: Manifest) -> None:
        """See `CpuModel.require_task`."""
        manifest.require_point_set()

    def unit_points(self, crop: NDArray[np.uint8]) -> Points:
        """The points of the object in a crop of `ObjectView.crop`, (N, 3) float32 in its unit frame.

        Args:
            crop: (side_px, side_px, 3) uint8 RGB.

        Raises:
            BackendError: The runtime failed.
        """
        outputs = self._backend.infer(self._preprocessor.tensors([crop]))
        points: Points = outputs[self.manifest.output.name][0]
        return points

    def see(
        self, image: NDArray[np.uint8], camera: PinholeCamera, box: Box, mask: NDArray[np.bool_] | None = None
    ) -> SeenObject:
        """The object in a box of an image.

        Args:
            image: (H, W, 3) RGB or (H, W) grey uint8, rectified.
            camera: Of the image.
            box: x, y, width, height around the object, px.
            mask: (H, W) bool, what shows the object; None = everything in the box may.

        Raises:
            DataError: The box has no area.
            BackendError: The runtime failed.
        """
        view = ObjectView.of_box(camera, box)
        rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        if mask is not None:
            rgb = np.where(mask[..., None], rgb, np.uint8(MASKED_GREY))
        crop = view.crop(rgb, camera, self.side_px, MASKED_GREY)
        return SeenObject(crop, view, self.unit_points(crop))


@dataclass(frozen=True, eq=False)
class SeenObject:
    """What a network made of an object in an image.

    Attributes:
        crop: (side, side, 3) uint8 RGB, what it saw.
        view: The camera of the crop.
        unit_points: (N, 3) float32, the object's points in the unit frame of the view.
    """

    crop: NDArray[np.uint8]
    view: ObjectView
    unit_points: Points

    def distance_m(
        self,
        depth: NDArray[np.float32],
        camera: PinholeCamera,
        box: Box,
        mask: NDArray[np.bool_] | None = None,
    ) -> float:
        """How far the object's middle is along the view: where its front lies on the measured depth.

        The median over its foremost points, each with the depth of its pixel.

        Args:
            depth: (H, W) float32 m, NaN = unknown.
            camera: Of the depth image.
            box: The object's.
            mask: (H, W) bool, where depth is the object's; None = anywhere in the box.

        Raises:
            DataError: Hardly any pixel of the object has depth.
        """
        points = self.view.frame(1.0).to_metres(self.unit_points)
        points = points[points[:, 2] > 1e-3]
        u = np.rint(points[:, 0] / points[:, 2] * camera.fx + camera.cx).astype(int)
        v = np.rint(points[:, 1] / points[:, 2] * camera.fy + camera.cy).astype(int)
        height, width = depth.shape
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        u, v, z = u[inside], v[inside], points[inside, 2]
        size = max(box[2], box[3]) / _CELLS
        cells = (np.floor(v / size) * 65536 + np.floor(u / size)).astype(np.int64)
        order = np.lexsort((z, cells))
        front = order[np.unique(cells[order], return_index=True)[1]]
        u, v, z = u[front], v[front], z[front]
        measured = depth[v, u]
        known = np.isfinite(measured) & (measured > 0)
        if mask is not None:
            known &= mask[v, u]
        if np.count_nonzero(known) < _LEAST_PLACED:
            raise DataError(
                f"expected depth where the object is seen, got it at {np.count_nonzero(known)} of "
                f"{len(front)} places: check the box, and the limits of depth"
            )
        return float(np.median(measured[known] / z[known]))

    def cloud(self, distance_m: float, frame_id: str = "") -> UnorganizedCloud:
        """The object's points, x, y, z in m in the optical frame, and guessed = 1."""
        return guessed_cloud(self.view.frame(distance_m).to_metres(self.unit_points), frame_id=frame_id)

    def unit_cloud(self) -> UnorganizedCloud:
        """The same without metres: in the unit frame."""
        return guessed_cloud(self.unit_points)
