"""What an ONNX file says of other files and of its numbers, read without the library onnx.

A robot need not have that library. An ONNX file is a protobuf message (onnx.proto of the ONNX project).
Above 2 GiB, and in every export of torch.onnx since PyTorch 2.9, the values of its tensors lie in other files
beside it.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from recon3d_ros.errors import ArtifactError
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

T = TypeVar("T")
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
_GRAPH, _GRAPH_VALUE, _GRAPH_INPUT, _GRAPH_OUTPUT, _TENSOR_NAME = 7, 5, 11, 12, 8
# TensorProto.DataType -> NumPy
_ELEMENTS = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool"},
    **{10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16"},
}
_OP_TYPE, _DATA_TYPE = 4, 2  # of a Node, of a Tensor
_FLOAT, _FLOAT16 = 1, 10
# Operators of integers, in the two ways that ONNX has for quantized networks.
_OF_INTEGERS = re.compile(rb"(De|Dynamic)?[Qq]uantizeLinear|QLinear\w+|(Conv|MatMul)Integer")
_FIXED_BYTES = {1: 8, 5: 4}  # of the wire types for numbers of fixed size
_VARINT, _BYTES = 0, 2


def external_files(path: Path) -> tuple[str, ...]:
    """Names of the files beside an ONNX file that hold values of its tensors, each once.

    Of a file that is not ONNX there are none.

    Raises:
        ArtifactError: the file cannot be read, or names a file outside its own folder.
    """
    names = tuple(dict.fromkeys(_read(path, _locations)))
    for name in names:
        _check_inside(path, name)
    return names


def stored_precision(path: Path) -> str:
    """What an ONNX file computes in, as `Artifact.precision`.

    It is int8 with operators for quantized numbers, fp16 with more constants of float16 than of float32, and
    fp32 otherwise.

    Raises:
        ArtifactError: the file cannot be read.
    """
    kinds = _read(path, _kinds)
    if any(isinstance(kind, bytes) and _OF_INTEGERS.fullmatch(kind) for kind in kinds):
        return "int8"
    return "fp16" if kinds.count(_FLOAT16) > kinds.count(_FLOAT) else "fp32"


def tensors_in(path: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs as an ONNX file declares them, for a file that no runtime here can load.

    Free sides are None. Inputs with a value in the file are no inputs.

    Raises:
        ArtifactError: the file cannot be read.
    """
    found = _read(path, _declared)
    values = {name for place, name, _ in found if place == "value"}
    inputs = tuple(spec for place, name, spec in found if place == "input" and spec and name not in values)
    return inputs, tuple(spec for place, _, spec in found if place == "output" and spec)


def _read(path: Path, look: Callable[[mmap.mmap], Iterator[T]]) -> list[T]:
    """What is found in a file; nothing in one that is not ONNX."""
    try:
        if path.stat().st_size == 0:
            return []
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return list(look(content))
    except OSError as exc:
        raise ArtifactError(
            f"cannot read {path} ({exc.strerror}): check its permissions and the disk"
        ) from exc
    except (ValueError, IndexError):
        return []  # the runtime refuses it, and says why


def _check_inside(path: Path, name: str) -> None:
    """A model from somewhere else must not make us open files that are none of its own, nor by a link."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in {*posix.parts, *windows.parts}
    # realpath, as Path.resolve raises another error of links in a circle
    folder, real = (Path(os.path.realpath(place)) for place in (path.parent, path.parent / name))
    if outside or not real.is_relative_to(folder):
        raise ArtifactError(
            f"{path} keeps values of its tensors in {name!r}, which is not in its own folder or below: "
            "export the model again and keep its files together"
        )


def _locations(content: mmap.mmap) -> Iterator[str]:
    """Every ``location`` in the external_data of a tensor."""
    for message, fields in _messages(content):
        if message == "ExternalData":
            entry = {number: content[a:b] for number, a, b in fields}
            if entry.get(_KEY) == b"location":
                yield entry.get(_VALUE, b"").decode()


def _kinds(content: mmap.mmap) -> Iterator[bytes | int]:
    """The operator of every node, and the number of the type of every tensor."""
    for message, fields in _messages(content):
        for number, start, end in fields:
            if message == "Node" and number == _OP_TYPE:
                yield content[start:end]
            elif message == "Tensor" and number == _DATA_TYPE:
                yield _varint(content, start)[0]


def _declared(content: mmap.mmap) -> Iterator[tuple[str, str, TensorSpec | None]]:
    """Every input, output and value of the main graph: which of them, its name and its tensor."""
    places = {_GRAPH_INPUT: "input", _GRAPH_OUTPUT: "output"}
    for number, start, end in _fields(content, 0, len(content)):
        if number != _GRAPH:
            continue
        for field, a, b in _fields(content, start, end):
            if field in places:
                spec = _value_info(content, a, b)
                yield places[field], spec.name, spec
            elif field == _GRAPH_VALUE:
                names = [content[x:y] for n, x, y in _fields(content, a, b) if n == _TENSOR_NAME]
                yield "value", (names or [b""])[0].decode(), None


def _value_info(content: mmap.mmap, start: int, end: int) -> TensorSpec:
    """A ValueInfo: name (1) and type (2) with a tensor (1) of an element (1) and a shape (2) of sides (1)."""
    name, dtype, shape = "", "", list[int | None]()
    for number, a, b in _fields(content, start, end):
        if number == 1:
            name = content[a:b].decode()
            continue
        for _, tensor_a, tensor_b in _only(content, a, b, 1) if number == 2 else ():
            for part, x, y in _fields(content, tensor_a, tensor_b):
                if part == 1:
                    dtype = _ELEMENTS.get(_varint(content, x)[0], "unknown")
                elif part == 2:
                    shape = [_side(content, p, q) for _, p, q in _only(content, x, y, 1)]
    return TensorSpec(name, dtype, tuple(shape))


def _side(content: mmap.mmap, start: int, end: int) -> int | None:
    fixed = [_varint(content, a)[0] for _, a, _ in _only(content, start, end, 1)]
    return fixed[0] if fixed and 0 < fixed[0] < 1 << 31 else None


def _only(content: mmap.mmap, start: int, end: int, number: int) -> Iterator[tuple[int, int, int]]:
    return (field for field in _fields(content, start, end) if field[0] == number)


def _messages(content: mmap.mmap) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """Every message on the way to the tensors, with number, start and end of its fields."""
    todo = [("Model", 0, len(content))]
    while todo:
        message, start, end = todo.pop()
        fields = list(_fields(content, start, end))
        yield message, fields
        inner = _FIELDS.get(message, {})
        todo += [(inner[n], a, b) for n, a, b in fields if n in inner]


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a message; numbers of fixed size are passed over."""
    at = start
    while at < end:
        tag, at = _varint(content, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, after = _varint(content, at)
            yield number, at, after
            at = after
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
