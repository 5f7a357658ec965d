"""Ctrl-C, SIGTERM and SIGHUP end a verb in one way: it removes what is unfinished and ends its children."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# How long cleaning up goes undisturbed; not longer, as an interrupt can be lost in a library's callback.
CLEANING_S = 3.0


def stop_signals() -> list[signal.Signals]:
    """Ctrl-C, SIGTERM, and what a terminal sends that closes, unless `nohup` has it ignored."""
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


@contextmanager
def stop_signals_interrupt(last: bool = False) -> Iterator[None]:
    """Have the first Ctrl-C, SIGTERM or SIGHUP raise KeyboardInterrupt in the block.

    Later ones are ignored: a terminal that closes sends several, and people press Ctrl-C twice, which must
    not interrupt the cleaning up. Ctrl-C counts again when that takes longer than `CLEANING_S`. A signal that
    is ignored (`nohup`) or has a handler is left alone. Only the main thread can do this.

    Args:
        last: The process ends behind the block: once a signal came, others are ignored for good.
    """
    came_s: float | None = None

    def interrupt(number: int, frame: object) -> None:
        nonlocal came_s
        now_s = time.monotonic()
        if came_s is None or (number == signal.SIGINT and now_s - came_s > CLEANING_S):
            came_s = now_s
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    former = {number: signal.getsignal(number) for number in stop_signals() if in_main}
    plain = (signal.SIG_DFL, signal.default_int_handler)
    former = {number: handler for number, handler in former.items() if handler in plain}
    for number in former:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_IGN if last and came_s is not None else handler)


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
