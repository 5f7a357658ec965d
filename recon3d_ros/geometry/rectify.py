"""From raw to rectified images."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.checks import is_rotation
from recon3d_ros.geometry.depth_map import check_plane
from recon3d_ros.geometry.frame import Frame
from recon3d_ros.geometry.plausibility import calibration_doubts
from recon3d_ros.geometry.rig import StereoRig
from recon3d_ros.geometry.unseen_pixels import nearest_seen, seen_by

_LEAST_SEEN = 1 / 3  # a K for twice the size leaves a quarter; fisheye lenses shown whole are above


class Rectifier:
    """Undistorts and rotates the images of one camera into its rectified image.

    Where a rectified image shows what the raw camera never saw, it shows the nearest pixels that it did see.
    Black there, as image_proc has it, is to a network an edge of disparity 0, which drags along the depth
    beside it: on scenes of the world 28 to 48 % of the pixels within 8 px of it are off by more than 3 px,
    8 to 10 % with the nearest pixels, 3 % where everything was seen.

    The look-up maps are made once, for the first image that has the size of the camera: an absurd size in a
    calibration must not cost their memory. Fixed-point maps: cv2.remap rounds float maps to the same 1/32 px
    and is slower with them.

    Args:
        camera: The raw camera; R and P say where to, binning and ROI are folded in.
        images_rectified: The images are rectified already, by others; what is left to do is said above.

    Attributes:
        camera: That of the rectified image.
    """

    def __init__(self, camera: PinholeCamera, images_rectified: bool = False) -> None:
        self._source, self._raw = camera, camera.folded()
        self._images_rectified = images_rectified
        self.camera = self._raw.as_rectified()

    @cached_property
    def _maps(self) -> tuple[NDArray[np.int16], NDArray[np.uint16]] | None:
        return None if self._raw.rectified else _maps(self._raw)

    @cached_property
    def valid(self) -> NDArray[np.bool_] | None:
        """(H, W) bool, True where the raw camera saw what the rectified image shows; None = everywhere."""
        return None if self._maps is None else seen_by(self._raw, self._maps)

    @cached_property
    def _nearest_seen(self) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        return None if self.valid is None or not self.valid.any() else nearest_seen(self.valid)

    def rectify(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Rectify one image, linearly interpolated.

        Args:
            image: (H, W) or (H, W, 3) uint8 of the raw camera; rectified, with `images_rectified`.

        Returns:
            The rectified image of the same shape and size; the very same array when there is nothing
            to rectify. `valid` tells what the camera saw of it.

        Raises:
            ImageError: Not such an array.
            CalibrationError: The size is not the one of the camera.
        """
        self._source.check_image(image)  # which can say what binning and ROI have to do with its size
        if self._maps is None:
            return image
        if not self._images_rectified:
            return cv2.remap(image, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore
        if self._nearest_seen is None:
            return image
        unseen, nearest = self._nearest_seen
        filled: NDArray[np.uint8] = image.copy()
        pixels = filled.reshape(image.shape[0] * image.shape[1], -1)
        pixels[unseen] = pixels[nearest]
        return filled

    def rectify_depth(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rectify depth that is registered to the raw image; the nearest value, as between two none is true.

        Args:
            depth: (H, W) float32 m along the axis of the raw camera, of the raw camera's size.

        Returns:
            (H, W) float32 m along the axis of the rectified camera, NaN where the raw image shows nothing;
            the very same array when there is nothing to rectify.

        Raises:
            ImageError: Not such an array.
        """
        check_plane("depth", depth, self._raw)
        if self._maps is None:
            return depth
        # Float maps: with fixed-point ones some versions of OpenCV take the pixel above and to the left.
        maps = cv2.convertMaps(*self._maps, cv2.CV_32FC1)
        moved = cv2.remap(depth, *maps, cv2.INTER_NEAREST, borderValue=float("nan"))
        if np.array_equal(self._raw.r, np.eye(3)):
            return moved  # type: ignore[return-value]
        # A ray (x, y, 1) of the rectified camera has this z in the raw one: the third row of R transposed.
        height, width = depth.shape
        x = (np.arange(width, dtype=np.float32) - self.camera.cx) / self.camera.fx
        y = (np.arange(height, dtype=np.float32)[:, None] - self.camera.cy) / self.camera.fy
        along = x * self._raw.r[0, 2] + y * self._raw.r[1, 2] + self._raw.r[2, 2]
        turned: NDArray[np.float32] = (moved / along).astype(np.float32)
        return turned


class FrameRectifier:
    """Turns raw images of one camera or stereo rig into rectified frames.

    Args:
        camera: Camera or rig of the raw images; if it is rectified already, images are not changed.
        images_rectified: As of :class:`Rectifier`.
    """

    def __init__(self, camera: PinholeCamera | StereoRig, images_rectified: bool = False) -> None:
        self._rig = camera.as_rectified() if isinstance(camera, StereoRig) else None
        cameras = (camera.left, camera.right) if isinstance(camera, StereoRig) else (camera,)
        self._rectifiers = [Rectifier(raw, images_rectified) for raw in cameras]
        self._doubts = calibration_doubts(camera.as_rectified() if images_rectified else camera)

    def frame(
        self,
        image: NDArray[np.uint8],
        right: NDArray[np.uint8] | None = None,
        stamp_ns: int = 0,
        name: str = "",
        frame_id: str = "",
    ) -> Frame:
        """Rectify the image, or the two images, of one instant.

        Args:
            image: (H, W, 3) RGB or (H, W) mono uint8 of the camera, or of the left one.
            right: The same of the right camera of a rig; None for one camera.
            stamp_ns: Acquisition time, ns.
            name: For file names and messages.
            frame_id: Of the optical frame of the (left) camera.

        Raises:
            DataError: There is a right image and one camera, or a rig and no right image.
            CalibrationError: An image has another size than its camera.
            ImageError: One is no such array.
        """
        images = [one for one in (image, right) if one is not None]
        if len(images) != len(self._rectifiers):
            raise DataError(
                f"expected as many images as cameras ({len(self._rectifiers)}), got {len(images)} in "
                f"{name or 'a frame'}: give a stereo camera for pairs and a single one for single images"
            )
        rectified = [rectifier.rectify(one) for rectifier, one in zip(self._rectifiers, images)]
        return Frame(
            stamp_ns=stamp_ns,
            image=rectified[0],
            camera=self._rectifiers[0].camera,
            right=rectified[1] if right is not None else None,
            rig=self._rig,
            name=name,
            frame_id=frame_id,
            valid=self._rectifiers[0].valid,
            right_valid=self._rectifiers[1].valid if right is not None else None,
            doubts=self.doubts,
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is unlikely about the camera or rig, one sentence each; computes the maps."""
        return self._doubts + self._unseen

    @cached_property
    def _unseen(self) -> tuple[str, ...]:
        """What to say of a camera that can hardly have taken its rectified images."""
        shares = [1.0 if one.valid is None else float(one.valid.mean()) for one in self._rectifiers]
        if min(shares) >= _LEAST_SEEN:
            return ()
        return (
            "expected K, D and R of the camera that the images are from, but by them it saw "
            f"{min(shares):.0%} of the rectified image: are they those of another size?",
        )


def _maps(camera: PinholeCamera) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    k, r, p, size_wh = camera.k, camera.r, camera.p[:, :3], camera.image_size_wh
    if camera.distortion_model == "equidistant":
        d = camera.d if camera.d.size else np.zeros(4)
        return cv2.fisheye.initUndistortRectifyMap(k, d, r, p, size_wh, cv2.CV_16SC2)  # type: ignore
    return cv2.initUndistortRectifyMap(k, camera.d, r, p, size_wh, cv2.CV_16SC2)  # type: ignore


def stereo_rectified_pair(
    k_left: ArrayLike,
    d_left: ArrayLike,
    k_right: ArrayLike,
    d_right: ArrayLike,
    T_right_left: ArrayLike,
    size_wh: tuple[int, int],
    distortion_model: str = "plumb_bob",
) -> StereoRig:
    """Fill R and P of a calibrated pair that has none (Bouguet's method, cv2.stereoRectify, alpha = 0).

    Args:
        k_left: (3, 3) px.
        d_left: (N,) distortion of the left camera.
        k_right: (3, 3) px.
        d_right: (N,) distortion of the right camera.
        T_right_left: (4, 4) m, maps points of the left into the right camera.
        size_wh: Columns and rows of both raw images.
        distortion_model: Of both cameras.

    Returns:
        The raw cameras with R and P filled; only pixels that both lenses saw are in the rectified images.

    Raises:
        CalibrationError: The numbers do not describe a pair with the right camera to the right.
    """
    T = np.asarray(T_right_left, dtype=np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all() or not is_rotation(T[:3, :3]):
        raise CalibrationError(
            f"expected a finite 4x4 T_right_left with a rotation in it, got {T.tolist()}: calibrate the pair"
        )
    width, height = size_wh
    raw = [
        PinholeCamera(width, height, np.asarray(k), np.asarray(d), distortion_model)
        for k, d in ((k_left, d_left), (k_right, d_right))
    ]
    d_pair = [camera.d if camera.d.size else np.zeros(4) for camera in raw]
    geometry = (raw[0].k, d_pair[0], raw[1].k, d_pair[1], size_wh, T[:3, :3], T[:3, 3])
    try:
        if distortion_model == "equidistant":
            r1, r2, p1, p2, _ = cv2.fisheye.stereoRectify(*geometry, flags=cv2.CALIB_ZERO_DISPARITY)
        else:
            r1, r2, p1, p2, *_ = cv2.stereoRectify(*geometry, flags=cv2.CALIB_ZERO_DISPARITY, alpha=0)
    except cv2.error as exc:
        raise CalibrationError(
            f"the pair cannot be rectified ({exc.err}): check K, D and T_right_left"
        ) from exc
    left, right = (
        PinholeCamera(
            width, height, camera.k, camera.d, distortion_model, np.asarray(r, float), np.asarray(p, float)
        )
        for camera, r, p in zip(raw, (r1, r2), (p1, p2), strict=True)
    )
    return StereoRig(left, right)
