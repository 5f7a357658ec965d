"""Files of poses: TUM, KITTI, EuRoC, transforms.json, COLMAP and folders of matrices."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError
from recon3d_ros.files import write_text
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.geometry.rotations import matrices_of, quaternions_of
from recon3d_ros.mapping.trajectory import Trajectory

# OpenGL's camera axes (x right, y up, z backward), which transforms.json has, from ours.
_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
_NS_FROM = 10**14  # a whole number of this size is in ns: as seconds it would be three million years
_END_NS = 2**63
Matrix = NDArray[np.float64]


def read_trajectory(path: Path | str) -> Trajectory:
    """Read poses in the format that the name and the number of columns tell.

    TUM (lines of 8 numbers), KITTI (12 or 16), EuRoC (`.csv`, of the body, not of the camera),
    `transforms.json` of Nerfstudio, `images.txt` or `images.bin` of COLMAP (whose scale is arbitrary unless
    it was made metric), or a folder with a file of 4 x 4 numbers an image; docs/mapping.md describes them.

    Matrices with infinities or NaN, which some sets write for "unknown", are left out.

    Raises:
        DataError: It cannot be read, or is damaged.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    data = read_bytes(path)
    if path.suffix == ".bin":
        return _read_colmap_binary(data, path)
    text = data.decode("utf-8", errors="replace")
    if path.suffix == ".json":
        return _read_transforms(text, path)
    if path.name == "images.txt":
        return _read_colmap_text(text, path)
    rows = [line.replace(",", " ").split() for line in text.splitlines()]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    if not rows:
        raise DataError(f"expected poses in {path}, found none: check the file")
    columns = len(rows[0])
    if path.suffix == ".csv" and columns >= 8:
        return _read_stamped([row[:8] for row in rows], path, [5, 6, 7, 4])
    if columns == 8:
        return _read_stamped(rows, path, [4, 5, 6, 7])
    if columns in (12, 16):
        return _read_matrices(rows, path)
    raise DataError(
        f"expected 8 (TUM), 12 or 16 (KITTI) numbers a line in {path}, got {columns}: see docs/"
        "mapping.md for the formats"
    )


def write_tum(path: Path | str, trajectory: Trajectory) -> None:
    """Write `stamp x y z qx qy qz qw` a line, stamp in s with 9 digits, m.

    Poses of images without times have their numbers as stamps.

    Raises:
        OutputError: It cannot be written.
    """
    quaternions = quaternions_of(trajectory.T_world_camera[:, :3, :3])
    lines = ["# stamp_s x_m y_m z_m qx qy qz qw: pose of the camera in the world"]
    for i, stamp in enumerate(trajectory.stamps_ns):
        seconds = f"{stamp // 10**9}.{stamp % 10**9:09d}" if trajectory.key == "stamp" else str(stamp)
        numbers = (*trajectory.positions[i], *quaternions[i])
        lines.append(" ".join([seconds, *(f"{number:.9f}" for number in numbers)]))
    write_text(path, "\n".join(lines) + "\n")


def _parse(rows: list[list[str]], path: Path, wanted: Callable[[int], bool]) -> Matrix:
    """The numbers of rows of one length.

    Raises:
        DataError: Another length, or no number.
    """
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]) or not wanted(len(row)):
            raise DataError(
                f"expected {len(rows[0])} numbers in row {number} of {path}, got {len(row)}: the file may be "
                "cut off, restore it"
            )
    try:
        return np.array(rows, np.float64)
    except ValueError as exc:
        raise DataError(f"expected numbers in {path}, got others ({exc}): correct the file") from exc


def _stamp_ns(word: str, path: Path) -> int:
    try:
        seconds = Decimal(word)
        whole = "." not in word and "e" not in word.lower() and seconds >= _NS_FROM
        # A first look: 1e999999 would become a million digits.
        stamp_ns = int(seconds if whole else seconds * 10**9) if abs(seconds) < _END_NS else _END_NS
        if abs(stamp_ns) >= _END_NS:
            raise ValueError("out of range")
        return stamp_ns
    except (ArithmeticError, ValueError) as exc:  # of decimal, and of infinities
        raise DataError(f"expected a time in seconds in {path}, got {word[:40]!r}: correct it") from exc


def _read_stamped(rows: list[list[str]], path: Path, xyzw: list[int]) -> Trajectory:
    numbers = _parse(rows, path, lambda count: count == 8)
    quaternions = numbers[:, xyzw]
    lengths = np.linalg.norm(quaternions, axis=1)
    if not (np.abs(lengths - 1) < 0.05).all():
        raise DataError(
            f"expected unit quaternions in {path}, one has length "
            f"{lengths[np.argmax(np.abs(lengths - 1))]:.3g}: check the order of the columns"
        )
    poses = _poses(quaternions, numbers[:, 1:4])
    stamps = [_stamp_ns(row[0], path) for row in rows]
    if max(map(abs, stamps)) >= 2**63:
        raise DataError(f"expected times in seconds in {path}, got {max(stamps)} ns: correct it")
    return Trajectory(np.array(stamps, np.int64), poses)


