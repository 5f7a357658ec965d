"""Ctrl-C, SIGTERM and SIGHUP end a verb in one way: it removes what is unfinished and ends its children."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# How long cleaning up goes undisturbed; not longer, as an interrupt can be lost in a library.
CLEANING_S = 3.0
# Until an interrupt that was lost is raised again: what lost it has returned by then.
AGAIN_S = 0.05


def stop_signals() -> list[signal.Signals]:
    """Ctrl-C, SIGTERM, and what a terminal sends that closes, unless `nohup` has it ignored."""
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


class _Interrupts:
    """Makes a KeyboardInterrupt of the first signal, and of Ctrl-C when cleaning up takes too long."""

    def __init__(self) -> None:
        self._came_s: float | None = None
        self._number = signal.SIGINT.value
        self._former_hook = sys.unraisablehook

    @property
    def came(self) -> bool:
        return self._came_s is not None

    def handle(self, number: int, frame: object) -> None:
        now_s = time.monotonic()
        if self._came_s is None or (number == signal.SIGINT and now_s - self._came_s > CLEANING_S):
            self._came_s, self._number = now_s, number
            raise KeyboardInterrupt

    @contextmanager
    def repeated_when_lost(self) -> Iterator[None]:
        """Python drops what is raised in a finalizer or a callback of ctypes; Numba compiles in one."""
        sys.unraisablehook = self._unraisable
        try:
            yield
        finally:
            sys.unraisablehook = self._former_hook

    def _unraisable(self, args: sys.UnraisableHookArgs) -> None:
        if not (self.came and issubclass(args.exc_type, KeyboardInterrupt)):
            self._former_hook(args)
            return
        self._came_s = None
        again = threading.Timer(AGAIN_S, os.kill, (os.getpid(), self._number))
        again.daemon = True
        again.start()


@contextmanager
def stop_signals_interrupt(last: bool = False) -> Iterator[None]:
    """Have the first Ctrl-C, SIGTERM or SIGHUP raise KeyboardInterrupt in the block.

    Later ones are ignored: a terminal that closes sends several, and people press Ctrl-C twice, which must
    not interrupt the cleaning up. Ctrl-C counts again when that takes longer than `CLEANING_S`. A signal that
    is ignored (`nohup`) or has a handler is left alone. Only the main thread can do this.

    Args:
        last: The process ends behind the block: once a signal came, others are ignored for good.
    """
    interrupts = _Interrupts()
    in_main = threading.current_thread() is threading.main_thread()
    former = {number: signal.getsignal(number) for number in stop_signals() if in_main}
    plain = (signal.SIG_DFL, signal.default_int_handler)
    former = {number: handler for number, handler in former.items() if handler in plain}
    for number in former:
        signal.signal(number, interrupts.handle)
    try:
        with interrupts.repeated_when_lost():
            yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_IGN if last and interrupts.came else handler)


@contextmanager
def stop_signals_deferred() -> Iterator[None]:
    """Act on stop signals after the block only: a child that has started must be known, to be ended.

    Raises:
        KeyboardInterrupt: At the end, when one came meanwhile.
    """
    came: list[int] = []
    former = {
        number: signal.signal(number, lambda number, frame: came.append(number)) for number in stop_signals()
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
