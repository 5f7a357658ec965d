"""What more workers bring on this machine, what a worker takes, and what handing out the work costs."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TypedDict

import numpy as np

from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig, ScaleConfig
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.errors import DataError
from recon3d_ros.fleet.bags import BagJob, plan_bags
from recon3d_ros.fleet.engine import Resources, run_tasks
from recon3d_ros.fleet.tasks import Outcome, Task
from recon3d_ros.world import WorldCamera

_SIZE_WH = (240, 160)
_BAGS = 4
_VIEWS = 8  # that differ; a bag repeats them
_RATE_HZ = 10
_T0_NS = 1_700_000_000_000_000_000


class FleetRow(TypedDict):
    """Workers at once in one round.

    Attributes:
        frames: In all bags together; of each bag `frames / bags`.
        seconds: How long all workers were busy: from when the last one had its model until the first one had
            nothing left to do.
        frames_per_s: In that time; of a bag that lies in it in part, as many frames as of its time.
        ratio: Frames per second, divided by those of one worker in the same round.
        cpu_ms: Processor time of a frame. Where it does not grow with the workers, they do not hinder each
            other; on a busy machine the ratio does not tell that.
        engine_percent: Of the time with one worker, the share in which no task ran; None of more workers.
        start_s: From the call to the first outcome of the warm-up.
        memory_mb: Peak memory of a worker, the largest.
        load: Of this machine before the round, processes that want to run.
    """

    round: int
    workers: int
    bags: int
    frames: int
    seconds: float
    frames_per_s: float
    ratio: float
    cpu_ms: float
    engine_percent: float | None
    start_s: float
    memory_mb: float
    load: float


def benchmark_fleet(
    frames: int = 200, workers: Sequence[int] = (1, 2), rounds: int = 3, model: str = "auto"
) -> list[FleetRow]:
    """Process equal bags with one worker and with more of them, in alternation.

    Args:
        frames: Of each bag.
        workers: How many at once; the first is what the others are compared with.
        rounds: Repetitions.
        model: A stereo model; it gets one thread.

    Raises:
        MissingDependencyError: Ray, rosbags or the backend is not installed.
        Recon3dError: A task failed.
    """
    rows: list[FleetRow] = []
    with tempfile.TemporaryDirectory(prefix="recon3d-fleet-") as folder:
        bag = _write_bag(Path(folder) / "bag.mcap", frames)
        config = ModelConfig(model=model, threads=1)
        job = BagJob(f"{folder}/out", ProcessConfig(), config, PipelineConfig(), ScaleConfig())
        (task,) = plan_bags([str(bag)], job)
        for number in range(1, rounds + 1):
            first_rate = 0.0
            for count in workers:
                row = _measure(task, number, count)
                first_rate = first_rate or row["frames_per_s"]
                rows.append({**row, "ratio": row["frames_per_s"] / first_rate})
    return [*rows, *_medians(rows)] if rounds > 1 else rows


def _measure(task: Task, number: int, workers: int) -> FleetRow:
    load = os.getloadavg()[0]
    warm_up = [replace(task, name=f"warm_up_{i}") for i in range(workers)]
    tasks = [*warm_up, *(replace(task, name=f"bag_{i}") for i in range(_BAGS))]
    started = time.perf_counter()
    ended: list[float] = []
    outcomes: list[Outcome] = []
    for outcome in run_tasks(tasks, resources=Resources(workers=workers), resume=False):
        if outcome.error:
            raise DataError(f"expected a bag that can be processed, got {outcome.error}")
        ended.append(time.perf_counter())
        outcomes.append(outcome)
    first = [end for end, outcome in zip(ended, outcomes, strict=True) if outcome.name.startswith("warm_up")]
    ready, idle = max(first), ended[-workers]
    seconds = max(idle - ready, 1e-9)  # nothing where one worker did it all before the other had begun
    own = [outcome for outcome in outcomes if outcome.name.startswith("bag_")]
    frames = sum(outcome.written for outcome in own)
    busy = sum(outcome.seconds for outcome in outcomes[1:])  # of one worker
    return {
        "round": number,
        "workers": workers,
        "bags": len(own),
        "frames": frames,
        "seconds": seconds,
        "frames_per_s": _frames_within(ready, idle, ended, outcomes) / seconds,
        "ratio": 1.0,
        "cpu_ms": 1e3 * sum(outcome.cpu_s for outcome in own) / frames,
        "engine_percent": 100 * (1 - busy / seconds) if workers == 1 else None,
        "start_s": ended[0] - started - outcomes[0].seconds,
        "memory_mb": max(outcome.memory_mb for outcome in outcomes),
        "load": load,
    }


def _frames_within(ready: float, idle: float, ended: Sequence[float], outcomes: Sequence[Outcome]) -> float:
    """Frames of the tasks in a span of time, in the parts that lie in it."""
    found = 0.0
    for end, outcome in zip(ended, outcomes, strict=True):
        share = (min(end, idle) - max(end - outcome.seconds, ready)) / outcome.seconds
        found += outcome.written * max(0.0, share)
    return found


def _medians(rows: Sequence[FleetRow]) -> list[FleetRow]:
    """A row 0 for every number of workers, with the median of each column."""
    found: list[FleetRow] = []
    for workers in dict.fromkeys(row["workers"] for row in rows):
        own = [row for row in rows if row["workers"] == workers]
        shares = [row["engine_percent"] for row in own if row["engine_percent"] is not None]
        found.append(
            {
                **own[0],
                "round": 0,
                "seconds": median(row["seconds"] for row in own),
                "frames_per_s": median(row["frames_per_s"] for row in own),
                "ratio": median(row["ratio"] for row in own),
                "cpu_ms": median(row["cpu_ms"] for row in own),
                "engine_percent": median(shares) if shares else None,
                "start_s": median(row["start_s"] for row in own),
                "memory_mb": max(row["memory_mb"] for row in own),
                "load": median(row["load"] for row in own),
            }
        )
    return found


def _write_bag(path: Path, frames: int) -> Path:
    kinds = {"image_rect": "sensor_msgs/msg/Image", "camera_info": "sensor_msgs/msg/CameraInfo"}
    topics = {f"/{side}/{name}": kind for side in ("left", "right") for name, kind in kinds.items()}
    camera = WorldCamera(seed=1, size_wh=_SIZE_WH, rate_hz=float(_RATE_HZ))
    views = [camera.sample(i).frame for i in range(_VIEWS)]
    writer = BagWriter(path, topics)
    for i in range(frames):
        view, stamp_ns = views[i % _VIEWS], _T0_NS + i * 1_000_000_000 // _RATE_HZ
        assert view.rig is not None and view.right is not None  # the world is seen in pairs
        for side, image, model in (
            ("left", view.image, view.rig.left),
            ("right", view.right, view.rig.right),
        ):
            writer.write(f"/{side}/camera_info", stamp_ns, writer.camera_info(model, stamp_ns, side))
            plane = writer.depth(image[..., 0].astype(np.float32), stamp_ns, side)
            pixels = {"step": 3 * _SIZE_WH[0], "data": np.ascontiguousarray(image).reshape(-1)}
            writer.write(f"/{side}/image_rect", stamp_ns, replace(plane, encoding="rgb8", **pixels))
    writer.close()
    return path
