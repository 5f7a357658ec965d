"""Text in columns, for what the command line prints."""

from __future__ import annotations

from collections.abc import Sequence

from recon3d_ros.system.printable import printable


def aligned(rows: Sequence[Sequence[str]], left: int | None = None) -> list[str]:
    """One line per row, its cells `printable` and as wide as the widest of their column.

    Args:
        rows: At least one, all of the same length.
        left: How many of the first columns stand to the left, the others to the right; None: all.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) if left is None else left
    return [
        "  ".join(
            cell.ljust(width) if i < last else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]
