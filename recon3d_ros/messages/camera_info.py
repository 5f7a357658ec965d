"""camera_info messages to cameras: cached, read again when they change."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np

from recon3d_ros.errors import CalibrationError
from recon3d_ros.geometry import Frame, FrameRectifier, PinholeCamera, StereoRig
from recon3d_ros.geometry.rig import require_side_by_side
from recon3d_ros.messages.kinds import CameraInfoFields, stamp_to_ns

# After so many messages of one content no image that belongs to the content before is on its way any more.
REPEATS_TO_FORGET = 10
# An image is at most so much later than a camera_info that came before it; if by more, their clocks differ.
LATEST_NS = 1_000_000_000
# Stamps of one clock are recorded with delays that differ by less.
SAME_CLOCK_NS = 10_000_000_000


class Calibration:
    """One state of the camera_info topics, and how images become a frame under it.

    Args:
        infos: camera_info of the camera, or of the left and then the right camera.
        rectify: images are raw; D, R and P rectify them. Else they are rectified: P describes them, and K, D
            and R, where they are those of a raw camera, what that camera saw.

    Raises:
        CalibrationError: uncalibrated, not finite, sizes differ, baseline not positive.

    Attributes:
        size_wh: columns and rows that the images must have.
    """

    def __init__(self, infos: tuple[CameraInfoFields, ...], rectify: bool) -> None:
        lone = len(infos) == 1
        cameras = [info_to_camera(info, rectified=not rectify, lone=lone) for info in infos]
        rig = StereoRig(*cameras) if len(cameras) == 2 else None
        if rig is not None and not rectify:
            require_side_by_side(rig)
        if not rectify:
            cameras = [_raw_or(info, camera, lone) for info, camera in zip(infos, cameras)]
            rig = StereoRig(*cameras) if rig is not None else None
        self._rectifier = FrameRectifier(rig or cameras[0], images_rectified=not rectify)
        height, width = cameras[0].image_shape_hw
        self.size_wh = (width, height)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is unlikely about it, one sentence each; for images of `size_wh`."""
        return self._rectifier.doubts

    def frame(self, stamp_ns: int, image: np.ndarray, right: np.ndarray | None, frame_id: str = "") -> Frame:
        """Make the rectified frame; the first call of a rectifying calibration computes the maps.

        Raises:
            CalibrationError: an image has another size than its camera_info says.
        """
        return self._rectifier.frame(image, right, stamp_ns, frame_id=frame_id)


def _raw_or(info: CameraInfoFields, rectified: PinholeCamera, lone: bool) -> PinholeCamera:
    """The raw camera behind rectified images, or the rectified one where a driver tells no other."""
    try:
        raw = info_to_camera(info, lone=lone)
    except CalibrationError:
        return rectified
    return rectified if raw.rectified else raw


class _Change(NamedTuple):
    """What a camera_info topic said from a moment on."""

    number: int
    from_ns: int
    logged_ns: int
    info: CameraInfoFields

    def holds(self, stamp_ns: int, logged_ns: int) -> bool:
        """Whether it is not younger than a frame.

        Without a stamp, or with one of another clock than the frame's, it holds from its recording on.
        """
        delay_ns, delay_of_frame_ns = self.logged_ns - self.from_ns, logged_ns - stamp_ns
        if self.from_ns and abs(delay_ns - delay_of_frame_ns) <= SAME_CLOCK_NS:
            return self.from_ns <= stamp_ns
        return self.logged_ns <= logged_ns


