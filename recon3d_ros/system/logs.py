"""Where the package's log goes. Modules log through `logging.getLogger(__name__)` and know nothing of it."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_PACKAGE = logging.getLogger("recon3d_ros")


def send_logs_to(handler: logging.Handler, level: int = logging.INFO) -> None:
    """Have one handler, and no other one, receive what the package logs from this level on."""
    _PACKAGE.handlers[:] = [handler]
    _PACKAGE.setLevel(level)


@contextmanager
def logs_sent_to(handler: logging.Handler, level: int = logging.INFO) -> Iterator[None]:
    """As `send_logs_to`, until the end of the block."""
    former = _PACKAGE.handlers[:], _PACKAGE.level
    send_logs_to(handler, level)
    try:
        yield
    finally:
        _PACKAGE.handlers[:] = former[0]
        _PACKAGE.setLevel(former[1])


def without_numbers(message: str) -> str:
    """What messages that differ only in their numbers have in common."""
    return re.sub(r"[0-9.e+-]+", "#", message)


class KeptWarnings(logging.Handler):
    """Keeps the newest warnings of some rooms, for who shows them beside the log.

    It does so from `attach` to `detach`; as a context manager, within the block.

    Args:
        rooms: names of packages below ``recon3d_ros``.
        most: how many are kept.
    """

    def __init__(self, rooms: tuple[str, ...], most: int = 20) -> None:
        super().__init__(logging.WARNING)
        self._loggers = [_PACKAGE.getChild(room) for room in rooms]
        self._texts: deque[str] = deque(maxlen=most)

    def attach(self) -> None:
        """Begin to keep warnings."""
        for logger in self._loggers:
            logger.addHandler(self)

    def detach(self) -> None:
        """Keep no more; what was kept can still be taken."""
        for logger in self._loggers:
            logger.removeHandler(self)

    def __enter__(self) -> KeptWarnings:
        self.attach()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning; called by `logging`, in any thread."""
        self._texts.append(record.getMessage())

    def take(self) -> list[str]:
        """The warnings since the last call, oldest first."""
        return [self._texts.popleft() for _ in range(len(self._texts))]
