"""The contracts of a network that labels points: what it wants of a cloud, and what it says of each point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from recon3d_ros.errors import ManifestError
from recon3d_ros.geometry import XYZ
from recon3d_ros.geometry.labels import LABEL_NAMES
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.validation import as_tuple, check_text, is_number


@dataclass(frozen=True)
class PolarGrid:
    """Cells of the ground around a camera: rows by the logarithm of the range, columns by the azimuth.

    Attributes:
        rows: Along the range.
        columns: Along the azimuth, from right to left.
        members: Points of a cell that the network is told of.
        range_m: Horizontal distance where the first row begins and the last one ends, m.
        azimuth_deg: Half the opening, to either side of the axis x.
    """

    rows: int = 64
    columns: int = 64
    members: int = 16
    range_m: tuple[float, float] = (0.3, 60.0)
    azimuth_deg: float = 60.0

    def __post_init__(self) -> None:
        for field in ("rows", "columns", "members"):
            value = getattr(self, field)
            if type(value) is not int or not 1 <= value <= 4096:
                raise ManifestError(
                    f"input.grid.{field} must be a whole number from 1 to 4096, got {value!r}"
                )
        pair = as_tuple(self.range_m)
        if len(pair) != 2 or not all(map(is_number, pair)) or not 0 < pair[0] < pair[1]:
            raise ManifestError(f"input.grid.range_m must be [near, far] in m, got {self.range_m!r}")
        object.__setattr__(self, "range_m", (float(pair[0]), float(pair[1])))
        if not is_number(self.azimuth_deg) or not 0 < self.azimuth_deg <= 180:
            raise ManifestError(f"input.grid.azimuth_deg must be within 0 to 180, got {self.azimuth_deg!r}")
        object.__setattr__(self, "azimuth_deg", float(self.azimuth_deg))


@dataclass(frozen=True)
class PointInputContract(InputContract):
    """What a network that labels points wants to see of a cloud.

    Three tensors: ``points``, float32 (1, count, 3), the ``fields`` in m in the level frame (x ahead, y
    left, z over the ground below the camera); ``cells``, int32 (1, count), the cell of each point in the
    grid, row * columns + column; ``members``, int32 (1, rows * columns, members), points of each cell,
    filled up with ``count``. A cloud of fewer points is repeated. The keys of images do not apply.
    """

    KEYS: ClassVar[tuple[str, ...]] = ("names", "fields", "count", "grid")

    names: tuple[str, ...] = ("points", "cells", "members")
    fields: tuple[str, ...] = XYZ
    count: int = 16384
    grid: PolarGrid = PolarGrid()

    def __post_init__(self) -> None:
        for field in ("names", "fields"):
            object.__setattr__(self, field, as_tuple(getattr(self, field)))
        if (
            len(self.names) != 3
            or not all(isinstance(n, str) and n for n in self.names)
            or len(set(self.names)) < 3
        ):
            raise ManifestError(
                f"input.names of a model of points must be three tensors: points, cells and members, got "
                f"{self.names!r}"
            )
        if self.fields != XYZ:
            raise ManifestError(f"input.fields must be [x, y, z], got {self.fields!r}")
        if type(self.count) is not int or not 1 <= self.count <= 1 << 20:
            raise ManifestError(f"input.count must be a whole number from 1 to 1048576, got {self.count!r}")
        if not isinstance(self.grid, PolarGrid):
            raise ManifestError(f"input.grid must be a mapping of keys to values, got {self.grid!r:.60}")


@dataclass(frozen=True)
class LabelOutputContract(OutputContract):
    """What it says: float32 (1, count, classes), the probability of each of ``classes`` for each point.

    The classes are names of `PointLabel`; their sum is 1.
    """

    KEYS: ClassVar[tuple[str, ...]] = ("name", "classes")

    name: str = "probability"
    unit: str = "label"
    classes: tuple[str, ...] = LABEL_NAMES[1:]

    def __post_init__(self) -> None:
        check_text(self, "name")
        object.__setattr__(self, "classes", as_tuple(self.classes))
        known = set(self.classes) <= set(LABEL_NAMES[1:]) and len(set(self.classes)) == len(self.classes)
        if not known or LABEL_NAMES[1] not in self.classes:
            raise ManifestError(
                f"output.classes must be ground and others of {', '.join(LABEL_NAMES[1:])}, each once, got "
                f"{', '.join(map(str, self.classes))}"
            )

    @property
    def labels(self) -> tuple[int, ...]:
        """The `PointLabel` of each column."""
        return tuple(LABEL_NAMES.index(name) for name in self.classes)
