"""Voxels in blocks of 8 x 8 x 8, stored only where something was measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError

SIDE = 8  # voxels
VOXELS = SIDE**3
# The signed distance is stored in voxels as int16, up to +-8; the weight as uint16.
DISTANCE_STEPS, WEIGHT_STEPS = 4095.0, 320.0
BYTES_PER_BLOCK = VOXELS * (2 + 2 + 3)
_BITS, _OFFSET = 21, 1 << 20  # of one coordinate in a key
_FIRST_CAPACITY = 256


class BlockStore:
    """Blocks of voxels by their place. Slot i of each array is one block.

    Attributes:
        coords: (N, 3) int32, place of each block in blocks.
        distance: (N, 8, 8, 8) int16, signed distance to the surface in 1 / `DISTANCE_STEPS` voxels, positive
            in front of it; axes are x, y, z.
        weight: (N, 8, 8, 8) uint16, in 1 / `WEIGHT_STEPS`; 0 = never observed.
        colour: (N, 8, 8, 8, 3) uint8 RGB.
    """

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._count = 0
        self._coords: NDArray[np.int32]
        self._distance: NDArray[np.int16]
        self._weight: NDArray[np.uint16]
        self._colour: NDArray[np.uint8]
        self._allocate(_FIRST_CAPACITY)

    @classmethod
    def of(
        cls,
        coords: NDArray[np.int32],
        distance: NDArray[np.int16],
        weight: NDArray[np.uint16],
        colour: NDArray[np.uint8],
    ) -> BlockStore:
        """Blocks that were stored, see the class.

        Raises:
            DataError: A place is there twice, or more than a million blocks from the origin.
        """
        store = cls()
        store.add(coords)
        if len(store) != len(coords):
            raise DataError("expected each block of a map once, got some twice: the file is damaged")
        store.distance[:], store.weight[:], store.colour[:] = distance, weight, colour
        return store

    def __len__(self) -> int:
        return self._count

    @property
    def coords(self) -> NDArray[np.int32]:
        """See the class."""
        return self._coords[: self._count]

    @property
    def distance(self) -> NDArray[np.int16]:
        """See the class."""
        return self._distance[: self._count]

    @property
    def weight(self) -> NDArray[np.uint16]:
        """See the class."""
        return self._weight[: self._count]

    @property
    def colour(self) -> NDArray[np.uint8]:
        """See the class."""
        return self._colour[: self._count]

    @property
    def megabytes(self) -> float:
        """Memory that the blocks need, MB."""
        return self._count * BYTES_PER_BLOCK / 1e6

    def find(self, coords: NDArray[np.int32]) -> NDArray[np.int64]:
        """Slots of blocks, (M,) int64, -1 where there is none; `coords` is (M, 3)."""
        get = self._slots.get
        return np.array([get(key, -1) for key in keys_of(coords).tolist()], np.int64)

    def add(self, coords: NDArray[np.int32]) -> None:
        """Make the blocks at (M, 3) places that have none yet, in this order.

        Raises:
            DataError: A place is more than a million blocks from the origin.
        """
        for key, place in zip(keys_of(coords).tolist(), coords):
            if key not in self._slots:
                if self._count == len(self._coords):
                    self._allocate(2 * self._count)
                self._slots[key] = self._count
                self._coords[self._count] = place
                self._count += 1

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the blocks where `kept`, (N,), is False."""
        for name in ("_coords", "_distance", "_weight", "_colour"):
            setattr(self, name, getattr(self, name)[: self._count][kept])
        self._count = int(kept.sum())
        self._slots = {key: slot for slot, key in enumerate(keys_of(self._coords).tolist())}
        if not self._count:
            self._allocate(_FIRST_CAPACITY)

    def _allocate(self, capacity: int) -> None:
        """Make room; new voxels are in front of everything, with no weight."""
        sizes = {
            "_coords": ((3,), np.int32),
            "_distance": ((SIDE,) * 3, np.int16),
            "_weight": ((SIDE,) * 3, np.uint16),
            "_colour": ((SIDE, SIDE, SIDE, 3), np.uint8),
        }
        for name, (shape, dtype) in sizes.items():
            grown = np.zeros((capacity, *shape), dtype)
            if self._count:
                grown[: self._count] = getattr(self, name)[: self._count]
            setattr(self, name, grown)


def keys_of(coords: NDArray[np.int32]) -> NDArray[np.int64]:
    """One number for each (M, 3) place, in the order of z, y, x.

    Raises:
        DataError: A place is more than a million blocks from the origin.
    """
    shifted = coords.astype(np.int64) + _OFFSET
    if len(shifted) and not (0 <= shifted.min() and shifted.max() < 2 * _OFFSET):
        raise DataError(
            "expected surfaces within a million blocks of the origin, got one farther away: check the unit "
            "of the poses, or take larger voxels"
        )
    return shifted[:, 0] | shifted[:, 1] << _BITS | shifted[:, 2] << 2 * _BITS
