"""Processes that a verb starts: their logs, and an end without leftovers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from recon3d_ros.errors import OutputError

STOP_S = 8.0  # for a model to finish its frame
# "[INFO] [1795181941.190716459] [depth_node]: "
_LOG_HEAD = re.compile(r"^\[\s*\w+\s*\] \[[\d.]+\] \[[\w./]+\]: ")


class Child:
    """One process of ours.

    Args:
        name: for messages and for its log, `<folder>/<name>.log`.
        words: what Python runs, after the interpreter.
        environment: variables added to ours.
        folder: for the log.

    Raises:
        OutputError: the log cannot be written.
    """

    def __init__(self, name: str, words: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        try:
            file = open(self.log, "wb")
        except OSError as exc:
            raise OutputError(f"cannot write {self.log} ({exc.strerror}): choose another place") from exc
        with file:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_COLORIZED_OUTPUT": "0", **environment},
                # Ctrl-C reaches the verb alone, which then stops its children in order.
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def last_lines(self, count: int) -> list[str]:
        """The end of its log."""
        with open(self.log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 200 * count - 4096))
            return file.read().decode(errors="replace").splitlines()[-count:]

    def last_message(self) -> str:
        """The last line of its log without level, time and name; empty when there is none."""
        lines = self.last_lines(1)
        return _LOG_HEAD.sub("", lines[0]) if lines else ""

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGINT)

    def stop(self) -> None:
        """Wait until it ends after `interrupt`, and kill it when that takes too long."""
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
