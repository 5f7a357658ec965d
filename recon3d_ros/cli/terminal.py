"""What a verb says on a terminal besides its results: what the package logs, and which files were written."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

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


def tell_written(*paths: Path | str | None, file: TextIO | None = None) -> None:
    """Name the files and folders that were written, in one line.

    Args:
        paths: None for what nobody asked for.
        file: In place of stdout.
    """
    given = [printable(str(path)) for path in paths if path is not None]
    if given:
        print(f"wrote {', '.join(given)}", file=file)


def _bars_away() -> AbstractContextManager[None]:
    """Nothing to do, unless a verb has imported tqdm."""
    tqdm = sys.modules.get("tqdm")
    return nullcontext() if tqdm is None else tqdm.tqdm.external_write_mode()
