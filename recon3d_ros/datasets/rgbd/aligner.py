"""One camera's image and depth to a sample: on one grid, rectified, with the K that belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, DataError, ImageError
from recon3d_ros.geometry import Frame, PinholeCamera, Rectifier, Sample

# Widths and heights of one view may be rounded apart: ScanNet's 1296x968 and 640x480 differ by 0.4 %.
ASPECT_TOLERANCE = 0.01
# Shifts below are not worth the blur of another interpolation.
_NEGLIGIBLE_PX = 0.02


class RgbdAligner:
    """Makes samples of images and of depth that is registered to them; rectification maps are made once.

    Args:
        camera: Of the images as they lie on disk, raw or rectified.
        depth_camera: Of the depth, where it has a calibration of its own (and looks from the same place);
            None: depth is the view of `camera`, at any resolution of the same aspect.
    """

    def __init__(self, camera: PinholeCamera, depth_camera: PinholeCamera | None = None) -> None:
        self._camera, self._depth_camera = camera.folded(), depth_camera
        self._rectifier: Callable[[PinholeCamera], Rectifier] = lru_cache(maxsize=2)(Rectifier)

    def sample(
        self, name: str, stamp_ns: int, image: NDArray[np.uint8], depth: NDArray[np.float32], source: str
    ) -> Sample:
        """Make a sample on the coarser grid of the two.

        Args:
            name: Of the sample.
            stamp_ns: Of the image.
            image: (H, W, 3) RGB or (H, W) uint8.
            depth: (h, w) float32 m, NaN = unknown.
            source: What to call the depth in an error.

        Raises:
            DataError: Not one pixel of the depth is known.
            CalibrationError: The image is not the camera's size.
            ImageError: The depth is no view of the camera, by its size.
        """
        if np.isnan(depth).all():
            raise DataError(
                f"expected depth in {source}, every pixel of it is unknown (0): leave this frame out"
            )
        try:
            self._camera.check_image(image)
        except (CalibrationError, ImageError) as exc:
            raise type(exc)(f"{name}: {exc}") from exc
        image, depth, camera = on_one_grid(
            image, self._camera, depth, self._of_depth(depth.shape[::-1], source)
        )
        rectifier = self._rectifier(camera)
        frame = Frame(stamp_ns, rectifier.rectify(image), rectifier.camera, name=name, valid=rectifier.valid)
        return Sample(frame, None, rectifier.rectify_depth(depth), name)

    def _of_depth(self, size_wh: tuple[int, ...], source: str) -> PinholeCamera:
        known = self._depth_camera or self._camera
        width, height = size_wh
        across, down = width / known.image_size_wh[0], height / known.image_size_wh[1]
        if size_wh != known.image_size_wh and (
            self._depth_camera is not None or abs(across / down - 1) > ASPECT_TOLERANCE
        ):
            columns, rows = known.image_size_wh
            raise ImageError(
                f"expected depth of {columns}x{rows}, or of the same view at another resolution, got "
                f"{width}x{height} in {source}: export depth that is registered to the image"
            )
        return known.scaled((width, height))


def on_one_grid(
    image: NDArray[np.uint8], camera: PinholeCamera, depth: NDArray[np.float32], depth_camera: PinholeCamera
) -> tuple[NDArray[np.uint8], NDArray[np.float32], PinholeCamera]:
    """Bring the finer of image and depth to the grid of the coarser; both look from the same place.

    The image is averaged (cv2.INTER_AREA), depth takes the nearest value: between two there is none.

    Args:
        image: (H, W, 3) or (H, W) uint8 of `camera`.
        camera: Its K.
        depth: (h, w) float32 m of `depth_camera`.
        depth_camera: Its K; the distortion is that of `camera`.

    Returns:
        Image, depth and camera of one size. Depth is NaN where the other one sees nothing.
    """
    if camera == depth_camera:
        return image, depth, camera
    if depth.shape[1] > image.shape[1]:
        maps = _places(camera, depth_camera)
        moved = cv2.remap(depth, *maps, cv2.INTER_NEAREST, borderValue=float("nan"))
        return image, moved, camera  # type: ignore[return-value]
    size_wh = depth_camera.image_size_wh
    scaled = camera.scaled(size_wh)
    if image.shape[1::-1] != size_wh:
        image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    columns, rows = _places(depth_camera, scaled)
    here = _places(depth_camera, depth_camera)
    if max(np.abs(columns - here[0]).max(), np.abs(rows - here[1]).max()) < _NEGLIGIBLE_PX:
        return image, depth, depth_camera
    image = cv2.remap(  # type: ignore[assignment]
        image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    width, height = size_wh
    seen = (columns >= -0.5) & (columns <= width - 0.5) & (rows >= -0.5) & (rows <= height - 0.5)
    return image, np.where(seen, depth, np.float32(np.nan)), depth_camera


def _places(to: PinholeCamera, source: PinholeCamera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row, (H, W), in the image of `source` of each pixel of `to`: K_source K_to^-1."""
    width, height = to.image_size_wh
    columns = (np.arange(width) - to.k[0, 2]) / to.k[0, 0] * source.k[0, 0] + source.k[0, 2]
    rows = (np.arange(height) - to.k[1, 2]) / to.k[1, 1] * source.k[1, 1] + source.k[1, 2]
    u, v = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    return u, v
