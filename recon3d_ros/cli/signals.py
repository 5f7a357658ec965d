"""Ctrl-C, SIGTERM and SIGHUP end a verb in one way: it removes what is unfinished and ends its children."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def stop_signals() -> list[signal.Signals]:
    """Ctrl-C, SIGTERM, and what a terminal sends that closes, unless `nohup` has it ignored."""
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


@contextmanager
def stop_signals_interrupt() -> Iterator[None]:
    """Have the first SIGTERM or SIGHUP raise KeyboardInterrupt in the block, as Ctrl-C does.

    Later ones are ignored: a terminal that closes sends several, which must not interrupt the cleaning up. A
    signal that is ignored (`nohup`) or has a handler is left alone. Only the main thread can do this.
    """
    came = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal came
        first, came = not came, True
        if first:
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    numbers = [number for number in stop_signals() if in_main and signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


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
