"""Ctrl-C is for the process that the user started alone: it ends its children in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Block SIGINT, which a terminal sends to the whole group, in this thread and in what is started here.

    A process inherits the block from its first instruction on and keeps it, so no import can be interrupted.
    Here the signal is delivered at the end, if it came meanwhile.
    """
    # What starts the tracker unblocks SIGINT (Python 3.10 to 3.12): it has to run before.
    resource_tracker.ensure_running()
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
