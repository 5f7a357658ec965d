"""Clouds as binary PLY."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError, ImageError
from recon3d_ros.files.disk import read_bytes, write_atomically
from recon3d_ros.geometry import Cloud, UnorganizedCloud
from recon3d_ros.geometry.cloud import KNOWN_FIELDS, LABEL, NORMAL

# What others call our fields; colours are three bytes instead.
_NAMES = dict(zip(NORMAL, ("nx", "ny", "nz")))
_FIELDS = {_NAMES.get(field, field): field for field in KNOWN_FIELDS if field != "rgb"}
_COLOURS = ("red", "green", "blue")
_TYPES = {"float": "<f4", "uchar": "u1"}
_FRAME_COMMENT = "comment frame_id "


def write_ply(path: Path | str, cloud: Cloud) -> None:
    """Write the valid points as binary PLY, every field a float property of its name (normals nx, ny, nz).

    `rgb` becomes the bytes red, green and blue; points without any colour are written without; `label` is
    a byte. The frame of the points, where it has a name, is the comment `frame_id NAME`.

    Raises:
        OutputError: It cannot be written.
    """
    points = cloud.points()
    properties: list[tuple[str, str]] = []
    for field in points.fields:
        if field == "rgb":
            properties += [(colour, "uchar") for colour in _COLOURS]
        elif field == LABEL[0]:
            properties.append((field, "uchar"))
        else:
            properties.append((_NAMES.get(field, field), "float"))
    rows = np.empty(len(points), [(name, _TYPES[kind]) for name, kind in properties])
    for field in points.fields:
        if field == "rgb":
            for channel, colour in enumerate(_COLOURS):
                rows[colour] = points.rgb[:, channel]
        elif field == LABEL[0]:
            rows[field] = points.labels
        else:
            rows[_NAMES.get(field, field)] = points[field]
    write_atomically(path, _header(len(points), properties, points.frame_id), rows.tobytes())


def read_ply(path: Path | str) -> UnorganizedCloud:
    """Read a PLY file as `write_ply` lays it out.

    Raises:
        DataError: The file cannot be read, or has another layout.
    """
    header, end, body = read_bytes(path).partition(b"end_header\n")
    try:
        text = (header + end).decode()
        properties, frame_id = _properties(text), _frame_id(text)
        rows = np.frombuffer(body, [(name, _TYPES[kind]) for name, kind in properties])
        if header + end != _header(len(rows), properties, frame_id):
            raise ValueError("the number of points differs from the header")
        return replace(_cloud_of(rows, properties), frame_id=frame_id)
    except (KeyError, ValueError, ImageError) as exc:
        raise DataError(
            "expected a binary PLY of float x y z and further fields as recon3d writes them, "
            f"{path} is none ({' '.join(str(exc).split())}): write it again"
        ) from exc


def read_ply_points(path: Path | str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read the places and colours of a PLY file of `write_ply`: (N, 3) float32 m, and (N, 3) uint8 RGB.

    Raises:
        DataError: The file cannot be read, or has another layout.
    """
    cloud = read_ply(path)
    return cloud.xyz.copy(), cloud.rgb.copy()


def _properties(header: str) -> list[tuple[str, str]]:
    """Names and kinds in a header; what is no property line is checked by writing the header again."""
    words = [line.split() for line in header.splitlines() if line.startswith("property ")]
    return [(name, kind) for _, kind, name in words]


def _frame_id(header: str) -> str:
    found = (line for line in header.splitlines() if line.startswith(_FRAME_COMMENT))
    return next(found, _FRAME_COMMENT).removeprefix(_FRAME_COMMENT)


def _header(points: int, properties: list[tuple[str, str]], frame_id: str) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0"]
    if frame_id:  # a comment is one line
        lines.append(_FRAME_COMMENT + " ".join(frame_id.split()))
    lines.append(f"element vertex {points}")
    lines += [f"property {kind} {name}" for name, kind in properties]
    return "\n".join([*lines, "end_header\n"]).encode()


def _cloud_of(rows: NDArray[np.void], properties: list[tuple[str, str]]) -> UnorganizedCloud:
    names = [name for name, _ in properties]
    fields = tuple(
        "rgb" if name == _COLOURS[0] else _FIELDS[name] for name in names if name not in _COLOURS[1:]
    )
    data = np.empty((len(rows), len(fields)), np.float32)
    for column, field in enumerate(fields):
        if field == "rgb":
            red, green, blue = (rows[colour].astype(np.uint32) for colour in _COLOURS)
            data[:, column] = (red << 16 | green << 8 | blue).view(np.float32)
        elif field == LABEL[0]:
            data[:, column] = rows[field].astype(np.uint32).view(np.float32)
        else:
            data[:, column] = rows[_NAMES.get(field, field)]
    return UnorganizedCloud(data, fields)
