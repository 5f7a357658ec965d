"""Metric depth from one moving camera whose poses are known: two of its views are a stereo pair."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.errors import ConfigError, NoParallaxError, ParallaxError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.geometry.image_checks import check_pair
from recon3d_ros.geometry.left_right import agreement, exchanged
from recon3d_ros.geometry.motion_pair import MotionPair, Parallax, parallax

_KEPT_PX = 2.0  # a view that moved less than this since the last one is not kept for others
_TRUSTED = 0.5  # confidence of depth that tells the typical depth
_LEAST_SHARE = 0.02  # of the image, to tell it
_RANGE = 16.0  # how many times nearer or farther the typical depth may be than it was said to be
_FAR_TOO_MUCH = 3.0  # times the parallax that is looked for: of such a view nothing fits
Matrix = NDArray[np.float64]


class View(NamedTuple):
    """An image with its (4, 4) pose, m."""

    frame: Frame
    T_world_camera: Matrix


class MotionStereo:
    """Depth of the images of one moving camera, each matched with an earlier one. Not thread-safe.

    For each image the earlier view is taken that shows most of it with the parallax that is wanted. Both are
    rectified to each other and matched from left to right and from right to left; where the two disagree, the
    depth is unknown, as it is where only one of them looked and where the shift is too small.

    Args:
        estimator: Of a stereo model; the caller closes it.
        config: Which views are matched, and what is believed.

    Raises:
        ConfigError: The model is no stereo model.
    """

    def __init__(self, estimator: Estimator, config: MotionConfig | None = None) -> None:
        if not estimator.is_stereo:
            raise ConfigError(
                f"expected a stereo model for depth from motion, got {estimator.manifest.name}: choose "
                "another one, or leave model out"
            )
        self.estimator = estimator
        self.config = config or MotionConfig()
        self._views: deque[View] = deque(maxlen=self.config.motion_views)
        self._typical_m = self.config.motion_depth_m

    def estimate(self, frame: Frame, T_world_camera: Matrix) -> DepthMap:
        """Depth of an image; later images can be matched with it.

        Args:
            frame: Of a pair its left image is used.
            T_world_camera: (4, 4) float64 m, pose of its optical frame.

        Returns:
            Depth, confidence and sigma on the grid of the image. Depth is NaN and confidence 0 where the two
            views do not agree.

        Raises:
            NoParallaxError: No earlier view shows enough of it with enough parallax; it says why.
            ParallaxError: The poses do not fit the images.
            CalibrationError: The pose is no rigid transform.
            BackendError: The runtime failed.
        """
        view = View(frame, np.asarray(T_world_camera, np.float64))
        try:
            other = self._partner(view)
        finally:
            self._keep(view)
        pair = MotionPair.between(frame.camera, _relative(view, other))
        rectified = pair.frame(frame, other.frame)
        self._require_fit(rectified)
        agreeing = self._matched(rectified)
        shift = agreeing.disparity
        assert shift is not None
        with np.errstate(invalid="ignore"):
            depth_map = pair.back(agreeing.restricted(shift >= self.config.motion_min_parallax_px))
        self._learn(depth_map, agreeing)
        return depth_map

    def configure(self, config: MotionConfig) -> None:
        """Take other options; the newest views stay."""
        if config.motion_depth_m != self.config.motion_depth_m:
            self._typical_m = config.motion_depth_m
        self._views = deque(self._views, maxlen=config.motion_views)
        self.config = config

    def continue_from(self, former: MotionStereo) -> None:
        """Match images with the views of another one, whose model was another one; its thread may go on."""
        self._views = deque(former._views.copy(), maxlen=self.config.motion_views)
        self._typical_m = former._typical_m

    def forget(self) -> None:
        """Match nothing with the views so far, as when time or poses have jumped."""
        self._views.clear()
        self._typical_m = self.config.motion_depth_m

    def forget_before(self, stamp_ns: int) -> None:
        """Match nothing with views that are older: what they show may have changed."""
        while self._views and self._views[0].frame.stamp_ns < stamp_ns:
            self._views.popleft()

    def _partner(self, view: View) -> View:
        """The earlier view with which most can be measured."""
        best, most, seen = None, 0.0, []
        for other in reversed(self._views):
            if other.frame.camera != view.frame.camera:
                continue
            found = parallax(view.frame.camera, _relative(view, other), self._typical_m)
            seen.append(found)
            worth = self._worth(found)
            if worth > most:
                best, most = other, worth
        if best is None or most < self.config.motion_min_overlap:
            reason = self._reason(seen)
            # The scene may not be as near or far as it was: without a step back this would not end.
            said = self.config.motion_depth_m
            self._typical_m = min(max(said, self._typical_m / 2), 2 * self._typical_m)
            raise NoParallaxError(reason)
        return best

    def _worth(self, found: Parallax) -> float:
        """Share of the image that can be measured, less where the parallax is not as wanted."""
        times = found.px / self.config.motion_parallax_px
        fit = np.minimum(times, 1) * np.clip((_FAR_TOO_MUCH - times) / (_FAR_TOO_MUCH - 1), 0, 1)
        return float(np.mean(fit * (found.seen & found.across)))

    def _reason(self, seen: list[Parallax]) -> str:
        """Why no earlier view will do."""
        least, wanted = self.config.motion_min_overlap, self.config.motion_parallax_px
        head = f"expected an earlier view with a shift of {wanted:g} px in a share of {least:g} of the image"
        if not seen:
            return f"{head}, got none: the first view of a recording has no depth"
        if max(np.mean(one.seen) for one in seen) < least:
            return f"{head}, got none that shows the same: the camera turned away, or poses do not belong"
        most = max(float(np.median(one.px)) for one in seen)
        sideways = max(np.mean(one.across) for one in seen) > 0.5
        if not sideways and most > self.config.motion_min_parallax_px:
            return f"{head}, the camera moved along its axis: only motion to a side shows depth"
        how = "did not move far enough" if most < wanted else "moved too far from one view to the next"
        return f"{head}, got {most:.1f} px at the typical depth of {self._typical_m:.2f} m: the camera {how}"

    def _require_fit(self, pair: Frame) -> None:
        """Refuse a pair whose rows do not match: a network would measure something there all the same."""
        assert pair.right is not None
        for fault in check_pair(pair.image, pair.right):
            if fault.kind == "vertical_error" and fault.value > self.config.motion_max_row_error_px:
                found = f"rows that are off by {fault.value:.1f} px"
            elif fault.kind == "swapped":
                found = "shifts in the wrong direction"
            elif fault.kind == "decorrelated":
                found = "views that do not match"
            else:
                continue
            raise ParallaxError(
                f"expected images that fit the poses, got {found}: check poses, calibration and stamps, and "
                "whether the scene moved"
            )

    def _keep(self, view: View) -> None:
        if self._views and self._views[-1].frame.camera == view.frame.camera:
            last = self._views[-1]
            moved = parallax(view.frame.camera, _relative(view, last), self._typical_m)
            if np.median(moved.px) < _KEPT_PX and moved.seen.mean() > 1 - self.config.motion_min_overlap:
                return
        self._views.append(view)

    def _learn(self, depth_map: DepthMap, agreeing: DepthMap) -> None:
        """The typical depth, for the choice of the next view.

        Where the shift is too small for depth to be believed, it still tells that the scene is far; where
        nothing agrees, the scene may be nearer.
        """
        near, far = self.config.motion_depth_m / _RANGE, self.config.motion_depth_m * _RANGE
        for seen in (depth_map, agreeing):
            good = seen.depth > 0  # +Inf, too
            if seen.confidence is not None:
                good = good & (seen.confidence > _TRUSTED)
            if good.mean() >= _LEAST_SHARE:
                self._typical_m = float(np.median(seen.depth[good]))
                if seen is agreeing:
                    self._typical_m = float(np.clip(self._typical_m, near, far))
                return
        self._typical_m = max(self._typical_m / 2, near)

    def _matched(self, pair: Frame) -> DepthMap:
        """The left view where the match from right to left is the same."""
        # Poses put the rows of each pair askew otherwise, and `motion_max_row_error_px` says how far.
        left, right = self.estimator.estimate_many([pair, exchanged(pair)], align_rows=False)
        assert left.disparity is not None and right.disparity is not None  # of a stereo model
        return left.restricted(agreement(left.disparity, right.disparity, self.config.motion_check_px))


def _relative(view: View, other: View) -> Matrix:
    """(4, 4): from the view to the other one."""
    T: Matrix = np.linalg.inv(other.T_world_camera) @ view.T_world_camera
    return T
