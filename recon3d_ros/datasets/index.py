"""The folder of public data: `INDEX.json` names every scene, its files, its units and its calibration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recon3d_ros.errors import DataError
from recon3d_ros.files.disk import read_bytes, read_json
from recon3d_ros.files.images import decode_whole

ROOT_VARIABLE = "RECON3D_DATA"
_MAX_INDEX_BYTES = 1 << 26


def data_root(root: Path | str | None = None) -> Path:
    """Find the folder that holds `INDEX.json`.

    Args:
        root: the folder; None takes it from the environment variable RECON3D_DATA.

    Raises:
        DataError: when neither names a folder with an `INDEX.json`.
    """
    chosen = root if root is not None else os.environ.get(ROOT_VARIABLE, "")
    if not str(chosen):
        raise DataError(
            f"expected {ROOT_VARIABLE} to name the folder with INDEX.json and the data sets, it is unset: "
            f"export {ROOT_VARIABLE}=<folder>"
        )
    folder = Path(chosen)
    if not (folder / "INDEX.json").is_file():
        raise DataError(
            f"expected INDEX.json in the data folder {folder}, found none: name the folder that holds it by "
            f"{ROOT_VARIABLE} or --root"
        )
    return folder


def stereo_scenes(root: Path, set_name: str) -> list[Mapping[str, Any]]:
    """The `stereo_scenes` entries of one set, e.g. `kitti2012`, in the order of the index.

    Raises:
        DataError: when the index cannot be read or has no scene of that set.
    """
    scenes = [scene for scene in _entries(root, "stereo_scenes") if scene.get("set") == set_name]
    if not scenes:
        raise DataError(
            f"expected scenes of the set {set_name} in {root / 'INDEX.json'}, found none: add them"
        )
    return scenes


def sequence(root: Path, sequence_id: str) -> Mapping[str, Any]:
    """The `sequences` entry with this id, e.g. `nyuv2`.

    Raises:
        DataError: when the index cannot be read or has no such entry.
    """
    for entry in _entries(root, "sequences"):
        if entry.get("id") == sequence_id:
            return entry
    raise DataError(f"expected the sequence {sequence_id} in {root / 'INDEX.json'}, found none: add it")


def value(entry: Mapping[str, Any], *keys: str) -> Any:
    """`entry[key]`, with more keys what lies deeper; a DataError names the entry and the missing key."""
    inner: Any = entry
    for key in keys:
        if not isinstance(inner, Mapping) or key not in inner:
            raise DataError(
                f"expected the key {'.'.join(keys)} in the INDEX.json entry {entry.get('id', '?')}: add it"
            )
        inner = inner[key]
    return inner


def read_truth(path: Path) -> np.ndarray:
    """Read a one-channel 8- or 16-bit image of ground truth, unscaled.

    Returns:
        (H, W) uint8 or uint16, the stored values.

    Raises:
        DataError: when the file is missing, no image, or has colour channels.
    """
    stored = decode_whole(read_bytes(path), path)
    if stored is None or stored.ndim != 2 or stored.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"expected a one-channel 8- or 16-bit image of ground truth at {path}: check the file"
        )
    return stored


def _entries(root: Path, kind: str) -> list[Mapping[str, Any]]:
    path = root / "INDEX.json"
    index = read_json(path, _MAX_INDEX_BYTES)
    entries = index.get(kind, []) if isinstance(index, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"expected a JSON object with a list {kind} of objects in {path}; restore the file")
    return entries
