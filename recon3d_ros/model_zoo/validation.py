"""The checks of a manifest's values: each dataclass of a manifest calls them when it is made."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from recon3d_ros.errors import ManifestError

_MAX_SIDE = 1 << 14  # no network of a robot has an input of so many px
SIDES = f"from 1 to {_MAX_SIDE}"
# What to write for units that people write.
UNIT_HINTS = {
    "mm": "write unit: m and scale: 0.001",
    "disparity": "write unit: px",
    "pixel": "write unit: px",
    "pixels": "write unit: px",
    "meter": "write unit: m",
    "metre": "write unit: m",
    "meters": "write unit: m",
    "metres": "write unit: m",
    "1/m": "write unit: inverse_m",
    "inverse_depth": "write unit: inverse_m for 1/m, or relative_inverse_depth without metric scale",
    "relative": "write unit: relative_inverse_depth",
    "relative_depth": "write unit: relative_inverse_depth and transform: inverse",
}


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return a list or tuple as a tuple, a single value as a tuple of one."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def is_number(value: Any) -> bool:
    """True for a finite int or float; YAML's true and false are none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def is_side(value: Any) -> bool:
    """True for a whole number of px that the input of a network may have."""
    return type(value) is int and 1 <= value <= _MAX_SIDE


def check_text(owner: Any, *fields: str) -> None:
    """Raise ManifestError unless each of the fields is a text that is not empty."""
    for field in fields:
        value = getattr(owner, field)
        if not isinstance(value, str) or not value:
            raise ManifestError(f"{_prefix(owner)}{field} must be a text, got {value!r}")


def check_choice(
    owner: Any, field: str, choices: tuple[str, ...], hints: Mapping[str, str] | None = None
) -> None:
    """Raise ManifestError unless the field is one of the choices; hints say what to write for others."""
    value = getattr(owner, field)
    if value not in choices:
        hint = (hints or {}).get(value.lower(), "") if isinstance(value, str) else ""
        raise ManifestError(
            f"{_prefix(owner)}{field} must be one of {', '.join(choices)}, got {value!r}"
            f"{': ' if hint else ''}{hint}"
        )


def set_number(owner: Any, field: str) -> None:
    """Store the field of a frozen dataclass as float; ManifestError when it is no finite number."""
    value = getattr(owner, field)
    if not is_number(value):
        raise ManifestError(
            f"{_prefix(owner)}{field} must be a finite number, got {value!r}{quotient(value)}"
        )
    object.__setattr__(owner, field, float(value))


def quotient(value: Any) -> str:
    """What to write for a text such as 1/255, which YAML does not compute; empty for anything else."""
    match = re.fullmatch(r"\s*([\d.eE+-]+)\s*/\s*([\d.eE+-]+)\s*", value) if isinstance(value, str) else None
    try:
        return f": YAML does not compute, write {float(match[1]) / float(match[2])!r}" if match else ""
    except (ValueError, ZeroDivisionError):
        return ""


def check_file(file: str) -> None:
    """A manifest from somewhere else must not make us open files that are none of its own."""
    if PurePosixPath(file).is_absolute() or PureWindowsPath(file).drive or ".." in re.split(r"[/\\]", file):
        raise ManifestError(
            f"files must lie beside the manifest or below, got {file!r}: name model.onnx and put it there"
        )


def check_sha256(value: Any, file: str) -> None:
    """Raise ManifestError unless the value is a sha256 in hexadecimal digits."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ManifestError(f"sha256 of {file} must be 64 hexadecimal digits, got {value!r}")


def _prefix(owner: Any) -> str:
    """Section of the YAML an object stands for, as a prefix: InputContract -> "input."."""
    name = type(owner).__name__.removesuffix("Contract").removesuffix("Input").lower() or "input"
    return "" if name == "manifest" else f"{name}."
