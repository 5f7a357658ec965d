"""`recon3d benchmark`: how long the parts take on this machine, as a table and as JSON."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from recon3d_ros import lazy
from recon3d_ros.cli.domain import claim_domain
from recon3d_ros.errors import ConfigError
from recon3d_ros.table import aligned

HELP = "Measure how long the parts take on this machine. Run it on an otherwise idle machine."


class Benchmark(NamedTuple):
    """Which function measures, and its line in the help; the function returns rows of one set of keys.

    ``flags`` names the arguments it takes from the command line; ``processes`` is how many it starts that
    talk over DDS, on a domain of their own.
    """

    function: str
    summary: str
    flags: tuple[str, ...] = ()
    processes: int = 0


BENCHMARKS: dict[str, Benchmark] = {
    "cloud": Benchmark(
        "recon3d_ros.ros.benchmark:benchmark_cloud",
        "depth and colour image to a complete PointCloud2 message",
        flags=("frames",),
    ),
    "filters": Benchmark(
        "recon3d_ros.evaluation.filter_benchmark:benchmark_filters",
        "every filter of the depth image and of the cloud by itself",
        flags=("frames",),
    ),
    "backends": Benchmark(
        "recon3d_ros.evaluation.backend_benchmark:benchmark_backends",
        "every backend that is there, from the message of a pair to its cloud, stage by stage",
        flags=("frames",),
    ),
    "node": Benchmark(
        "recon3d_ros.ros.benchmark_node:benchmark_node",
        "camera, node and consumer in three processes: from the stamp of an image to its cloud, beside the "
        "hop of a ready-made cloud, and the node's processor time (--seconds of a block; 20 blocks a size)",
        flags=("seconds",),
        processes=3,
    ),
    "soak": Benchmark(
        "recon3d_ros.ros.soak:benchmark_soak",
        "the same for --frames frames (60000): memory, threads and files of the node, every frame's fate",
        flags=("frames", "rate_hz"),
        processes=3,
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    names = "; ".join(f"{name}: {benchmark.summary}" for name, benchmark in BENCHMARKS.items())
    parser.add_argument("name", choices=tuple(BENCHMARKS), help=names)
    parser.add_argument("--frames", type=int, metavar="N", help="how many, not of node")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of a block of node (default 4)")
    parser.add_argument("--rate-hz", type=float, metavar="HZ", help="of the camera of soak (default 30)")
    parser.add_argument("--json", type=Path, metavar="FILE", help='also write {"rows": [...]} to FILE')


def main(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON."""
    benchmark = BENCHMARKS[args.name]
    given = {name: getattr(args, name) for name in ("frames", "seconds", "rate_hz")}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        if name not in benchmark.flags or not value > 0:
            flag = "--" + name.replace("_", "-")
            raise ConfigError(f"expected {flag} above 0, and only where it means something, got {value}")
    with _own_domain(benchmark.processes):
        rows = lazy.load(benchmark.function)(**given)
    print(to_text(rows))
    if args.json is not None:
        from recon3d_ros.files import write_json

        write_json(args.json, {"rows": rows})
    return 0


@contextmanager
def _own_domain(processes: int) -> Iterator[None]:
    """Give this process, and those it starts, a DDS domain and the profile for big messages."""
    if processes == 0:
        yield
        return
    from recon3d_ros.ros.dds import fit_profile, profile_environment

    domain, claim = claim_domain()
    with claim, tempfile.TemporaryDirectory() as folder:
        environment = profile_environment()
        if note := fit_profile(environment, processes, Path(folder)):
            print(f"note: {note}")
        environment |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def to_text(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as a table, one column a key, numbers to the right."""
    table = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    return "\n".join(aligned(table, left=0))


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
