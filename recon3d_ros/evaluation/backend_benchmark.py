"""How long each stage takes in every backend that is there: from the message of a pair to its cloud."""

from __future__ import annotations

import time
from collections import defaultdict
from types import SimpleNamespace

import numpy as np

from recon3d_ros.backends import BACKENDS
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import ArtifactError, BackendError, MissingDependencyError
from recon3d_ros.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.messages.encodings import decode_image
from recon3d_ros.pipeline import Pipeline

SIZE_WH = (640, 480)
PRECISIONS = ("fp32", "fp16", "int8")
_WARM_UP = 3
Row = dict[str, object]


def benchmark_backends(frames: int = 300) -> list[Row]:
    """Measure the shipped stereo model on pairs of 640x480.

    Args:
        frames: How many are timed, after some that are not.

    Returns:
        A row for each stage: backend, precision, stage, frames, median_ms, p95_ms, note. Stages are those of
        `Estimator.timings_ms` and `Result.timings_ms`; ``total`` is the wall time of all, ``decode`` of both
        images. A backend that is not there has one row, whose note says why, with no frames and no times.
    """
    rows: list[Row] = []
    for backend in BACKENDS:
        if backend == "fake":
            continue
        for precision in PRECISIONS:
            try:
                rows += _measured(backend, precision, frames)
            except ArtifactError:  # the shipped model has no such file
                continue
            except (BackendError, MissingDependencyError) as exc:
                rows.append(_row(backend, precision, "", [], str(exc)))
                break  # the other precisions would say the same
    return rows


def _measured(backend: str, precision: str, frames: int) -> list[Row]:
    estimator = Estimator.open(ModelConfig(backend=backend, precision=precision))
    try:
        pipeline = Pipeline(estimator, PipelineConfig(max_edge_jump=0.05))
        times: dict[str, list[float]] = defaultdict(list)
        for i in range(-_WARM_UP, frames):
            laps = _one(pipeline, i)
            if i >= 0:
                for stage, took_ms in laps.items():
                    times[stage].append(took_ms)
        name, used = estimator.backend_name, estimator.precision
    finally:
        estimator.close()
    note = "" if name == backend else f"answered by {name}"
    return [_row(backend, used, stage, laps_ms, note) for stage, laps_ms in times.items()]


def _one(pipeline: Pipeline, seed: int) -> dict[str, float]:
    """Wall times of one frame, by stage."""
    width, height = SIZE_WH
    pair = [_message(seed + 10 * side) for side in (1, 2)]
    started = time.perf_counter()
    left, right = (decode_image(message) for message in pair)
    decoded = time.perf_counter()
    rig = StereoRig.simple(width, height, 0.8 * width, 0.12)
    frame = Frame(0, left, rig.left, right, rig)
    layout = pipeline.cloud_layout(frame)
    assert layout is not None  # without voxels clouds are organized
    into = np.empty((*layout[0], len(layout[1])), np.float32)
    begun = time.perf_counter()
    result = pipeline.process(frame, into)
    done = time.perf_counter()
    decode_ms = (decoded - started) * 1e3
    stages = {name: took for name, took in result.timings_ms.items() if name != "estimate"}
    total_ms = decode_ms + (done - begun) * 1e3
    return {"decode": decode_ms, **pipeline.estimator.timings_ms, **stages, "total": total_ms}


def _message(seed: int) -> SimpleNamespace:
    """A bgr8 image of smooth noise, as a camera would send it."""
    width, height = SIZE_WH
    coarse = np.random.default_rng(abs(seed)).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    data = np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)).reshape(-1)
    return SimpleNamespace(
        encoding="bgr8", height=height, width=width, step=3 * width, is_bigendian=False, data=data
    )


def _row(backend: str, precision: str, stage: str, times_ms: list[float], note: str) -> Row:
    median, p95 = (float(np.percentile(times_ms, share)) if times_ms else None for share in (50, 95))
    return {
        "backend": backend,
        "precision": precision,
        "stage": stage,
        "frames": len(times_ms),
        "median_ms": median,
        "p95_ms": p95,
        "note": note,
    }
