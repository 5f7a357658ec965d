"""camera_info messages to cameras: cached, read again when they change."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo

from recon3d_ros.errors import CalibrationError
from recon3d_ros.geometry import Frame, PinholeCamera, Rectifier, StereoRig
from recon3d_ros.ros.conversions import info_to_camera


class Calibration:
    """One state of the camera_info topics, and how images become a frame under it.

    Args:
        infos: camera_info of the camera, or of the left and then the right camera.
        rectify: images are raw; D, R and P rectify them. Else P alone is used.

    Raises:
        CalibrationError: uncalibrated, not finite, sizes differ, baseline not positive.
    """

    def __init__(self, infos: tuple[CameraInfo, ...], rectify: bool) -> None:
        cameras = [info_to_camera(info, rectified=not rectify) for info in infos]
        self._rig = StereoRig(*cameras).as_rectified() if len(cameras) == 2 else None
        self._camera: PinholeCamera = self._rig.left if self._rig else cameras[0].as_rectified()
        self._raw = cameras if rectify else None
        self._rectifiers: list[Rectifier] | None = None

    def frame(self, stamp_ns: int, image: np.ndarray, right: np.ndarray | None) -> Frame:
        """Make the rectified frame; the first call of a rectifying calibration computes the maps.

        Raises:
            CalibrationError: an image has another size than its camera_info says.
        """
        if self._raw is not None:
            if self._rectifiers is None:
                self._rectifiers = [Rectifier(camera) for camera in self._raw]
            image = self._rectifiers[0].rectify(image)
            right = None if right is None else self._rectifiers[1].rectify(right)
        return Frame(stamp_ns=stamp_ns, image=image, camera=self._camera, right=right, rig=self._rig)


class CalibrationCache:
    """The newest camera_info of every topic, parsed when it changed.

    Args:
        topics: the topic of every camera, left before right; names for errors.
        rectify: as in `Calibration`.
    """

    def __init__(self, topics: tuple[str, ...], rectify: bool) -> None:
        self._infos: dict[str, CameraInfo] = {}
        self._content: dict[str, object] = {}
        self._topics, self._rectify = topics, rectify
        self._calibration: Calibration | None = None

    def update(self, topic: str, info: CameraInfo) -> bool:
        """Take a message; return whether it differs from the one before (stamps aside)."""
        content = _content(info)
        if self._content.get(topic) == content:
            return False
        self._content[topic] = content
        self._infos[topic] = info
        self._calibration = None
        return True

    def current(self) -> Calibration:
        """Return the calibration that holds now.

        Raises:
            CalibrationError: a topic has not sent yet, or what they say cannot be used.
        """
        if self._calibration is None:
            missing = [topic for topic in self._topics if topic not in self._infos]
            if missing:
                raise CalibrationError(
                    f"expected camera_info on {' and '.join(missing)}, got none so far; start its publisher "
                    "or remap the topic."
                )
            self._calibration = Calibration(
                tuple(self._infos[topic] for topic in self._topics), self._rectify
            )
        return self._calibration


def _content(info: CameraInfo) -> tuple[object, ...]:
    roi = info.roi
    size = (info.width, info.height, info.binning_x, info.binning_y)
    region = (roi.x_offset, roi.y_offset, roi.width, roi.height)
    matrices = (bytes(info.d), info.k.tobytes(), info.r.tobytes(), info.p.tobytes())
    return (*size, *region, info.distortion_model, *matrices)
