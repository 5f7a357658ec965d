"""What every kind of file needs: folders, whole files or none, JSON."""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from recon3d_ros.errors import DataError, OutputError


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"cannot make the folder {folder} ({exc.strerror}): choose another place") from exc


def finite(value: Any) -> Any:
    """Replace what JSON does not know: NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path | str, limit: int) -> Any:
    """Read a JSON file of at most `limit` bytes.

    Raises:
        DataError: It cannot be read, is no regular file, is larger, or is no JSON.
    """
    try:
        return json.loads(read_bytes(path, limit))
    except (ValueError, RecursionError) as exc:  # 100,000 brackets
        raise DataError(f"expected readable JSON in {path}, got: {exc!s:.120}; restore the file") from exc


def write_json(path: Path | str, document: Any) -> None:
    """Write a JSON file, and make its folder; what is not finite becomes null.

    Raises:
        OutputError: It cannot be written.
    """
    path = Path(path)
    make_folder(path.parent)
    write_atomically(path, (json.dumps(finite(document), indent=1, allow_nan=False) + "\n").encode())


def write_text(path: Path | str, text: str) -> None:
    """Write a text as UTF-8, as `write_atomically`; of names that are no UTF-8 the bytes become escapes.

    Raises:
        OutputError: It cannot be written.
    """
    write_atomically(path, text.encode(errors="backslashreplace"))


def write_atomically(path: Path | str, *chunks: bytes) -> None:
    """Write the chunks to a neighbour of `path`, then rename it.

    Raises:
        OutputError: The folder is missing or read-only, the disk is full, ...
    """
    path = Path(path)
    if not path.name:
        raise OutputError(f"expected the name of a file to write, got {str(path)!r}: give one")
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(draft, "wb") as file:
            file.writelines(chunks)
        os.replace(draft, path)
    except BaseException as exc:  # Ctrl-C leaves no draft either
        with contextlib.suppress(OSError):
            draft.unlink()
        if not isinstance(exc, OSError):
            raise
        raise OutputError(
            f"cannot write {path} ({exc.strerror}): free the disk or choose another place"
        ) from exc


def read_bytes(path: Path | str, limit: int | None = None) -> bytes:
    """Read a whole regular file, see `open_regular`.

    Args:
        path: The file.
        limit: Bytes that it may have; None for any number.

    Raises:
        DataError: It cannot be read, is no regular file, or is larger.
    """
    try:
        with open_regular(path) as file:
            data = file.read(-1 if limit is None else limit + 1)
    except OSError as exc:
        raise DataError(f"cannot read {path} ({exc.strerror}): check the path") from exc
    if limit is not None and len(data) > limit:
        raise DataError(f"expected at most {limit} bytes in {path}, it has more: check the path")
    return data


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file to read; a pipe or a device could make whoever reads it wait for ever.

    Raises:
        DataError: It is no regular file.
        OSError: It cannot be opened.
    """
    file = open(path, "rb", opener=_open_at_once)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise DataError(f"expected a regular file, {path} is a pipe or a device: check the path")
    return file


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # to open a pipe waits for who writes it
