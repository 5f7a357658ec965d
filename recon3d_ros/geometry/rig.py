"""Two cameras whose rectified images share their rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError
from recon3d_ros.geometry.camera import PinholeCamera

# Calibration files are rounded; what is off by more than this is another camera.
_FOCAL_TOLERANCE = 1e-3
_ROW_TOLERANCE_PX = 0.5


@dataclass(frozen=True)
class StereoRig:
    """A left and a right camera, rectified to each other by their R and P.

    P may place both cameras in the frame of another one (KITTI's colour cameras; the right one as reference):
    what counts is the distance between them. The rig holds P in the frame of the left camera.

    Attributes:
        left: The camera that depth, cloud, stamp and frame belong to; its P[0, 3] is 0 once it is here.
        right: The camera to its right: P[0, 3] = -fx * baseline.

    Raises:
        CalibrationError: At construction: sizes, focal lengths or rows differ, or the baseline is not
            positive.
    """

    left: PinholeCamera
    right: PinholeCamera
    # Hot path: the folded numbers are taken once. The dataclass is frozen, so they cannot go stale.
    _fx: float = field(init=False, repr=False, compare=False)
    _doffs_px: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        left, right = self.left.folded(), self.right.folded()
        if left.image_size_wh != right.image_size_wh:
            raise CalibrationError(
                f"expected left and right images of one size, got {left.image_size_wh} and "
                f"{right.image_size_wh}: use cameras of one resolution"
            )
        for name, a, b in (("fx", left.fx, right.fx), ("fy", left.fy, right.fy)):
            if abs(a - b) > _FOCAL_TOLERANCE * a:
                raise CalibrationError(
                    f"expected equal {name} in P of left and right, got {a:g} and {b:g}: "
                    "calibrate the pair as stereo, then P is common"
                )
        if abs(left.cy - right.cy) > _ROW_TOLERANCE_PX:
            raise CalibrationError(
                f"expected the rows of left and right aligned, got cy={left.cy:g} and {right.cy:g} in P: "
                "calibrate the pair as stereo"
            )
        _check_baseline(left, right)
        offset_m = self.left.p[0, 3] / self.left.p[0, 0]
        if offset_m:
            for name in ("left", "right"):
                object.__setattr__(self, name, _moved(getattr(self, name), offset_m))
        object.__setattr__(self, "_fx", left.fx)
        object.__setattr__(self, "_doffs_px", left.cx - right.cx)

    @classmethod
    def simple(
        cls,
        width: int,
        height: int,
        fx: float,
        baseline_m: float,
        cx: float | None = None,
        cy: float | None = None,
        doffs_px: float = 0.0,
    ) -> StereoRig:
        """A rectified rig; the right camera's cx is `cx` - `doffs_px`."""
        left = PinholeCamera.simple(width, height, fx, cx, cy)
        right = PinholeCamera.simple(width, height, fx, left.cx - doffs_px, left.cy)
        p = right.p.copy()
        p[0, 3] = -fx * baseline_m
        return cls(left, replace(right, p=p))

    @property
    def fx(self) -> float:
        """Focal length of the rectified images, px."""
        return self._fx

    @property
    def baseline_m(self) -> float:
        """Distance of the optical centres, m, positive."""
        return float(-self.right.p[0, 3] / self.right.p[0, 0])

    @property
    def doffs_px(self) -> float:
        """Disparity of infinity, px: cx of the left minus cx of the right rectified image."""
        return self._doffs_px

    def depth_from_disparity(self, disparity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Apply Z = fx B / (d - doffs).

        Args:
            disparity: (...) px, x_left - x_right; NaN where unknown.

        Returns:
            A new array of the same shape, float32 m: NaN stays NaN; d <= doffs is +Inf, farther than
            can be measured.
        """
        depth: NDArray[np.float32] = np.subtract(disparity, np.float32(self.doffs_px), dtype=np.float32)
        if (depth <= 0).any():  # looking is cheaper than these two, 0.1 ms at 640x480
            np.maximum(depth, 0, out=depth)
            np.abs(depth, out=depth)  # -0.0 would divide to -Inf
        with np.errstate(divide="ignore"):
            np.divide(np.float32(self.fx * self.baseline_m), depth, out=depth)
        return depth

    def disparity_from_depth(self, depth: NDArray[np.floating]) -> NDArray[np.float32]:
        """Apply d = fx B / Z + doffs.

        Args:
            depth: (...) m; NaN where unknown, +Inf for the sky.

        Returns:
            A new array of the same shape, float32 px: NaN for NaN and for Z <= 0, doffs for +Inf.
        """
        disparity: NDArray[np.float32] = np.array(depth, dtype=np.float32)
        np.copyto(disparity, np.nan, where=disparity <= 0)
        np.divide(np.float32(self.fx * self.baseline_m), disparity, out=disparity)
        np.add(disparity, np.float32(self.doffs_px), out=disparity)
        return disparity

    def scaled(self, size_wh: tuple[int, int]) -> StereoRig:
        """The rig of the images resized to `size_wh`."""
        return StereoRig(self.left.scaled(size_wh), self.right.scaled(size_wh))

    def folded(self) -> StereoRig:
        """The rig with ROI and binning folded into K and P."""
        return StereoRig(self.left.folded(), self.right.folded())

    def as_rectified(self) -> StereoRig:
        """The rig of the rectified images."""
        return StereoRig(self.left.as_rectified(), self.right.as_rectified())


def _check_baseline(left: PinholeCamera, right: PinholeCamera) -> None:
    """Refuse a right camera that is not to the right of the left one."""
    baseline_m = (float(left.p[0, 3]) - float(right.p[0, 3])) / left.fx
    if baseline_m > 0:
        return
    if baseline_m < 0:
        raise CalibrationError(
            f"expected a positive baseline, got {baseline_m:g} m from P of the two cameras: "
            "left and right are swapped, exchange their topics or files"
        )
    if left.p[1, 3] != right.p[1, 3]:
        below_m = (float(left.p[1, 3]) - float(right.p[1, 3])) / left.fy
        raise CalibrationError(
            f"expected cameras side by side, got a vertical pair: P[1, 3] puts one camera {abs(below_m):g} m "
            f"{'below' if below_m > 0 else 'above'} the other; turn the images and their calibration by 90 "
            "degrees, so that the disparity runs along the rows"
        )
    raise CalibrationError(
        "expected P[0, 3] = -fx * baseline in the right camera, got 0: the pair is not calibrated as stereo, "
        "publish the camera_info of a stereo calibration"
    )


def _moved(camera: PinholeCamera, offset_m: float) -> PinholeCamera:
    """The camera with P in a frame that lies so far to the right."""
    p = camera.p.copy()
    p[0, 3] -= offset_m * p[0, 0]
    return replace(camera, p=p)
