"""The contracts of networks that give the points of a whole object, from an image or its visible part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from recon3d_ros.errors import ManifestError
from recon3d_ros.geometry import XYZ
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.validation import as_tuple, check_text

_MOST = 1 << 20


@dataclass(frozen=True)
class PartialInputContract(InputContract):
    """What a network of the task `completion` wants to see of a cloud.

    One tensor, float32 (1, count, 3): the ``fields`` of points of the visible part, in the unit frame that
    `geometry.unit_frame.visible_frame` finds for them (x right, y down, z away from the camera). Of more
    points some are drawn, fewer are repeated. The keys of images do not apply.
    """

    KEYS: ClassVar[tuple[str, ...]] = ("names", "fields", "count")

    names: tuple[str, ...] = ("partial",)
    fields: tuple[str, ...] = XYZ
    count: int = 1024

    def __post_init__(self) -> None:
        for field in ("names", "fields"):
            object.__setattr__(self, field, as_tuple(getattr(self, field)))
        if len(self.names) != 1 or not isinstance(self.names[0], str) or not self.names[0]:
            raise ManifestError(f"input.names of a completion model must be one tensor, got {self.names!r}")
        if self.fields != XYZ:
            raise ManifestError(f"input.fields must be [x, y, z], got {self.fields!r}")
        _check_count(self.count, "input")


@dataclass(frozen=True)
class ShapeOutputContract(OutputContract):
    """What it gives: float32 (1, count, 3), points of the whole object in the unit frame of its input.

    Of the task `point_set` the square of the image reaches from -1 to 1 in x and y at the object's middle;
    of `completion` it is the frame of the partial points.
    """

    KEYS: ClassVar[tuple[str, ...]] = ("name", "count")

    name: str = "points"
    unit: str = "unit"
    count: int = 2048

    def __post_init__(self) -> None:
        check_text(self, "name")
        _check_count(self.count, "output")


def _check_count(count: object, where: str) -> None:
    if type(count) is not int or not 1 <= count <= _MOST:
        raise ManifestError(f"{where}.count must be a whole number from 1 to {_MOST}, got {count!r:.40}")