def _poses(quaternions_xyzw: Matrix, positions: Matrix) -> Matrix:
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, :3] = matrices_of(quaternions_xyzw)
    poses[:, :3, 3] = positions
    return poses


def _read_matrices(rows: list[list[str]], path: Path) -> Trajectory:
    numbers = _parse(rows, path, lambda count: count in (12, 16))
    poses = np.tile(np.eye(4), (len(numbers), 1, 1))
    poses[:, : numbers.shape[1] // 4] = numbers.reshape(len(numbers), -1, 4)
    known = np.isfinite(poses).all(axis=(1, 2))
    return Trajectory(np.flatnonzero(known), poses[known], key="order")


def _named(names: list[str], poses: Matrix) -> Trajectory:
    """In the order of the names, without folder and ending."""
    stems = [Path(name).stem for name in names]
    order = sorted(range(len(stems)), key=lambda i: stems[i])
    known = [i for i in order if np.isfinite(poses[i]).all()]
    return Trajectory(np.arange(len(known)), poses[known], names=tuple(stems[i] for i in known), key="name")


def _read_folder(folder: Path) -> Trajectory:
    files = sorted(folder.glob("*.pose.txt")) or sorted(folder.glob("*.txt"))
    poses, names = [], []
    for file in files:
        rows = [line.split() for line in read_bytes(file, 1 << 16).decode(errors="replace").splitlines()]
        rows = [row for row in rows if row]
        if len(rows) == 4:
            poses.append(_parse(rows, file, lambda count: count == 4))
            names.append(file.name.removesuffix(".txt").removesuffix(".pose") + ".txt")
    if not poses:
        raise DataError(f"expected files of 4 x 4 numbers in {folder}, found none: name the file of poses")
    return _named(names, np.stack(poses))


def _read_transforms(text: str, path: Path) -> Trajectory:
    try:
        frames = json.loads(text)["frames"]
        names = [str(frame["file_path"]) for frame in frames]
        poses = np.array([frame["transform_matrix"] for frame in frames], np.float64)
        if poses.ndim == 3 and poses.shape[1:] == (3, 4):
            poses = np.concatenate([poses, np.tile([[[0.0, 0, 0, 1]]], (len(poses), 1, 1))], axis=1)
        return _named(names, poses @ _OPENGL)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise DataError(
            f"expected frames with file_path and transform_matrix in {path}, got a problem with {exc}: "
            "compare it with a transforms.json of Nerfstudio"
        ) from exc


def _of_colmap(images: list[tuple[str, list[float]]], path: Path) -> Trajectory:
    """COLMAP has world to camera, the quaternion w first."""
    if not images:
        raise DataError(f"expected images with poses in {path}, found none: check the file")
    numbers = np.array([values for _, values in images])
    poses = np.asarray(np.linalg.inv(_poses(numbers[:, [1, 2, 3, 0]], numbers[:, 4:7])), np.float64)
    return _named([name for name, _ in images], poses)


def _read_colmap_text(text: str, path: Path) -> Trajectory:
    # two lines an image: id, quaternion, position, camera id, name; then its points, perhaps none
    lines = [line for line in text.splitlines() if not line.startswith("#")][::2]
    try:
        rows = [line.split(maxsplit=9) for line in lines if line.strip()]
        return _of_colmap([(row[9].strip(), [float(word) for word in row[1:8]]) for row in rows], path)
    except (IndexError, ValueError) as exc:
        raise DataError(f"expected COLMAP's images.txt, {path} is none ({exc}): export it again") from exc


def _read_colmap_binary(data: bytes, path: Path) -> Trajectory:
    try:
        (count,), at = struct.unpack_from("<Q", data), 8
        images = []
        for _ in range(count):
            values = struct.unpack_from("<I7dI", data, at)
            end = data.index(b"\0", at + struct.calcsize("<I7dI"))
            images.append((data[at + struct.calcsize("<I7dI") : end].decode(), list(values[1:8])))
            (points,) = struct.unpack_from("<Q", data, end + 1)
            at = end + 9 + 24 * points
        if at != len(data):
            raise ValueError(f"{len(data) - at} bytes are left")
        return _of_colmap(images, path)
    except (struct.error, ValueError, OverflowError) as exc:
        raise DataError(f"expected COLMAP's images.bin, {path} is none ({exc}): export it again") from exc
