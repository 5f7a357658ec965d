"""NumPy's files (.npy, .npz) from bytes of unknown origin: a header that lies costs no memory."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError

# What zipfile and NumPy raise of damaged files: SyntaxError and TypeError of headers, LookupError of zip's
# tables, NotImplementedError and RuntimeError of compressions and of passwords.
_WRONG = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    ValueError,
    EOFError,
    OSError,
    TypeError,
    SyntaxError,
    LookupError,
    OverflowError,
    RuntimeError,
)


def read_npy(content: bytes, name: object) -> NDArray[Any]:
    """The array of a .npy file; numbers only.

    Args:
        content: the file.
        name: says in errors where it is from.

    Raises:
        DataError: it is damaged, or its header claims more than the file holds; one sentence.
    """
    try:
        stream = io.BytesIO(content)
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of the format")
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
        claimed, held = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
        if min(shape, default=0) < 0 or claimed > held:
            raise ValueError(f"its header claims {claimed} bytes, it holds {held}")
        stream.seek(0)
        array: NDArray[Any] = np.load(stream, allow_pickle=False)
        return array
    except _WRONG as exc:
        raise DataError(
            f"expected a whole NumPy array in {name}, got none ({' '.join(str(exc).split()):.120}): "
            "save it again with numpy.save"
        ) from exc


def read_npz(content: bytes, name: object, limit: int) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by their names, as `read_npy`.

    Args:
        content: the file.
        name: says in errors where it is from.
        limit: bytes that all arrays together may have, unpacked.

    Raises:
        DataError: it is damaged or larger, or an array is; one sentence.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > limit:
                raise ValueError(f"{size} bytes unpacked, more than {limit}")
            return {
                entry.filename.removesuffix(".npy"): read_npy(archive.read(entry), name)
                for entry in archive.infolist()
            }
    except _WRONG as exc:
        raise DataError(
            f"expected an archive of NumPy arrays in {name}, got none ({' '.join(str(exc).split()):.120}): "
            "copy it again"
        ) from exc