class CalibrationCache:
    """What the camera_info topics have said, parsed when it changed.

    Args:
        topics: the topic of every camera, left before right; names for errors.
        rectify: as in `Calibration`.
        whole_record: nothing is forgotten, for a recording whose camera_info is known before its images. Else
            the content before the newest is kept for a moment, for images that come later than camera_info.
    """

    def __init__(self, topics: tuple[str, ...], rectify: bool, whole_record: bool = False) -> None:
        self._topics, self._rectify, self._whole_record = topics, rectify, whole_record
        self._content: dict[str, object] = {}
        self._changes: dict[str, list[_Change]] = {topic: [] for topic in topics}
        self._repeats = dict.fromkeys(topics, 0)
        self._count = 0
        self._known: dict[tuple[int, ...], Calibration] = {}

    def update(self, topic: str, info: CameraInfoFields, logged_ns: int = 0) -> bool:
        """Take a message (recorded at `logged_ns`); return whether it is a new one, stamps aside."""
        content = _content(info)
        changes = self._changes[topic]
        if self._content.get(topic) == content:
            self._repeats[topic] += 1
            if self._repeats[topic] == REPEATS_TO_FORGET and not self._whole_record:
                del changes[:-1]
            return False
        self._content[topic], self._repeats[topic] = content, 0
        self._count += 1
        if self._whole_record:
            info = _own(info)
        changes.append(_Change(self._count, stamp_to_ns(info.header.stamp), logged_ns, info))
        if not self._whole_record:
            del changes[:-2]
        return True

    def at(self, stamp_ns: int, logged_ns: int = 0) -> Calibration:
        """Return the calibration of a frame: what came last of what is not younger than the frame.

        A frame older than all that is known gets the oldest: camera_info may come behind its image. A frame
        much older than the newest gets the newest, but for a whole record: stamps of different clocks, or
        from before a jump of time, cannot be compared. camera_info without a stamp is compared by the times
        of recording; live, what came last counts.

        Raises:
            CalibrationError: a topic has not sent yet, or what they say cannot be used.
        """
        missing = [topic for topic in self._topics if not self._changes[topic]]
        if missing:
            raise CalibrationError(
                f"expected camera_info on {' and '.join(missing)}, got none so far; start its publisher "
                "(record it with the images of a bag) or remap the topic."
            )
        held = [self._held(topic, stamp_ns, logged_ns) for topic in self._topics]
        key = tuple(change.number for change in held)
        if key not in self._known:
            calibration = Calibration(tuple(change.info for change in held), self._rectify)
            if len(self._known) > 1:
                del self._known[next(iter(self._known))]  # with its maps of rectification
            self._known[key] = calibration
        return self._known[key]

    def _held(self, topic: str, stamp_ns: int, logged_ns: int) -> _Change:
        changes = self._changes[topic]
        if not self._whole_record and changes[-1].from_ns - stamp_ns > LATEST_NS:
            return changes[-1]
        oldest = min(changes, key=lambda change: (change.logged_ns, change.from_ns))
        return next((c for c in reversed(changes) if c.holds(stamp_ns, logged_ns)), oldest)


def _content(info: CameraInfoFields) -> tuple[object, ...]:
    roi = info.roi
    size = (info.width, info.height, info.binning_x, info.binning_y)
    region = (roi.x_offset, roi.y_offset, roi.width, roi.height)
    matrices = (bytes(info.d), info.k.tobytes(), info.r.tobytes(), info.p.tobytes())
    return (*size, *region, info.distortion_model, *matrices)


def _own(info: CameraInfoFields) -> CameraInfoFields:
    """A copy that holds no more than its numbers: arrays of a bag are views of a whole chunk of it."""
    owned = copy(info)
    for name in ("d", "k", "r", "p"):
        object.__setattr__(owned, name, np.array(getattr(info, name)))
    return owned


def info_to_camera(msg: CameraInfoFields, *, rectified: bool = False, lone: bool = False) -> PinholeCamera:
    """Read a camera_info message.

    Args:
        msg: the message.
        rectified: the images are rectified already, so P alone describes them: K, D and R of the result
            are those of the rectified image, and an unknown distortion model does not matter.
        lone: an R of zeros, as it is in a new message, means no rotation. The images of a pair need theirs.

    Raises:
        CalibrationError: uncalibrated (K[0] or P[0] is 0), not finite, singular, unknown distortion model.
    """
    k, p = np.array(msg.k).reshape(3, 3), np.array(msg.p).reshape(3, 4)
    for name, value in (("K", k), ("P", p)):
        if not value[0, 0] > 0.0:  # also true for NaN
            raise CalibrationError(
                f"expected a calibrated camera, got camera_info with {name}[0] = {value[0, 0]:g} in frame "
                f"{msg.header.frame_id!r}; calibrate it (camera_calibration) or load its YAML in the driver."
            )
        if not np.isfinite(value).all() and (name == "P" or not rectified):
            raise CalibrationError(
                f"expected finite numbers in {name}, got {value.ravel().tolist()} in frame "
                f"{msg.header.frame_id!r}; calibrate it (camera_calibration) or load its YAML in the driver."
            )
    r = np.array(msg.r).reshape(3, 3)
    roi = (msg.roi.x_offset, msg.roi.y_offset, msg.roi.width, msg.roi.height)
    undistorted = {"k": p[:, :3].copy(), "d": np.empty(0), "distortion_model": "plumb_bob", "r": np.eye(3)}
    raw = {
        "k": k,
        "d": np.array(msg.d),
        "distortion_model": msg.distortion_model or "plumb_bob",
        "r": np.eye(3) if lone and not r.any() else r,
    }
    return PinholeCamera(
        width=int(msg.width),
        height=int(msg.height),
        **(undistorted if rectified else raw),
        p=p,
        binning_x=int(msg.binning_x),
        binning_y=int(msg.binning_y),
        roi=roi,
    )
