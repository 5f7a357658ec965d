"""How the tools of calibration write cameras: ROS, OpenCV, kalibr, EuRoC."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError
from recon3d_ros.files.camera_document import Document, distortion_model, numbers
from recon3d_ros.files.images import read_image
from recon3d_ros.geometry import PinholeCamera, StereoRig, stereo_rectified_pair
from recon3d_ros.geometry.checks import is_rotation, require_known_distortion

log = logging.getLogger(__name__)

Camera = PinholeCamera | StereoRig


@dataclass(frozen=True, eq=False)
class RawCamera:
    """One lens as kalibr and EuRoC describe it, without R and P.

    Attributes:
        k: (3, 3) px.
        d: (N,) distortion coefficients.
        model: ROS's name of the distortion model.
        size_wh: Columns and rows, px.
    """

    k: NDArray[np.float64]
    d: NDArray[np.float64]
    model: str
    size_wh: tuple[int, int]

    def alone(self) -> PinholeCamera:
        """The camera, with the identity as R and K as P."""
        return PinholeCamera(*self.size_wh, self.k, self.d, self.model)

    def beside(self, right: RawCamera, T_right_left: NDArray[np.float64]) -> StereoRig:
        """The rig of this left camera and the right one, with R and P of `stereo_rectified_pair`.

        Raises:
            ValueError: The cameras differ in size or distortion model.
            CalibrationError: They are no pair.
        """
        if self.size_wh != right.size_wh or self.model != right.model:
            raise ValueError(
                f"{self.size_wh} {self.model} and {right.size_wh} {right.model} in place of two cameras of "
                "equal size and distortion model"
            )
        return stereo_rectified_pair(
            self.k, self.d, right.k, right.d, T_right_left, self.size_wh, distortion_model=self.model
        )


def image_size(image: Path | None, key: str) -> tuple[int, int]:
    """Columns and rows of the image that a calibration is for, where its file states none.

    Raises:
        CalibrationError: No image is named.
        DataError, ImageError: It cannot be read.
    """
    if image is None:
        raise CalibrationError(f"it states no image size: add {key}")
    height, width = read_image(image).shape[:2]
    return width, height


# ROS: camera_info


def is_camera_info(document: Document) -> bool:
    """A YAML of camera_calibration, or two cameras under left: and right:."""
    return {"left", "right"} <= document.keys() or (
        "camera_matrix" in document
        and bool({"distortion_model", "rectification_matrix", "projection_matrix"} & document.keys())
    )


def read_camera_info(document: Document, image: Path | None) -> Camera:
    """Read camera_info as camera_calibration writes it, or both of a pair."""
    if {"left", "right"} <= document.keys():
        return StereoRig(*(_camera_info(document[side], image) for side in ("left", "right")))
    return PinholeCamera.from_dict(document)


def _camera_info(side: Any, image: Path | None) -> PinholeCamera:
    if isinstance(side, Mapping) and is_echo(side):
        return read_echo(side, image)
    return PinholeCamera.from_dict(side)


def is_echo(document: Document) -> bool:
    """A message as `ros2 topic echo` (and rostopic echo, with capitals) prints it."""
    return {"k", "p", "d", "width", "height"} <= {key.lower() for key in document}


def read_echo(document: Document, image: Path | None) -> PinholeCamera:
    """Read a camera_info message."""
    field = {key.lower(): value for key, value in document.items()}
    roi = field.get("roi") or {}
    return PinholeCamera(
        width=int(field["width"]),
        height=int(field["height"]),
        k=numbers(field["k"], 3, 3),
        d=numbers(field["d"]),
        distortion_model=str(field.get("distortion_model") or ""),
        r=numbers(field["r"], 3, 3) if "r" in field else np.eye(3),
        p=numbers(field["p"], 3, 4),
        binning_x=int(field.get("binning_x", 1)),
        binning_y=int(field.get("binning_y", 1)),
        roi=tuple(int(roi.get(key, 0)) for key in ("x_offset", "y_offset", "width", "height")),  # type: ignore[arg-type]
    )


# OpenCV: FileStorage, as its samples for one camera and for pairs name the matrices. Names are compared in
# small letters without underscores.
_K = ("cameramatrix", "k", "m")
_D = ("distortioncoefficients", "distcoeffs", "distcoeff", "distortioncoeffs", "distortion", "dist", "d")


def _plain(document: Document) -> dict[str, Any]:
    return {key.lower().replace("_", ""): value for key, value in document.items()}


def _named(plain: Mapping[str, Any], names: tuple[str, ...], number: str) -> Any:
    return next((plain[name + number] for name in names if name + number in plain), None)


def is_opencv(document: Document) -> bool:
    """Matrices of one camera, or of two with 1 and 2 behind their names."""
    plain = _plain(document)
    named = [_named(plain, _K, number) for number in ("", "1", "2")]
    return any(isinstance(value, (Mapping, list)) for value in named)


def read_opencv(document: Document, image: Path | None) -> Camera:
    """Read what cv::FileStorage wrote: one camera, or M1, D1, M2, D2, R, T (and R1, R2, P1, P2)."""
    plain = _plain(document)
    if _named(plain, ("xi",), "") is not None or _named(plain, ("xi",), "1") is not None:
        raise CalibrationError("it is of cv2.omnidir (xi): calibrate with cv2.fisheye or cv2.calibrateCamera")
    if _named(plain, _K, "1") is None:
        return _opencv_camera(plain, "", image).alone()
    left, right = (_opencv_camera(plain, number, image) for number in "12")
    if {"r1", "r2", "p1", "p2"} <= plain.keys():
        return StereoRig(
            *(
                PinholeCamera(
                    *raw.size_wh,
                    raw.k,
                    raw.d,
                    raw.model,
                    numbers(plain[f"r{i}"], 3, 3),
                    numbers(plain[f"p{i}"], 3, 4),
                )
                for i, raw in ((1, left), (2, right))
            )
        )
    if not {"r", "t"} <= plain.keys():
        raise CalibrationError(
            "it lacks R and T from the left to the right camera: name both files, or add them"
        )
    T_right_left = np.eye(4)
    T_right_left[:3, :3], T_right_left[:3, 3] = numbers(plain["r"], 3, 3), numbers(plain["t"], 3)
    return left.beside(right, T_right_left)


def read_opencv_pair(left: Document, right: Document, image: Path | None) -> Camera:
    """Read intrinsics and extrinsics of the sample stereo_calib.cpp: two files of one pair."""
    return read_opencv({**left, **right}, image)


def is_opencv_pair(left: Document, right: Document) -> bool:
    """Whether one of the files holds the cameras and the other their R and T."""
    both = {**_plain(left), **_plain(right)}
    return {"r", "t"} <= both.keys() and _named(both, _K, "1") is not None


def _opencv_camera(plain: Mapping[str, Any], number: str, image: Path | None) -> RawCamera:
    d = _named(plain, _D, number)
    if d is None:
        require_known_distortion(plain)
    d = np.empty(0) if d is None else numbers(d)
    return RawCamera(
        numbers(_named(plain, _K, number), 3, 3), d, _opencv_model(plain, d), _opencv_size(plain, image)
    )


def _opencv_model(plain: Mapping[str, Any], d: NDArray[np.float64]) -> str:
    said = plain.get("distortionmodel")
    if said is not None:
        return distortion_model(said)
    if plain.get("fisheyemodel"):
        return "equidistant"
    if d.size == 4 and d.any() and "fisheyemodel" not in plain:
        raise CalibrationError(
            "its four distortion coefficients may be those of a fisheye or k1, k2, p1, p2: "
            "add distortion_model: equidistant or plumb_bob"
        )
    return "plumb_bob" if d.size <= 5 else "rational_polynomial"


def _opencv_size(plain: Mapping[str, Any], image: Path | None) -> tuple[int, int]:
    for columns, rows in (("imagewidth", "imageheight"), ("width", "height")):
        if columns in plain and rows in plain:
            return int(plain[columns]), int(plain[rows])
    for name in ("imagesize", "size", "resolution"):
        if name in plain:
            width, height = numbers(plain[name], 2)
            return int(width), int(height)
    return image_size(image, "image_width and image_height")


# kalibr: camchain, also of TUM-VI


def is_kalibr(document: Document) -> bool:
    """A camchain: cam0, cam1, ... with their intrinsics."""
    return isinstance(document.get("cam0"), Mapping) and "intrinsics" in document["cam0"]


def read_kalibr(document: Document, image: Path | None) -> Camera:
    """Read cam0, or cam0 and cam1 as left and right.

    kalibr states T_cn_cnm1, which maps points of the camera before into this one, or T_cam_imu of both.
    """
    left = _kalibr_camera(document["cam0"])
    if "cam1" not in document:
        return left.alone()
    if "cam2" in document:
        log.warning("kalibr's camchain holds more than two cameras: taking cam0 as left and cam1 as right")
    right = document["cam1"]
    if "T_cn_cnm1" in right:
        T_right_left = numbers(right["T_cn_cnm1"], 4, 4)
    else:
        T_left_imu, T_right_imu = (
            _rigid(document[name]["T_cam_imu"], "T_cam_imu") for name in ("cam0", "cam1")
        )
        T_right_left = T_right_imu @ np.linalg.inv(T_left_imu)
    return left.beside(_kalibr_camera(right), T_right_left)


def _kalibr_camera(camera: Document) -> RawCamera:
    if camera.get("camera_model", "pinhole") != "pinhole":
        raise CalibrationError(
            f"expected camera_model pinhole, got {camera['camera_model']}: calibrate with pinhole-radtan or "
            "pinhole-equi"
        )
    return _raw_camera(camera, "distortion_coeffs")


def _raw_camera(camera: Document, coefficients: str) -> RawCamera:
    fu, fv, cu, cv = numbers(camera["intrinsics"], 4)
    width, height = numbers(camera["resolution"], 2)
    return RawCamera(
        np.array([[fu, 0.0, cu], [0.0, fv, cv], [0.0, 0.0, 1.0]]),
        numbers([] if camera["distortion_model"] == "none" else camera[coefficients]),
        distortion_model(camera["distortion_model"]),
        (int(width), int(height)),
    )


def _rigid(value: Any, name: str) -> NDArray[np.float64]:
    T = numbers(value, 4, 4)
    if not np.isfinite(T).all() or not is_rotation(T[:3, :3]):
        raise ValueError(f"{name}, which holds no rotation")
    return T


# EuRoC: sensor.yaml, one file for each camera


def is_euroc_sensor(document: Document) -> bool:
    """A camera's sensor.yaml."""
    return {"T_BS", "intrinsics"} <= document.keys()


def read_euroc_sensor(document: Document, image: Path | None) -> PinholeCamera:
    """Read one camera."""
    return _raw_camera(document, "distortion_coefficients").alone()


def read_euroc_pair(left: Document, right: Document, image: Path | None = None) -> StereoRig:
    """Read the cameras of a pair; T_BS maps points of each into the body."""
    T_body_left, T_body_right = (_rigid(document["T_BS"], "T_BS") for document in (left, right))
    cameras = [_raw_camera(document, "distortion_coefficients") for document in (left, right)]
    return cameras[0].beside(cameras[1], np.linalg.inv(T_body_right) @ T_body_left)
