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
# P of KITTI's colour cameras differs across the baseline by 0.7 % of it.
_ASIDE = 0.02


@dataclass(frozen=True)
class StereoRig:
    """A left and a right camera, rectified to each other by their R and P.

    P may place both cameras in the frame of another one (KITTI's colour cameras; the right one as reference):
    what counts is the distance between them. The rig holds P in the frame of the left camera.

    A vertical pair has its second camera below the first, P[1, 3] = -fy * baseline, and its disparity runs
    down the columns: `turned` is the rig of its images after a quarter turn, in which it runs along the rows.

    Attributes:
        left: The camera that depth, cloud, stamp and frame belong to; its P[0, 3] and P[1, 3] are 0 once it
            is here.
        right: The camera to its right: P[0, 3] = -fx * baseline; of a vertical pair the one below.

    Raises:
        CalibrationError: At construction: sizes, focal lengths or rows (columns) differ, or the baseline is
            not positive.
    """

    left: PinholeCamera
    right: PinholeCamera
    # Hot path: the folded numbers are taken once. The dataclass is frozen, so they cannot go stale.
    _fx: float = field(init=False, repr=False, compare=False)
    _doffs_px: float = field(init=False, repr=False, compare=False)
    _axis: int = field(init=False, repr=False, compare=False)

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
        offsets_m = [(_offset_m(left, i), _offset_m(right, i)) for i in (0, 1)]
        axis = _axis_of([of_left - of_right for of_left, of_right in offsets_m])
        lines, across = ("rows", "cy") if axis == 0 else ("columns", "cx")
        if abs(getattr(left, across) - getattr(right, across)) > _ROW_TOLERANCE_PX:
            raise CalibrationError(
                f"expected the {lines} of left and right aligned, got {across}={getattr(left, across):g} and "
                f"{getattr(right, across):g} in P: calibrate the pair as stereo"
            )
        of_left_m = [of_left for of_left, _ in offsets_m]
        if any(of_left_m):
            for name in ("left", "right"):
                object.__setattr__(self, name, _moved(getattr(self, name), of_left_m))
        object.__setattr__(self, "_axis", axis)
        object.__setattr__(self, "_fx", float(left.p[axis, axis]))
        object.__setattr__(self, "_doffs_px", float(left.p[axis, 2] - right.p[axis, 2]))

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
        fy: float | None = None,
    ) -> StereoRig:
        """A rectified rig; the right camera's cx is `cx` - `doffs_px`."""
        left = PinholeCamera.simple(width, height, fx, cx, cy, fy)
        right = PinholeCamera.simple(width, height, fx, left.cx - doffs_px, left.cy, fy)
        p = right.p.copy()
        p[0, 3] = -fx * baseline_m
        return cls(left, replace(right, p=p))

    @property
    def fx(self) -> float:
        """Focal length of the rectified images along the baseline, px: fy of a vertical pair."""
        return self._fx

    @property
    def is_vertical(self) -> bool:
        """Whether the second camera is below the first one."""
        return self._axis == 1

    @property
    def baseline_m(self) -> float:
        """Distance of the optical centres, m, positive."""
        return float(-self.right.p[self._axis, 3] / self.right.p[self._axis, self._axis])

    @property
    def doffs_px(self) -> float:
        """Disparity of infinity, px: cx (vertical: cy) of the left minus that of the right image."""
        return self._doffs_px

    def depth_from_disparity(self, disparity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Apply Z = fx B / (d - doffs).

        Args:
            disparity: (...) px, x_left - x_right; NaN where unknown.

        Returns:
            A new array of the same shape, float32 m: NaN stays NaN; d <= doffs is +Inf, farther than
            can be measured.
        """
        adjusted: NDArray[np.float32] = np.asarray(disparity, np.float32)
        if self.doffs_px:
            adjusted = adjusted - np.float32(self.doffs_px)
        if (adjusted <= 0).any():  # looking is cheaper than these two, 0.1 ms at 640x480
            adjusted = np.maximum(adjusted, 0)
            np.abs(adjusted, out=adjusted)  # -0.0 would divide to -Inf
        with np.errstate(divide="ignore"):
            depth: NDArray[np.float32] = np.divide(np.float32(self.fx * self.baseline_m), adjusted)
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

    def turned(self) -> StereoRig:
        """The rig of a rectified vertical pair whose images are turned by `numpy.rot90`, then side by side.

        A row of the turned image is a column of the image, read downwards; x' = y and y' = -x.
        """
        left = self.left.as_rectified()
        width, height = left.image_size_wh
        center_px = (left.cy, width - 1 - left.cx)
        return StereoRig.simple(height, width, left.fy, self.baseline_m, *center_px, self.doffs_px, left.fx)

    def scaled(self, size_wh: tuple[int, int]) -> StereoRig:
        """The rig of the images resized to `size_wh`."""
        return StereoRig(self.left.scaled(size_wh), self.right.scaled(size_wh))

    def folded(self) -> StereoRig:
        """The rig with ROI and binning folded into K and P."""
        return StereoRig(self.left.folded(), self.right.folded())

    def as_rectified(self) -> StereoRig:
        """The rig of the rectified images."""
        return StereoRig(self.left.as_rectified(), self.right.as_rectified())


def _offset_m(camera: PinholeCamera, axis: int) -> float:
    """How far P puts the camera from its frame, m, along x (0) or y (1)."""
    return float(camera.p[axis, 3] / camera.p[axis, axis])


def _axis_of(baselines_m: list[float]) -> int:
    """The axis along which the second camera lies, 0 to the right or 1 below; others are refused.

    Args:
        baselines_m: How far it lies to the right and below, m.
    """
    axis = 1 if abs(baselines_m[1]) > abs(baselines_m[0]) else 0
    baseline_m, aside_m = baselines_m[axis], baselines_m[1 - axis]
    if baseline_m == 0:
        raise CalibrationError(
            "expected P[0, 3] = -fx * baseline (of a vertical pair P[1, 3] = -fy * baseline) in the right "
            "camera, got 0: the pair is not calibrated as stereo, publish the camera_info of a stereo "
            "calibration"
        )
    if abs(aside_m) > _ASIDE * abs(baseline_m):
        raise CalibrationError(
            f"expected the cameras along the rows or along the columns of P, got one {baselines_m[0]:g} m to "
            f"the right and {baselines_m[1]:g} m below: calibrate the pair as stereo, then R and P align it"
        )
    if baseline_m < 0:
        hint = " (of a vertical pair left is the upper camera)" if axis else ""
        raise CalibrationError(
            f"expected a positive baseline, got {baseline_m:g} m from P of the two cameras: "
            f"left and right are swapped{hint}, exchange their topics or files"
        )
    return axis


def require_side_by_side(rig: StereoRig) -> None:
    """Refuse a vertical pair where its images are not rectified here.

    Raises:
        CalibrationError: It is one.
    """
    if rig.is_vertical:
        raise CalibrationError(
            f"expected cameras side by side, got a vertical pair: P[1, 3] puts one {rig.baseline_m:g} m "
            "below the other; set rectify, with the raw images, which turns the pair, or turn the images and "
            "their calibration by 90 degrees"
        )


def _moved(camera: PinholeCamera, offsets_m: list[float]) -> PinholeCamera:
    """The camera with P in a frame that lies so far to the right and below."""
    p = camera.p.copy()
    for i, offset_m in enumerate(offsets_m):
        p[i, 3] -= offset_m * p[i, i]
    return replace(camera, p=p)
