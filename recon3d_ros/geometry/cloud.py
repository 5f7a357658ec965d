"""Point clouds: arrays of float32 whose last axis are named fields.

Names and meaning are those of PointCloud2 and PCL: `x`, `y`, `z` in m in the frame `frame_id`, at first the
optical frame of the camera (REP 103: right, down, forward); `rgb`, the bits 0x00RRGGBB; `intensity` in grey
levels, 0 to 255; `confidence` in [0, 1]; `sigma`, one standard deviation of depth in m; `normal_x`,
`normal_y`, `normal_z`, of length 1; `curvature` as PCL has it, 0 to 1/3; `label`, the bits of a `PointLabel`;
`label_probability` in [0, 1]; `guessed`, 1 of points that a network put where nothing was seen, 0 of measured
ones. What is not known of a point is NaN, or the label 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError

XYZ = ("x", "y", "z")
XYZRGB = (*XYZ, "rgb")
XYZI = (*XYZ, "intensity")
NORMAL = ("normal_x", "normal_y", "normal_z")
LABEL = ("label", "label_probability")
GUESSED = "guessed"
KNOWN_FIELDS = (*XYZRGB, "intensity", "confidence", "sigma", *NORMAL, "curvature", *LABEL, GUESSED)
BYTES_PER_FIELD = 4


class _Fields:
    """What both kinds of clouds have in common: named columns in the last axis of `data`."""

    data: NDArray[np.float32]
    fields: tuple[str, ...]
    frame_id: str

    @property
    def point_step(self) -> int:
        """Bytes of one point."""
        return BYTES_PER_FIELD * len(self.fields)

    @property
    def xyz(self) -> NDArray[np.float32]:
        """(..., 3) float32 m, a view."""
        return self.data[..., :3]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(...) bool, True where the point exists."""
        return np.isfinite(self.data[..., 2])

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(..., 3) uint8 RGB, a view; grey where there is only intensity, a copy; black without either."""
        if "rgb" in self.fields:
            first = BYTES_PER_FIELD * self.fields.index("rgb")
            # little-endian 0x00RRGGBB is B, G, R, 0
            return self.data.view(np.uint8)[..., first + 2 : first - 1 : -1]
        grey = np.zeros(self.data.shape[:-1], np.uint8)
        if "intensity" in self.fields:
            np.copyto(grey, self["intensity"], where=self.valid, casting="unsafe")
        return np.repeat(grey[..., None], 3, axis=-1)

    @property
    def labels(self) -> NDArray[np.uint8]:
        """(...) uint8, `PointLabel`, a view.

        Raises:
            KeyError: The cloud has no field `label`.
        """
        if LABEL[0] not in self.fields:
            raise KeyError(LABEL[0])
        return self.data.view(np.uint8)[..., BYTES_PER_FIELD * self.fields.index(LABEL[0])]

    def __getitem__(self, field: str) -> NDArray[np.float32]:
        """The column of a field, (...) float32, a view.

        Raises:
            KeyError: The cloud has no such field.
        """
        if field not in self.fields:
            raise KeyError(field)
        return self.data[..., self.fields.index(field)]


@dataclass(frozen=True, eq=False)
class OrganizedCloud(_Fields):
    """Points on the grid of the image they were seen in.

    Attributes:
        data: (H, W, F) float32, C-contiguous, NaN xyz where invalid.
        fields: Names of the F columns, x, y, z first.
        frame_id: Frame of the points; can be empty.

    Raises:
        ImageError: At construction, when `data` is not such an array.
    """

    data: NDArray[np.float32]
    fields: tuple[str, ...] = XYZRGB
    frame_id: str = ""

    organized = True

    def __post_init__(self) -> None:
        _check(self.data, self.fields, axes=3)

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape[0], self.data.shape[1]

    def points(self) -> UnorganizedCloud:
        """The valid points alone, row by row: a copy."""
        # np.take of whole rows is ten times as fast as indexing with a mask.
        rows = self.data.reshape(-1, len(self.fields))
        return UnorganizedCloud(np.take(rows, np.flatnonzero(self.valid), axis=0), self.fields, self.frame_id)


@dataclass(frozen=True, eq=False)
class UnorganizedCloud(_Fields):
    """Points in a list, all of them valid.

    Attributes:
        data: (N, F) float32, C-contiguous.
        fields: Names of the F columns, x, y, z first.
        frame_id: Frame of the points; can be empty.

    Raises:
        ImageError: At construction, when `data` is not such an array.
    """

    data: NDArray[np.float32]
    fields: tuple[str, ...] = XYZRGB
    frame_id: str = ""

    organized = False

    def __post_init__(self) -> None:
        _check(self.data, self.fields, axes=2)

    def __len__(self) -> int:
        """Number of points."""
        return len(self.data)

    def points(self) -> UnorganizedCloud:
        """The cloud itself."""
        return self


Cloud = OrganizedCloud | UnorganizedCloud


def check_fields(fields: tuple[str, ...]) -> None:
    """Refuse fields that no cloud has.

    Raises:
        ImageError: x, y, z are not the first ones, one is unknown or there twice.
    """
    if fields[:3] != XYZ or len(set(fields)) != len(fields) or not set(fields) <= set(KNOWN_FIELDS):
        raise ImageError(
            f"expected fields x, y, z and then of {', '.join(KNOWN_FIELDS[3:])}, got {', '.join(fields)}: "
            "leave the others out"
        )


def _check(data: NDArray[np.float32], fields: tuple[str, ...], axes: int) -> None:
    check_fields(fields)
    if (
        data.ndim != axes
        or data.shape[-1] != len(fields)
        or data.dtype != np.float32
        or not data.flags.c_contiguous
    ):
        shape = ("H, W" if axes == 3 else "N") + f", {len(fields)}"
        raise ImageError(
            f"expected cloud data of ({shape}) float32 in C order, got {data.shape} {data.dtype}: "
            "pass what PointPacker filled"
        )
