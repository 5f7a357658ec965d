"""Memory of the GPU and pinned memory of the host, allocated once for a size.

Never run on a GPU so far: see :mod:`recon3d_ros.cuda.context`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from recon3d_ros.cuda.context import Device


class Buffer:
    """An array on the GPU and, where it is filled or read by the host, its twin in pinned memory.

    Args:
        device: Make, use and free it within ``with device.active()``.
        shape: Of the array.
        dtype: Of the array.
        pinned: Whether the host sees it.

    Raises:
        BackendError: out of memory (by ``device.active``).
    """

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: DTypeLike, pinned: bool = True) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        self._driver, self._stream = device.driver, device.stream
        self._memory: Any = device.driver.mem_alloc(max(1, self.nbytes))
        self._host: NDArray[Any] | None = None
        if pinned:
            self._host = device.driver.pagelocked_empty(shape, self.dtype)

    @classmethod
    def of(cls, device: Device, table: NDArray[Any]) -> Buffer:
        """A buffer that holds a table from now on: its copy to the GPU is in the stream."""
        buffer = cls(device, table.shape, table.dtype)
        buffer.fill(table)
        buffer.upload()
        return buffer

    @property
    def address(self) -> int:
        """On the GPU."""
        return int(self._memory)

    @property
    def host(self) -> NDArray[Any]:
        """The twin."""
        assert self._host is not None  # our own mistake, as it was made without, or is free
        return self._host

    def fill(self, array: NDArray[Any]) -> None:
        """Copy an array of this shape into the twin; rows may be padded."""
        np.copyto(self.host, array)

    def upload(self) -> None:
        """Put the copy of the twin to the GPU into the stream."""
        self._driver.memcpy_htod_async(self._memory, self.host, self._stream)

    def download(self, into: NDArray[Any] | None = None) -> NDArray[Any]:
        """Put the copy to the host into the stream; what is there is valid after `Device.synchronize`.

        Args:
            into: Contiguous, of this size: a view of a message, which then needs no second copy. Memory
                that is not pinned makes the driver wait for the stream.
        """
        target = self.host if into is None else into
        assert target.nbytes == self.nbytes  # our own mistake
        self._driver.memcpy_dtoh_async(target, self._memory, self._stream)
        return target

    def poison(self) -> None:
        """Make what is on the GPU NaN (of uint8: 255), in the stream, so that a later look at it shows."""
        self._driver.memset_d8_async(self._memory, 0xFF, self.nbytes, self._stream)

    def free(self) -> None:
        """Give the memory back; twice is harmless."""
        memory, self._memory, self._host = self._memory, None, None
        if memory is not None:
            memory.free()


class StageTimer:
    """How long the stages of a frame took on the GPU, by events in the stream.

    Args:
        device: Make and use it within ``with device.active()``.
        stages: In the order in which they are marked.
    """

    def __init__(self, device: Device, stages: tuple[str, ...]) -> None:
        self._stages, self._stream = stages, device.stream
        self._events = [device.driver.Event() for _ in range(len(stages) + 1)]
        self._marked = 0

    def start(self) -> None:
        """Begin with the first stage."""
        self._events[0].record(self._stream)
        self._marked = 1

    def mark(self) -> None:
        """The next stage ends here."""
        self._events[self._marked].record(self._stream)
        self._marked += 1

    def read_ms(self) -> dict[str, float]:
        """The stages marked since `start`, after `Device.synchronize`."""
        pairs = zip(self._stages, self._events[: self._marked], self._events[1 : self._marked])
        return {name: float(end.time_since(begin)) for name, begin, end in pairs}
