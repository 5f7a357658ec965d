"""The text of a calibration file as keys and values, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.files.yaml_document import MAX_BYTES, parse_yaml
from recon3d_ros.geometry.checks import DISTORTION_MODELS

Document = Mapping[str, Any]


def read_document(path: Path | str) -> Document:
    """Read a calibration file: YAML, JSON or XML, also of OpenCV and `ros2 topic echo`, or `key: numbers`.

    Raises:
        DataError: The file cannot be read, is too large, or is no such text.
        CalibrationError: It holds no keys.
    """
    text = _text(path)
    if text.lstrip().startswith("<"):
        return _opencv_xml(text, path)
    # OpenCV's header "%YAML:1.0" is no directive that YAML knows.
    lines = (line for line in text.splitlines() if not line.startswith("%YAML"))
    # `ros2 topic echo` ends every message with ---: the first document that holds something counts.
    documents = parse_yaml("\n".join(lines), path)
    document = next((document for document in documents if document is not None), None)
    if not isinstance(document, dict):
        raise CalibrationError(
            f"expected a camera_info YAML or another calibration, {path} holds {type(document).__name__}: "
            "name what camera_calibration saved, ost.yaml"
        )
    return {str(key): value for key, value in document.items()}


def _opencv_xml(text: str, path: Path | str) -> Document:
    """The keys of an XML file that cv2.FileStorage wrote; matrices have `rows`, `cols` and `data`."""
    try:
        if "<!" in text.replace("<!--", ""):  # OpenCV writes no entities, which can grow without end
            raise ElementTree.ParseError("a document type, which cv2.FileStorage does not write")
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as exc:
        raise DataError(f"expected the XML of cv2.FileStorage in {path}, got {exc}: write it again") from exc
    if root.tag != "opencv_storage":
        raise CalibrationError(
            f"expected the XML of cv2.FileStorage (opencv_storage) in {path}, got <{root.tag:.40}>: save the "
            "calibration as YAML"
        )
    return {
        element.tag: {child.tag: _scalar(child.text) for child in element}
        if len(element)
        else _scalar(element.text)
        for element in root
    }


def _scalar(text: str | None) -> int | float | str:
    """A number where the text is one."""
    word = (text or "").strip()
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word.strip('"')


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
    known = {**DISTORTION_MODELS, "none": "plumb_bob"}
    model = known.get(str(name).lower())
    if model is None:
        raise ValueError(f"distortion_model {name} (known: {', '.join(known)})")
    return model
