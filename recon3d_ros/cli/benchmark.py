"""`recon3d benchmark`: how long the parts take on this machine, as a table and as JSON."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from recon3d_ros.backends.gpu import find_gpu
from recon3d_ros.cli.domain import claim_domain
from recon3d_ros.cli.flags import user_path
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.errors import ConfigError
from recon3d_ros.files import write_json
from recon3d_ros.files.text_table import aligned
from recon3d_ros.system import lazy
from recon3d_ros.system.machine import processor, software

HELP = "Measure the speed of the components on this computer. Nothing else should run meanwhile."


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
        "recon3d_ros.ros.bench.cloud:benchmark_cloud",
        "from a depth and a colour image to a complete PointCloud2 message",
        flags=("frames",),
    ),
    "filters": Benchmark(
        "recon3d_ros.evaluation.filter_benchmark:benchmark_filters",
        "every filter of the depth image and of the cloud",
        flags=("frames",),
    ),
    "objects": Benchmark(
        "recon3d_ros.evaluation.shape_benchmark:benchmark_objects",
        "completing an object: its points in a box of a depth image, and the network",
        flags=("frames",),
    ),
    "backends": Benchmark(
        "recon3d_ros.evaluation.backend_benchmark:benchmark_backends",
        "every installed backend, from the messages of a stereo pair to the cloud, stage by stage",
        flags=("frames", "data"),
    ),
    "fleet": Benchmark(
        "recon3d_ros.fleet.benchmark:benchmark_fleet",
        "bags of --frames frames (200) by one worker and by two, a thread each, three times: frames per "
        "second, memory of a worker, and the share of the time in which no task ran",
        flags=("frames",),
    ),
    "node": Benchmark(
        "recon3d_ros.ros.bench.node:benchmark_node",
        "camera, node and subscriber in three processes: time from the stamp of an image to its cloud, "
        "compared with sending a prepared cloud, and the processor time of the node (20 blocks of "
        "--seconds per size)",
        flags=("seconds", "image_transport", "model_ms"),
        processes=3,
    ),
    "soak": Benchmark(
        "recon3d_ros.ros.bench.soak:benchmark_soak",
        "the same for --frames frames (60000): memory, threads and open files of the node, and what "
        "happened to every frame",
        flags=("frames", "rate_hz"),
        processes=3,
    ),
    "map_soak": Benchmark(
        "recon3d_ros.ros.bench.map_soak:benchmark_map_soak",
        "a walk of --frames images (6000, 20 minutes) with the map node: memory, threads and open files, and "
        "what happened to every image",
        flags=("frames", "rate_hz"),
        processes=3,
    ),
}


_FLAGS = ("frames", "seconds", "image_transport", "model_ms", "rate_hz", "data")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    names = "; ".join(f"{name}: {benchmark.summary}" for name, benchmark in BENCHMARKS.items())
    parser.add_argument("name", choices=tuple(BENCHMARKS), help=names)
    parser.add_argument("--frames", type=int, metavar="N", help="number of frames (not for node)")
    parser.add_argument("--seconds", type=float, metavar="S", help="node: length of a block (default 4)")
    parser.add_argument(
        "--image-transport", choices=("raw", "compressed"), help="node: of the images (default raw)"
    )
    parser.add_argument(
        "--model-ms", type=float, metavar="MS", help="node: duration of the model for a frame (default 0)"
    )
    parser.add_argument(
        "--rate-hz",
        type=float,
        metavar="HZ",
        help="soak: rate of the camera (default 30); map_soak: at which the walk is played (default 15)",
    )
    parser.add_argument(
        "--data",
        metavar="SETS",
        help="backends: data sets with disparity ground truth, to measure the accuracy too",
    )
    parser.add_argument(
        "--json", type=user_path, metavar="FILE", help='also write {"machine": {...}, "rows": [...]} to FILE'
    )


def main(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON."""
    benchmark = BENCHMARKS[args.name]
    given = {name: getattr(args, name) for name in _FLAGS}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        flag = "--" + name.replace("_", "-")
        if name not in benchmark.flags:
            takers = " and ".join(other for other, one in BENCHMARKS.items() if name in one.flags)
            raise ConfigError(f"expected {flag} only with {takers}, got it with {args.name}: omit it")
        if not (value if isinstance(value, str) else value > 0):
            raise ConfigError(
                f"expected {flag} {'to name sets' if name == 'data' else 'above 0'}, got {value!r}"
            )
    with _own_domain(benchmark.processes):
        rows = lazy.load(benchmark.function)(**given)
    machine = _machine()
    print(to_text(rows))
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    if args.json is not None:
        write_json(args.json, {"machine": machine, "rows": rows})
    tell_written(args.json)
    return 0


def _machine() -> dict[str, str]:
    """What the numbers are of."""
    gpu = find_gpu()
    named = {} if gpu is None else {"gpu": f"{gpu.name} (sm {gpu.compute_capability})", "driver": gpu.driver}
    return {"processor": processor(), **named, **software()}


@contextmanager
def _own_domain(processes: int) -> Iterator[None]:
    """Give this process, and those it starts, a DDS domain and the profile for big messages."""
    if processes == 0:
        yield
        return
    from recon3d_ros.ros.bridge.dds import fit_profile, profile_environment

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
    """The rows as a table, one column a key, numbers to the right; notes stand below it."""
    names = [name for name in rows[0] if name != "note"]
    lines = aligned([names, *([_cell(row[name]) for name in names] for row in rows)], left=0)
    notes = [f"{row[names[0]]}: {row['note']}" for row in rows if row.get("note")]
    return "\n".join([*lines, *dict.fromkeys(notes)])


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
