"""Visual odometry on estimated depth: where the camera is, frame by frame, and when that is not known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.errors import CalibrationError
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera
from recon3d_ros.geometry.grey import to_grey
from recon3d_ros.odometry.alignment import (
    Alignment,
    Array,
    Points,
    align,
    exponential,
    inverse,
    logarithm,
    project,
)
from recon3d_ros.odometry.keyframe import Edge, Keyframe
from recon3d_ros.odometry.sampling import DepthSampler, corners
from recon3d_ros.odometry.tracking import Features, describe, follow, match

DEFAULTS = OdometryConfig()
_LEAST_SHARE = 0.35  # of the matched points that must agree with a pose
_KEYFRAME_SHARE = 0.45  # of the points of a keyframe; with fewer in sight the frame becomes one itself
_KEYFRAME_PARALLAX = 0.12  # median shift by translation, as a part of the image's width


class Status(str, Enum):
    """What is known about the pose of a frame."""

    TRACKED = "tracked"
    RELOCATED = "relocated"  # tracking failed, descriptors found the last keyframe again
    NEW_SUBMAP = "new_submap"  # the pose relative to earlier frames is not known: a map of its own begins
    LOST = "lost"  # no pose at all: too little to see, or no depth


@dataclass(frozen=True, eq=False)
class Step:
    """What odometry says about a frame.

    Attributes:
        stamp_ns: Of the frame.
        status: Whether the pose is known, and from where.
        submap: Number of the map that the pose is in; poses of different submaps cannot be compared. -1 when
            lost.
        T_map_camera: (4, 4) float64, m; None when lost.
        keyframe: Index of the keyframe that the pose is relative to, maybe of this frame itself; -1 = lost.
        T_keyframe_camera: (4, 4) float64, m; None when lost.
        inliers: Number of points that agree with the pose.
        reason: Why the status is not TRACKED, one sentence; empty otherwise.
    """

    stamp_ns: int
    status: Status
    submap: int
    T_map_camera: Array | None
    keyframe: int
    T_keyframe_camera: Array | None
    inliers: int
    reason: str = ""


@dataclass(eq=False)
class _View:
    """What one frame offers to tracking."""

    frame: Frame
    number: int
    image: NDArray[np.uint8]
    sampler: DepthSampler
    features: Features | None = None

    def described(self, most: int) -> Features:
        """Its SIFT features, made when they are first asked for."""
        if self.features is None:
            self.features = describe(self.image, self.sampler, most, self.frame.valid)
        return self.features


@dataclass(eq=False)
class _Anchor:
    """A recent keyframe with what tracking needs of it."""

    index: int
    keyframe: Keyframe
    image: NDArray[np.uint8]
    points: Points


@dataclass(frozen=True, eq=False)
class _Found:
    """The pose of a view relative to an anchor."""

    anchor: _Anchor
    alignment: Alignment
    share: float  # of the points of the keyframe that are in the view and agree
    parallax: float  # median shift of a point beyond rotation, as a part of the width

    @property
    def T_map_camera(self) -> Array:
        return self.anchor.keyframe.T_map_camera @ inverse(self.alignment.T_target_source)


class VisualOdometry:
    """Follows one camera: stereo, RGB-D, or mono with metric depth.

    Not thread-safe. The same input gives the same poses. A frame is aligned with the last keyframe, not with
    the frame before, so that a camera at rest stays where it is. A new keyframe is aligned with several
    earlier ones, and its pose is the mean of all these measurements, weighted by their information.

    Args:
        config: Thresholds and sizes.
        remember: Keep what `close_loops` needs of all frames, some 100 KB for each keyframe; False for a
            robot that never stops.

    Attributes:
        keyframes: All of them, in order; empty without `remember`.
        edges: Measured poses between keyframes; empty without `remember`.
        steps: The result of every frame; without `remember` of the last one.
        camera: Of all frames; None before the first.
    """

    def __init__(self, config: OdometryConfig = DEFAULTS, remember: bool = True) -> None:
        self.config = config
        self._remember = remember
        self._frames = self._keyframes = 0
        self.keyframes: list[Keyframe] = []
        self.edges: list[Edge] = []
        self.steps: list[Step] = []
        self.camera: PinholeCamera | None = None
        self._anchors: list[_Anchor] = []
        self._last: Array = np.eye(4)  # T_map_camera of the last frame with a pose
        self._motion: Array = np.eye(4)  # T_before_now of the last two frames

    def track(self, frame: Frame, depth_map: DepthMap) -> Step:
        """Find the pose of the next frame.

        Args:
            frame: Rectified image, or pair, in order of time.
            depth_map: Its metric depth.

        Raises:
            CalibrationError: The camera is another one than that of the frames before.
        """
        if self.camera is None:
            self.camera = frame.camera
        if frame.camera != self.camera:
            raise CalibrationError(
                "expected one camera for all frames, got another one: make a new VisualOdometry for it"
            )
        sampler = DepthSampler(depth_map, frame.rig, self.config.odometry_min_confidence)
        step = self._step(_View(frame, self._frames, to_grey(frame.image), sampler))
        self._frames += 1
        self.steps.append(step)
        if not self._remember:
            del self.steps[:-1]
        return step

    def _step(self, view: _View) -> Step:
        if not self._anchors:
            return self._begin(view, "the first frame")
        anchor, status, reason = self._anchors[-1], Status.TRACKED, ""
        # as it moved before; then, where that is wrong, as if it stood still
        found = self._follow(anchor, view, self._last @ self._motion)
        if found is None:
            found = self._follow(anchor, view, self._last)
        if found is None:
            found = self._recognize(view)
            status, reason = Status.RELOCATED, "tracks were lost; descriptors found the last keyframes again"
        if found is None:
            return self._begin(view, "neither tracks nor descriptors connect it with the last keyframes")
        return self._accept(view, found, status, reason)

    def _follow(self, anchor: _Anchor, view: _View, T_map_camera: Array) -> _Found | None:
        """The pose relative to a keyframe, by tracks of its points from where a pose expects them."""
        camera, start = view.frame.camera, inverse(T_map_camera) @ anchor.keyframe.T_map_camera
        expected = project(start, anchor.points, camera)
        uv, good = follow(anchor.image, anchor.points.uv, view.image, expected)
        return self._aligned(anchor, anchor.points[good], view.sampler.at(uv[good]), camera, start)

    def _recognize(self, view: _View) -> _Found | None:
        """The pose relative to one of the recent keyframes, by descriptors."""
        features, camera = view.described(self.config.odometry_features), view.frame.camera
        for anchor in reversed(self._anchors):
            known = anchor.keyframe.features
            here, there = match(known, features)
            found = self._aligned(anchor, known.points[here], features.points[there], camera, None)
            if found is not None:
                return found
        return None

    def _aligned(
        self, anchor: _Anchor, source: Points, target: Points, camera: PinholeCamera, start: Array | None
    ) -> _Found | None:
        """The alignment of matched points, if enough of them agree."""
        alignment = align(source, target, camera, start)
        if alignment is None:
            return None
        count = int(alignment.inlier.sum())
        if count < max(self.config.odometry_min_inliers, _LEAST_SHARE * len(source)):
            return None
        pose = alignment.T_target_source
        inliers = source[alignment.inlier]
        turned = pose.copy()
        turned[:3, 3] = 0
        shift = project(pose, inliers, camera) - project(turned, inliers, camera)
        parallax = float(np.nanmedian(np.hypot(*shift.T))) / camera.image_size_wh[0]
        return _Found(anchor, alignment, count / max(len(anchor.points), 1), parallax)

    def _accept(self, view: _View, found: _Found, status: Status, reason: str) -> Step:
        """Take in a pose; the frame may become a keyframe."""
        pose, anchor = found.T_map_camera, found.anchor
        index, relative = anchor.index, inverse(found.alignment.T_target_source)
        known = _KEYFRAME_SHARE * (1 if status is Status.TRACKED else 2)
        if found.share < known or found.parallax > _KEYFRAME_PARALLAX or status is Status.RELOCATED:
            added = self._add_keyframe(view, pose, anchor.keyframe.submap, found)
            if added is not None:
                pose, index, relative = added.keyframe.T_map_camera, added.index, np.eye(4)
        before = self.steps[-1].T_map_camera
        self._motion = np.eye(4) if before is None else inverse(before) @ pose
        self._last = pose
        count = int(found.alignment.inlier.sum())
        return Step(view.frame.stamp_ns, status, anchor.keyframe.submap, pose, index, relative, count, reason)

    def _begin(self, view: _View, reason: str) -> Step:
        """Begin a submap, or say that the camera is lost when there is too little to begin with."""
        self._motion = np.eye(4)
        submap = self._anchors[-1].keyframe.submap + 1 if self._anchors else 0
        added = self._add_keyframe(view, np.eye(4), submap, None)
        if added is None:
            return Step(
                view.frame.stamp_ns,
                Status.LOST,
                -1,
                None,
                -1,
                None,
                0,
                f"{reason}, and too few points have depth to begin a map: is the camera covered or dark?",
            )
        self._last = np.eye(4)
        return Step(
            view.frame.stamp_ns, Status.NEW_SUBMAP, submap, np.eye(4), added.index, np.eye(4), 0, reason
        )

    def _add_keyframe(self, view: _View, pose: Array, submap: int, found: _Found | None) -> _Anchor | None:
        """Make a keyframe of a view, unless it has too few points."""
        points = corners(view.image, view.sampler, self.config.odometry_points, view.frame.valid)
        if len(points) < 2 * self.config.odometry_min_inliers:
            return None
        index = self._keyframes
        if found is None:
            self._anchors = []
        else:
            pose = self._refine(view, index, pose, found)
        features = view.described(self.config.odometry_features)
        keyframe = Keyframe(view.frame.stamp_ns, view.number, submap, pose, features)
        self._keyframes += 1
        if self._remember:
            self.keyframes.append(keyframe)
        added = _Anchor(index, keyframe, view.image, points)
        self._anchors = [*self._anchors, added][-self.config.odometry_window :]
        return added

    def _refine(self, view: _View, index: int, pose: Array, found: _Found) -> Array:
        """The mean of the poses relative to the recent keyframes, which become edges."""
        measured = [found]
        for anchor in self._anchors:
            again = None if anchor is found.anchor else self._follow(anchor, view, pose)
            if again is not None:
                measured.append(again)
        information, gradient = np.zeros((6, 6)), np.zeros(6)
        T_camera_map = inverse(pose)
        for one in measured:
            alignment = one.alignment
            information += alignment.information
            difference = logarithm(inverse(one.T_map_camera) @ pose)
            gradient += alignment.information @ difference
            # of the inverse, so what perturbed on the left perturbs on the right
            relative = inverse(alignment.T_target_source)
            if self._remember:
                self.edges.append(Edge(one.anchor.index, index, relative, alignment.information))
        step = np.linalg.solve(information + 1e-9 * np.trace(information) / 6 * np.eye(6), gradient)
        return inverse(exponential(step) @ T_camera_map)
