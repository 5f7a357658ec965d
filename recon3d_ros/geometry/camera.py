"""One calibrated camera, in the terms of sensor_msgs/CameraInfo (REP 104)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry.checks import (
    check_size,
    checked_array,
    checked_distortion,
    checked_matrices,
    checked_roi,
    require_known_distortion,
    wh,
)

_MATRIX_KEYS = {
    "k": ("camera_matrix", (3, 3)),
    "r": ("rectification_matrix", (3, 3)),
    "p": ("projection_matrix", (3, 4)),
}


@dataclass(frozen=True, eq=False)
class PinholeCamera:
    """Intrinsics, distortion, rectification and projection of one camera.

    The arrays are copied and made read-only; cameras compare and hash by value, so they key caches.

    Attributes:
        width: Columns of the full-resolution image, before ROI and binning.
        height: Rows of the full-resolution image.
        k: (3, 3) float64, px, intrinsics of the raw image.
        d: (N,) float64, distortion coefficients, empty for none.
        distortion_model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant``.
        r: (3, 3) float64, rotation from the raw into the rectified camera frame.
        p: (3, 4) float64, px, projection of the rectified image; p[0, 3] = -fx * baseline for the
            right camera of a pair. Defaults to [k | 0].
        binning_x: Columns of the region that were joined into one pixel; 0 and 1 mean none.
        binning_y: The same for rows.
        roi: x, y, width, height of the region of interest in full-resolution px, before binning;
            None, or all zeros, is the full image.

    Raises:
        CalibrationError: At construction, when any of it cannot be used.
    """

    width: int
    height: int
    k: NDArray[np.float64]
    d: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    distortion_model: str = "plumb_bob"
    r: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    p: NDArray[np.float64] = field(default=None)  # type: ignore[arg-type]  # filled at once
    binning_x: int = 1
    binning_y: int = 1
    roi: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "k", checked_array("K", self.k, (3, 3)))
        p = np.hstack([self.k, np.zeros((3, 1))]) if self.p is None else self.p
        put(self, "p", checked_array("P", p, (3, 4)))
        put(self, "r", checked_array("R", self.r, (3, 3)))
        d = checked_array("D", self.d, None).ravel()
        for name, value in zip(("distortion_model", "d"), checked_distortion(self.distortion_model, d)):
            put(self, name, value)
        for name in ("width", "height", "binning_x", "binning_y"):
            put(self, name, int(getattr(self, name)))
        put(self, "binning_x", max(self.binning_x, 1))
        put(self, "binning_y", max(self.binning_y, 1))
        put(self, "roi", checked_roi(self.roi, self.width, self.height))
        checked_matrices(self.k, self.r, self.p)
        check_size(self.image_size_wh)

    @classmethod
    def simple(
        cls,
        width: int,
        height: int,
        fx: float,
        cx: float | None = None,
        cy: float | None = None,
        fy: float | None = None,
    ) -> PinholeCamera:
        """A rectified camera without distortion; the principal point defaults to the image centre."""
        cx = (width - 1) / 2 if cx is None else cx
        cy = (height - 1) / 2 if cy is None else cy
        return cls(width, height, np.array([[fx, 0, cx], [0, fx if fy is None else fy, cy], [0, 0, 1]]))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PinholeCamera:
        """Read the layout of a ROS camera_info YAML, as camera_calibration writes it.

        R and P may be missing (then identity and [K | 0]).

        Raises:
            CalibrationError: A key is missing or does not hold what its rows and cols say.
        """
        try:
            require_known_distortion(document)
            matrices = {
                name: np.reshape(document[key]["data"], shape)
                for name, (key, shape) in _MATRIX_KEYS.items()
                if key in document or name == "k"
            }
            roi = document.get("roi")
            return cls(
                width=int(document["image_width"]),
                height=int(document["image_height"]),
                d=np.asarray(document.get("distortion_coefficients", {}).get("data", ()), dtype=float),
                distortion_model=str(document.get("distortion_model") or ""),
                binning_x=int(document.get("binning_x", 1)),
                binning_y=int(document.get("binning_y", 1)),
                roi=None if roi is None else tuple(int(v) for v in roi),  # type: ignore[arg-type]
                **matrices,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
            raise CalibrationError(
                "expected a camera_info YAML with image_width, image_height, camera_matrix, distortion_coeffi"
                f"cients, rectification_matrix and projection_matrix ({type(exc).__name__}: {exc}): write it "
                "with camera_calibration"
            ) from exc

    def to_dict(self) -> dict[str, Any]:
        """The camera in the layout of a ROS camera_info YAML; `from_dict` reads it back exactly."""
        document: dict[str, Any] = {
            "image_width": self.width,
            "image_height": self.height,
            "distortion_model": self.distortion_model,
            "distortion_coefficients": {"rows": 1, "cols": self.d.size, "data": self.d.tolist()},
        }
        for name, (key, (rows, cols)) in _MATRIX_KEYS.items():
            document[key] = {"rows": rows, "cols": cols, "data": getattr(self, name).ravel().tolist()}
        if self.binning_x > 1 or self.binning_y > 1:
            document |= {"binning_x": self.binning_x, "binning_y": self.binning_y}
        if self.roi is not None:
            document["roi"] = list(self.roi)
        return document

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PinholeCamera):
            return NotImplemented
        return self is other or self._value() == other._value()

    def __hash__(self) -> int:
        return hash(self._value())

    def _value(self) -> tuple[object, ...]:
        arrays = (self.k, self.d, self.r, self.p)
        return (
            self.width,
            self.height,
            self.distortion_model,
            self.binning_x,
            self.binning_y,
            self.roi,
            *(array.tobytes() for array in arrays),
        )

    @property
    def fx(self) -> float:
        """Horizontal focal length of the rectified image, px."""
        return float(self.p[0, 0])

    @property
    def fy(self) -> float:
        """Vertical focal length of the rectified image, px."""
        return float(self.p[1, 1])

    @property
    def cx(self) -> float:
        """Column of the principal point of the rectified image, px."""
        return float(self.p[0, 2])

    @property
    def cy(self) -> float:
        """Row of the principal point of the rectified image, px."""
        return float(self.p[1, 2])

    @property
    def image_size_wh(self) -> tuple[int, int]:
        """Columns and rows of the images this camera describes: the ROI, then binned (REP 104)."""
        _, _, width, height = self.roi or (0, 0, self.width, self.height)
        return width // self.binning_x, height // self.binning_y

    @property
    def image_shape_hw(self) -> tuple[int, int]:
        """Rows and columns of the images this camera describes."""
        width, height = self.image_size_wh
        return height, width

    @cached_property
    def rectified(self) -> bool:
        """Whether images need no rectification and the matrices no folding: D = 0, R = I, K = P[:, :3]."""
        plain = self.binning_x == self.binning_y == 1 and self.roi is None
        undistorted = not self.d.any() and np.array_equal(self.r, np.eye(3))
        return plain and undistorted and np.array_equal(self.k, self.p[:, :3])

    def folded(self) -> PinholeCamera:
        """The same camera with ROI and binning folded into K and P.

        The rule is that of image_geometry's PinholeCameraModel::fromCameraInfo:
        c' = (c - offset) / binning, f' = f / binning.
        """
        if self.roi is None and self.binning_x == self.binning_y == 1:
            return self
        x, y = (self.roi or (0, 0, 0, 0))[:2]
        grid = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]], dtype=np.float64)
        return self._on_grid(np.diag([1 / self.binning_x, 1 / self.binning_y, 1]) @ grid, self.image_size_wh)

    def scaled(self, size_wh: tuple[int, int]) -> PinholeCamera:
        """The camera of the image resized to `size_wh`, also when the aspect changes.

        Pixel centres are at integers, as in cv2.resize: c' = (c + 0.5) s - 0.5.
        """
        if size_wh == self.image_size_wh:
            return self.folded()
        (width, height), (old_width, old_height) = size_wh, self.image_size_wh
        sx, sy = width / old_width, height / old_height
        grid = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
        return self.folded()._on_grid(grid, size_wh)

    def cropped(self, x: int, y: int, width: int, height: int) -> PinholeCamera:
        """The camera of ``image[y:y + height, x:x + width]``.

        Raises:
            CalibrationError: The rectangle leaves the image.
        """
        columns, rows = self.image_size_wh
        if x < 0 or y < 0 or x + width > columns or y + height > rows:
            raise CalibrationError(
                f"expected a rectangle inside {columns}x{rows}, got x={x} y={y} {width}x{height}: "
                "make it smaller"
            )
        grid = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]], dtype=np.float64)
        return self.folded()._on_grid(grid, (width, height))

    def as_rectified(self) -> PinholeCamera:
        """The camera of the rectified image: folded, K = P[:, :3], no distortion, R = I; P is kept."""
        if self.rectified:
            return self
        folded = self.folded()
        return replace(folded, k=folded.p[:, :3], d=np.empty(0), distortion_model="plumb_bob", r=np.eye(3))

    def _on_grid(self, grid: NDArray[np.float64], size_wh: tuple[int, int]) -> PinholeCamera:
        """The camera after the pixel grid went through the 3x3 homography `grid`."""
        width, height = size_wh
        return replace(
            self,
            width=width,
            height=height,
            k=grid @ self.k,
            p=grid @ self.p,
            binning_x=1,
            binning_y=1,
            roi=None,
        )

    def check_image(self, image: NDArray[Any]) -> None:
        """Refuse an image this camera does not describe.

        Args:
            image: (H, W) or (H, W, 3) uint8.

        Raises:
            ImageError: Not such an array, or empty.
            CalibrationError: Its size is not the one of this camera.
        """
        good_shape = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
        if image.dtype != np.uint8 or not good_shape or image.size == 0:
            raise ImageError(
                f"expected an image of (H, W) or (H, W, 3) uint8, got {image.shape} {image.dtype}: "
                "convert it first"
            )
        if image.shape[:2] != self.image_shape_hw:
            raise CalibrationError(
                f"the calibration says {wh(self.image_size_wh)}{self._size_reason()}, the image is "
                f"{wh(image.shape[1::-1])}: give the one (camera_info) that belongs to this image, "
                "scaled when the image is resized"
            )

    def _size_reason(self) -> str:
        """What makes the image another size than width and height say; empty when nothing does."""
        reasons = []
        if self.roi is not None:
            x, y, *size_wh = self.roi
            reasons.append(f"a ROI of {wh(tuple(size_wh))} at {x}, {y}")
        if max(self.binning_x, self.binning_y) > 1:
            reasons.append(f"binning of {wh((self.binning_x, self.binning_y))}")
        if not reasons:
            return ""
        return f" ({' and '.join(reasons)} in {wh((self.width, self.height))})"
