"""The text of a calibration file as keys and values, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.files.yaml_document import MAX_BYTES, parse_yaml

Document = Mapping[str, Any]

# The names that calibration tools give to what ROS calls so.
DISTORTION_MODELS = {
    "plumb_bob": "plumb_bob",
    "radial-tangential": "plumb_bob",
    "radtan": "plumb_bob",
    "none": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
}


def read_document(path: Path | str) -> Document:
    """Read a calibration file: YAML, also of OpenCV and of `ros2 topic echo`, or lines of `key: numbers`.

    Raises:
        DataError: The file cannot be read, is too large, or is no such text.
        CalibrationError: It holds no keys.
    """
    # OpenCV's header "%YAML:1.0" is no directive that YAML knows.
    lines = (line for line in _text(path).splitlines() if not line.startswith("%YAML"))
    # `ros2 topic echo` ends every message with ---: the first document that holds something counts.
    documents = parse_yaml("\n".join(lines), path)
    document = next((document for document in documents if document is not None), None)
    if not isinstance(document, dict):
        raise CalibrationError(
            f"expected a camera_info YAML or another calibration, {path} holds {type(document).__name__}: "
            "name what camera_calibration saved, ost.yaml"
        )
    return {str(key): value for key, value in document.items()}


def _text(path: Path | str) -> str:
    try:
        return read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise DataError(f"expected the YAML of a camera in {path}, it is no text: check the path") from exc


def numbers(value: Any, *shape: int) -> NDArray[np.float64]:
    """An array of the numbers of a list, of nested lists, of OpenCV's or ROS's matrix, or of a line of text.

    Raises:
        KeyError, TypeError, ValueError: It holds something else.
    """
    if isinstance(value, Mapping):
        value = value["data"]
    array = np.array(value.split() if isinstance(value, str) else value, dtype=np.float64)
    if shape and array.size != math.prod(shape):
        raise ValueError(f"{array.size} numbers where {'x'.join(map(str, shape))} belong")
    return array.reshape(shape) if shape else array.ravel()


def distortion_model(name: object) -> str:
    """ROS's name of the distortion model that a tool calls `name`.

    Raises:
        ValueError: No such model is known here.
    """
    model = DISTORTION_MODELS.get(str(name).lower())
    if model is None:
        raise ValueError(f"distortion_model {name} (known: {', '.join(DISTORTION_MODELS)})")
    return model
