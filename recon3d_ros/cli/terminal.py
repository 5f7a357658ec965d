"""What the package logs, on a terminal."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager, nullcontext

from recon3d_ros.system.printable import printable


class TerminalHandler(logging.Handler):
    """Prints what the package logs: warnings and errors to stderr, all else as it is to stdout.

    A progress bar of tqdm makes room for it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record, at once; called by `logging`."""
        text = self.format(record)
        serious = record.levelno >= logging.WARNING
        with _bars_away():
            if serious:
                words = printable(" ".join(text.split()))
                print(f"recon3d: {record.levelname.lower()}: {words}", file=sys.stderr)
            else:
                print("\n".join(map(printable, text.split("\n"))), flush=True)


def _bars_away() -> AbstractContextManager[None]:
    """Nothing to do, unless a verb has imported tqdm."""
    tqdm = sys.modules.get("tqdm")
    return nullcontext() if tqdm is None else tqdm.tqdm.external_write_mode()
