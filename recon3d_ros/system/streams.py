"""The standard streams of a process that was started without them."""

from __future__ import annotations

import os
import sys

_LAST = 2  # the number of stderr


def open_standard_streams() -> None:
    """Point the standard streams that are closed at nothing, for this process and its children.

    Otherwise the next file or socket gets their number, and what libraries print is written into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
