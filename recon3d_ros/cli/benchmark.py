"""`recon3d benchmark`: how long the parts take on this machine, as a table and as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from recon3d_ros import lazy

HELP = "Measure how long the parts take on this machine. Run it on an otherwise idle machine."


class Benchmark(NamedTuple):
    """Which function measures, and its line in the help; the function returns rows of one set of keys."""

    function: str
    summary: str


BENCHMARKS: dict[str, Benchmark] = {
    "cloud": Benchmark(
        "recon3d_ros.ros.benchmark:benchmark_cloud",
        "depth and colour image to a complete PointCloud2 message",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    names = "; ".join(f"{name}: {benchmark.summary}" for name, benchmark in BENCHMARKS.items())
    parser.add_argument("name", choices=tuple(BENCHMARKS), help=names)
    parser.add_argument("--json", type=Path, metavar="FILE", help='also write {"rows": [...]} to FILE')


def main(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON."""
    rows = lazy.load(BENCHMARKS[args.name].function)()
    print(to_text(rows))
    if args.json is not None:
        from recon3d_ros.files import write_json

        write_json(args.json, {"rows": rows})
    return 0


def to_text(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as a table, one column a key, numbers to the right."""
    table = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in table)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
