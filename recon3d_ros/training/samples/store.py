"""Samples on disk: the world is rendered once, in the background, and cropped many times.

A pair is one `.npy` of (H, W, 8) uint8: left RGB, right RGB, and the disparity as little-endian uint16 in
1/256 px with 65535 for unknown. One image with depth is (H, W, 5): RGB, and the canonical depth in mm, alike.
Files are mapped, so a crop reads only its own rows.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from recon3d_ros.errors import DataError
from recon3d_ros.files import make_folder, write_atomically
from recon3d_ros.geometry import Sample
from recon3d_ros.networks.mono_contract import CANONICAL_FOCAL_PX

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]  # left, right, disparity

UNKNOWN = 65535
STEPS_PER_PX = 256.0
STEPS_PER_M = 1000.0
PAIR_CHANNELS, VIEW_CHANNELS = 8, 5


def pack_pair(sample: Sample) -> np.ndarray:
    """A sample as (H, W, 8) uint8; a disparity that is not finite or beyond 255.9 px becomes unknown."""
    if sample.frame.right is None or sample.disparity is None:
        raise DataError(
            f"expected a stereo pair with disparity, got '{sample.name}' without: render it as a pair"
        )
    return pack_arrays(sample.frame.image, sample.frame.right, sample.disparity)


def pack_arrays(left: np.ndarray, right: np.ndarray, disparity: np.ndarray) -> np.ndarray:
    """The same from (H, W, 3) uint8 RGB images and a (H, W) disparity in px."""
    disparity = np.asarray(disparity, np.float32)
    known = np.isfinite(disparity) & (disparity >= 0.0) & (disparity * STEPS_PER_PX < UNKNOWN - 0.5)
    fixed = np.full(disparity.shape, UNKNOWN, "<u2")
    fixed[known] = np.round(disparity[known] * STEPS_PER_PX).astype("<u2")
    return np.concatenate([left, right, fixed[..., None].view(np.uint8)], axis=2)


def unpack_pair(packed: np.ndarray) -> Pair:
    """The inverse: left and right (H, W, 3) uint8 RGB, disparity (H, W) float32 px with NaN for unknown."""
    packed = np.ascontiguousarray(packed)
    fixed = np.ascontiguousarray(packed[..., 6:]).view("<u2")[..., 0]
    disparity = np.where(fixed == UNKNOWN, np.float32(np.nan), fixed / np.float32(STEPS_PER_PX))
    return packed[..., :3], packed[..., 3:6], disparity.astype(np.float32)


def pack_view(image: np.ndarray, depth: np.ndarray, fy: float) -> np.ndarray:
    """An image and its depth as (H, W, 5) uint8; depth that is not finite or beyond 65 m becomes unknown.

    Args:
        image: (H, W, 3) uint8 RGB or (H, W) grey.
        depth: (H, W) float32 m.
        fy: Focal length of the image, px: depth is stored as if it were `CANONICAL_FOCAL_PX`.
    """
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.asarray(depth, np.float32) * np.float32(STEPS_PER_M * CANONICAL_FOCAL_PX / fy)
        known = np.isfinite(steps) & (steps > 0.0) & (steps < UNKNOWN - 0.5)
    fixed = np.full(steps.shape, UNKNOWN, "<u2")
    fixed[known] = np.round(steps[known]).astype("<u2")
    return np.concatenate([rgb, fixed[..., None].view(np.uint8)], axis=2)


def unpack_view(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse: (H, W, 3) uint8 RGB, and canonical depth (H, W) float32 m with NaN for unknown."""
    packed = np.ascontiguousarray(packed)
    fixed = np.ascontiguousarray(packed[..., 3:]).view("<u2")[..., 0]
    depth = np.where(fixed == UNKNOWN, np.float32(np.nan), fixed / np.float32(STEPS_PER_M))
    return packed[..., :3], depth.astype(np.float32)


class SampleStore:
    """The samples in one folder, which may grow while it is read; 8 channels are pairs, 5 single images."""

    def __init__(self, folder: Path, channels: int = PAIR_CHANNELS) -> None:
        self.folder = folder
        self.channels = channels
        self._names: list[str] = []
        self._seen_ns = 0

    def write(self, seed: int, packed: np.ndarray) -> None:
        """Store a packed sample under its seed; a reader never sees half of it.

        Raises:
            OutputError: The disk is full or the folder not writable.
        """
        buffer = BytesIO()
        np.save(buffer, packed)
        make_folder(self.folder)
        write_atomically(self.path(seed), buffer.getvalue())

    def path(self, seed: int) -> Path:
        """Where the sample of this seed lies, or would."""
        return self.folder / f"{seed:09d}.npy"

    def refresh(self) -> int:
        """Look for new samples; returns how many there are."""
        # Listing thousands of names costs more than a crop: only when the folder has changed.
        changed_ns = self.folder.stat().st_mtime_ns if self.folder.is_dir() else 0
        if changed_ns != self._seen_ns:
            self._names = sorted(entry.name for entry in self.folder.glob("[0-9]*.npy"))
            self._seen_ns = changed_ns
        return len(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def seeds(self) -> list[int]:
        """Of the samples, in order: of a scene the seed, of a film the frame."""
        return [int(Path(name).stem) for name in self._names]

    def open(self, index: int) -> np.ndarray:
        """Sample `index` in the order of seeds, mapped, (H, W, channels) uint8.

        Raises:
            DataError: The file is none of them.
        """
        path = self.folder / self._names[index]
        try:
            packed = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError, TypeError, SyntaxError, OverflowError) as exc:
            raise DataError(f"expected a stored sample in {path}, got {exc}: delete the file") from exc
        if packed.ndim != 3 or packed.shape[2] != self.channels or packed.dtype != np.uint8:
            raise DataError(
                f"expected (H, W, {self.channels}) uint8 in {path}, got {packed.shape} {packed.dtype}: "
                "delete the file"
            )
        return packed
