"""A frame's work on the GPU, captured once and started again by one call.

pycuda (2026.1) has no call for this; these are the driver's own (CUDA Driver API, "Stream Management" and
"Graph Management"). Never run on a GPU so far: see :mod:`recon3d_ros.cuda.context`.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.cuda.context import Device
from recon3d_ros.errors import BackendError

# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: an engine that takes or frees memory meanwhile is refused, as the graph
# would go on using it.
_THREAD_LOCAL = 1
_KEPT = 16
_TRIES = 3


class Graph:
    """What was put into the stream of a device while it was captured.

    Args:
        device: Make, use and free this object within ``with device.active()``.
        work: Puts into the stream what is to be captured; it is not done now. Its memory must stay in place.

    Raises:
        pycuda.driver.Error, BackendError: `work` waits, or the engine cannot be captured.
    """

    def __init__(self, device: Device, work: Callable[[], None]) -> None:
        self._driver, self._stream = device.driver, ctypes.c_void_p(device.stream_handle)
        self._runnable: ctypes.c_void_p | None = None
        captured, runnable = ctypes.c_void_p(), ctypes.c_void_p()
        try:
            with _no_garbage():
                self._call("cuStreamBeginCapture_v2", self._stream, _THREAD_LOCAL)
                try:
                    work()
                finally:  # whatever happened, the stream has to be an ordinary one again
                    ended = _result("cuStreamEndCapture", self._stream, ctypes.byref(captured))
            self._check("cuStreamEndCapture", ended)
            flags = ctypes.c_ulonglong(0)
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(runnable), captured, flags)
        finally:
            if captured:
                _result("cuGraphDestroy", captured)
        self._runnable = runnable

    def launch(self) -> None:
        """Put all of it into the stream again."""
        assert self._runnable is not None  # our own mistake: it was freed
        self._call("cuGraphLaunch", self._runnable, self._stream)

    def free(self) -> None:
        """Give the graph back; twice is harmless."""
        runnable, self._runnable = self._runnable, None
        if runnable is not None:
            _result("cuGraphExecDestroy", runnable)

    def _call(self, name: str, *arguments: Any) -> None:
        self._check(name, _result(name, *arguments))

    def _check(self, name: str, result: int) -> None:
        """Raise what pycuda would, in the driver's own words."""
        if result:
            text = ctypes.c_char_p()
            _result("cuGetErrorString", result, ctypes.byref(text))
            words = (text.value or b"unknown error code").decode(errors="replace")
            raise self._driver.LogicError(f"{name} failed: {words}")


class GraphCache:
    """Graphs of work that is done again and again, each by its key; those used last are kept.

    Work is captured when it is done for the second time, and its graph is used from then on, once it gave the
    same results. What cannot be captured three times, or gives others, is not tried again.

    Args:
        device: Within ``with device.active()`` all of this happens.

    Attributes:
        given_up: Why there will be no graph; empty while there may be.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self.given_up = ""
        self._graphs: dict[bytes, Graph | None] = {}  # None: done once, not captured yet
        self._tries_left = _TRIES

    def find(self, key: bytes) -> Graph | None:
        """The graph of the work of this key, if there is one."""
        graph = self._graphs.get(key)
        if graph is not None:
            self._keep(key, graph)
        return graph

    def offer(
        self,
        key: bytes,
        work: Callable[[], None],
        poison: Callable[[], None],
        written: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
    ) -> bool:
        """Offer work that was just done call by call, to be captured.

        Args:
            key: All that the work depends on, but for the content of its memory.
            work: The same once more, for the capture.
            poison: Makes NaN of what the work writes on the GPU, so that a graph without a part of it shows.
            written: Where results are written on the host, and what was written there just now.

        Returns:
            False when memory is not as the work left it, so that it has to be done once more.
        """
        if not self._tries_left:
            return True
        if key not in self._graphs:
            self._keep(key, None)
            return True
        if not all(np.isfinite(known).any() for _, known in written.values()):
            return True  # a frame without a result proves nothing
        graph = self._captured(work)
        if graph is None:
            return True
        poison()
        wrong = self._wrong(graph, written)
        if wrong:
            graph.free()
            self._give_up(wrong)
            return False
        self._keep(key, graph)
        return True

    def _captured(self, work: Callable[[], None]) -> Graph | None:
        """None when it cannot be captured, or not now."""
        # An engine that loads in another thread waits for the whole GPU, and that ends a capture, or fails.
        if not self._device.alone.acquire(blocking=False):
            return None
        try:
            return Graph(self._device, work)
        except (BackendError, self._device.driver.Error) as exc:
            self._tries_left -= 1
            if not self._tries_left:
                self._give_up(f"it cannot be captured ({' '.join(str(exc).split())})")
            return None
        finally:
            self._device.alone.release()

    def _wrong(self, graph: Graph, written: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> str:
        """What is wrong with the results of a graph; empty when they are the known ones."""
        for array, _ in written.values():
            array.fill(np.nan)
        try:
            graph.launch()
            self._device.synchronize()
        except self._device.driver.Error as exc:  # a GPU that is lost shows it again
            return f"it cannot be started ({' '.join(str(exc).split())})"
        names = [
            name for name, (got, known) in written.items() if not np.array_equal(got, known, equal_nan=True)
        ]
        return f"it gives another {' and '.join(names)} than the separate calls" if names else ""

    def free(self) -> None:
        """Give all graphs back."""
        for graph in self._graphs.values():
            if graph is not None:
                graph.free()
        self._graphs.clear()

    def _keep(self, key: bytes, graph: Graph | None) -> None:
        self._graphs.pop(key, None)
        if len(self._graphs) == _KEPT:
            oldest = self._graphs.pop(next(iter(self._graphs)))
            if oldest is not None:
                oldest.free()
        self._graphs[key] = graph

    def _give_up(self, why: str) -> None:
        self.free()
        self._tries_left = 0
        self.given_up = why


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Python must not collect garbage while a stream is captured: it may hold memory of the GPU."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@cache
def _library() -> Any:
    return ctypes.CDLL("libcuda.so.1")


def _result(name: str, *arguments: Any) -> int:
    return int(getattr(_library(), name)(*arguments))
