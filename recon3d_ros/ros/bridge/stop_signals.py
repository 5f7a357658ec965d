"""SIGINT, SIGTERM and SIGHUP end a node in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, the first SIGINT, SIGTERM or SIGHUP sets a flag, and raises where it may.

    A SIGHUP that is ignored (`nohup`) stays so.

    In place of rclpy's own handlers. Those shut the context down in a thread of their own, which walks over
    the executors' guard conditions while the main thread makes or frees one: such a process prints the
    traceback of a half-made executor, or dies of SIGSEGV (`trigger_guard_conditions` in rclpy's
    signal_handler.cpp).

    Attributes:
        came: whether one of them came. An exception can be lost, in a finalizer for example; this cannot.

    Raises:
        ValueError: entered in another thread than the main one.
    """

    def __init__(self) -> None:
        self.came = False
        self._may_raise = False

    def __enter__(self) -> StopSignals:
        self._former = {
            number: signal.signal(number, self._on_signal)
            for number in _NUMBERS
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let the first signal interrupt what the main thread does here; one that came before, at once.

        Raises:
            KeyboardInterrupt: when it comes, or has come before.
        """
        self._may_raise = True
        try:
            if self.came:
                raise KeyboardInterrupt
            yield
        finally:
            self._may_raise = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self.came = not self.came, True
        if first and self._may_raise:
            raise KeyboardInterrupt
