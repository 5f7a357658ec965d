"""Ends an inference that does not end by itself: a model may hold a loop without an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

# The largest networks take minutes on the slowest CPUs.
LIMIT_S = 300.0
_IDLE_S = 10.0  # after which the watching thread ends: a backend that nobody closed leaves none behind

# The options of the inferences that run, by the thread that asked for them.
_running: dict[int, Any] = {}


def end_inference_of(thread: threading.Thread) -> None:
    """End the inference that a thread waits for, if there is one: an error is raised there."""
    options = _running.get(thread.ident or 0)
    if options is not None:
        options.terminate = True


class InferenceLimit:
    """Ends ONNX Runtime's inferences after a time, and at once when the main thread is interrupted.

    The runtime looks at `RunOptions.terminate` before every node of a graph, also inside loops; a single
    node has no end within the node.

    Args:
        seconds: how long an inference may take; None for `LIMIT_S`.
        aside: whether inferences of the main thread run in another one, so that signals are served.

    Attributes:
        seconds: as given.
        expired: whether the last inference was ended for its time.
    """

    def __init__(self, seconds: float | None = None, aside: bool = True) -> None:
        self.seconds = LIMIT_S if seconds is None else seconds
        self._aside = aside
        self._changed = threading.Condition()
        self._options: Any = None  # of the inference that runs
        self._ends_s = 0.0
        self._closed = False
        self._watcher: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self.expired = False

    def run(self, infer: Callable[[Any], T], options: Any) -> T:
        """Call `infer` with the options and return what it returns; what it raises goes on.

        Raises:
            KeyboardInterrupt: in the main thread, once the inference is ended.
        """
        if not self._aside or threading.current_thread() is not threading.main_thread():
            with self._watched(options):
                return infer(options)
        # Signals are served by the main thread in Python only, which a library can keep for ever.
        self._pool = self._pool or ThreadPoolExecutor(1, "inference")
        with self._watched(options):
            future = self._pool.submit(infer, options)
            try:
                return future.result()
            except BaseException:
                options.terminate = True
                raise

    def close(self) -> None:
        """End the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    @contextmanager
    def _watched(self, options: Any) -> Iterator[None]:
        with self._changed:
            self.expired = False
            self._options, self._ends_s = options, time.monotonic() + self.seconds
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="inference limit", daemon=True)
                self._watcher.start()
            self._changed.notify()
        asking = threading.get_ident()
        _running[asking] = options
        try:
            yield
        finally:
            _running.pop(asking, None)
            with self._changed:
                self._options = None

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                left_s = self._ends_s - time.monotonic()
                if self._options is not None and left_s <= 0:
                    self.expired, self._options.terminate = True, True
                    self._options = None
                called = self._changed.wait(_IDLE_S if self._options is None else left_s)
                if not called and self._options is None:
                    break
            self._watcher = None
