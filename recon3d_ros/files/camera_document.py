"""The text of a calibration file as keys and values, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.files.disk import read_bytes

MAX_BYTES = 1 << 20  # with the corners of every board that OpenCV saw; a video named by mistake is not parsed
MAX_VALUES = 100_000

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


class _Loader(yaml.SafeLoader):
    """Reads OpenCV's matrices as the mappings that they are."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _mapping)


def read_document(path: Path | str) -> Document:
    """Read a calibration file: YAML, also of OpenCV and of `ros2 topic echo`, or lines of `key: numbers`.

    Raises:
        DataError: The file cannot be read, is too large, or is no such text.
        CalibrationError: It holds no keys.
    """
    data = read_bytes(path, MAX_BYTES)
    try:
        # OpenCV's header "%YAML:1.0" is no directive that YAML knows.
        lines = (line for line in data.decode("utf-8-sig").splitlines() if not line.startswith("%YAML"))
        # `ros2 topic echo` ends every message with ---: the first document that holds something counts.
        documents = yaml.load_all("\n".join(lines), _Loader)  # a SafeLoader
        document = next((document for document in documents if document is not None), None)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # ValueError: no UTF-8, or a date 2020-99-99
        raise DataError(
            f"expected a readable YAML file of a camera, {path} is none "
            f"({' '.join(str(exc).split()):.200}): name what camera_calibration saved, ost.yaml"
        ) from exc
    if not isinstance(document, dict):
        raise CalibrationError(
            f"expected a camera_info YAML or another calibration, {path} holds {type(document).__name__}: "
            "name what camera_calibration saved, ost.yaml"
        )
    _check_extent(document, path)
    return {str(key): value for key, value in document.items()}


def _check_extent(document: Any, path: Path | str) -> None:
    """Refuse aliases that make a small file endless."""
    rest, values = [document], 0
    while rest:
        value = rest.pop()
        values += 1
        if values > MAX_VALUES:
            raise DataError(f"expected a calibration, {path} holds more than {MAX_VALUES} values: check it")
        if isinstance(value, dict):
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value[: MAX_VALUES + 1])


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
