"""What an ONNX file says of other files, read without the library onnx: a robot need not have it.

An ONNX file is a protobuf message (onnx.proto of the ONNX project). Above 2 GiB, and in every export of
torch.onnx since PyTorch 2.9, the values of its tensors lie in other files beside it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from recon3d_ros.errors import ArtifactError

# Fields of onnx.proto on the way from a model to its tensors: message -> number of the field -> message.
_FIELDS = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "ExternalData"},
}
_KEY, _VALUE = 1, 2
_FIXED_BYTES = {1: 8, 5: 4}  # of the wire types for numbers of fixed size
_VARINT, _BYTES = 0, 2


def external_files(path: Path) -> tuple[str, ...]:
    """Names of the files beside an ONNX file that hold values of its tensors, each once.

    Of a file that is not ONNX there are none.

    Raises:
        ArtifactError: the file cannot be read, or names a file outside its own folder.
    """
    try:
        if path.stat().st_size == 0:
            return ()
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            names = tuple(dict.fromkeys(_locations(content)))
    except OSError as exc:
        raise ArtifactError(
            f"cannot read {path} ({exc.strerror}): check its permissions and the disk"
        ) from exc
    except (ValueError, IndexError):
        return ()  # no ONNX file: the runtime refuses it, and says why
    for name in names:
        _check_inside(path, name)
    return names


def _check_inside(path: Path, name: str) -> None:
    """A model from somewhere else must not make us open files that are none of its own, nor by a link."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in {*posix.parts, *windows.parts}
    if outside or not (path.parent / name).resolve().is_relative_to(path.parent.resolve()):
        raise ArtifactError(
            f"{path} keeps values of its tensors in {name!r}, which is not in its own folder or below: "
            "export the model again and keep its files together"
        )


def _locations(content: mmap.mmap) -> Iterator[str]:
    """Every ``location`` in the external_data of a tensor."""
    todo = [("Model", 0, len(content))]
    while todo:
        message, start, end = todo.pop()
        if message == "ExternalData":
            entry = {number: content[a:b] for number, a, b in _fields(content, start, end)}
            if entry.get(_KEY) == b"location":
                yield entry.get(_VALUE, b"").decode()
            continue
        inner = _FIELDS[message]
        todo += [(inner[n], a, b) for n, a, b in _fields(content, start, end) if n in inner]


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a message that has a length; numbers are passed over."""
    at = start
    while at < end:
        tag, at = _varint(content, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, at = _varint(content, at)
        elif wire == _BYTES:
            length, at = _varint(content, at)
            yield number, at, at + length
            at += length
        elif wire in _FIXED_BYTES:
            at += _FIXED_BYTES[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if at > end:
            raise ValueError("a field ends after its message")


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while shift < 70:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")
