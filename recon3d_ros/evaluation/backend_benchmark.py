"""What each backend costs, by stage from the message of a pair to its cloud, and how accurate it is."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from recon3d_ros.backends import BACKENDS, ENGINE_BACKENDS, device_of
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import ArtifactError, MissingDependencyError, Recon3dError
from recon3d_ros.estimation.estimator import MODEL_ROOMS, Estimator
from recon3d_ros.evaluation.inference_ratios import inference_ratios
from recon3d_ros.evaluation.scoring import evaluate
from recon3d_ros.evaluation.sets import EvaluationSet, open_sets
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.messages.encodings import decode_image
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.system.logs import KeptWarnings

MODEL = "recon3d_stereo"
COMPARED = ("recon3d_stereo_light", "recon3d_stereo")
SIZE_WH = (640, 480)
PRECISIONS = ("fp32", "fp16", "int8")
_RATIOS = ("ratio", "ratio_p5", "ratio_p95")
GPU_PATHS = ("graph", "stages", "inference")
_ACCURACY = ("bad_px_1", "bad_px_2", "bad_px_3", "coverage")
IN_TURN = "infer, in turn"
_WARM_UP = 3
Row = dict[str, object]


def benchmark_backends(frames: int = 300, data: str = "") -> list[Row]:
    """Measure the shipped stereo model on pairs of 640x480, and on real ones.

    Args:
        frames: How many are timed, after some that are not.
        data: Data sets of pairs with true disparity, with commas between them, for the accuracy.

    Returns:
        A row for each stage: backend, model, precision, gpu_path, stage, frames, median_ms, p95_ms, ratio,
        ratio_p5, ratio_p95, bad_px_1, bad_px_2, bad_px_3, coverage, note. Stages are those of
        `Estimator.timings_ms` and `Result.timings_ms`; ``total`` is the wall time of all, ``decode`` of both
        images; the cloud lies in the memory that a message publishes. Of a data set there is a row whose
        stage is its name, with the times of the estimates, and the accuracy in percent. In the rows
        ``infer, in turn`` the backends of the CPU ran the stereo models by turns; ``ratio`` is the median of
        their times divided by those of ONNX Runtime in fp32, with the 5th and 95th percentile. A backend that
        is not there has one row, whose note says why.

    Raises:
        DataError: A data set is not there.
    """
    sets = open_sets(data) if data else []
    rows = [row for name in BACKENDS if name != "fake" for row in _rows_of(name, frames, sets)]
    return [*rows, *_in_turn(frames)]


def _in_turn(frames: int) -> Iterator[Row]:
    for one in inference_ratios(COMPARED, SIZE_WH, frames):
        config = ModelConfig(model=one.model, backend=one.backend, precision=one.precision)
        spread = dict(zip(_RATIOS, np.percentile(one.ratios, (50, 5, 95)))) if one.ratios else {}
        ratios = {name: float(value) for name, value in spread.items()}
        yield _row(config, "", IN_TURN, one.times_ms, note=one.note, **ratios)


def _rows_of(backend: str, frames: int, sets: Sequence[EvaluationSet]) -> Iterator[Row]:
    sizes = _sizes(sets) if backend in ENGINE_BACKENDS else ()
    for precision in PRECISIONS:
        for path in _paths(backend):
            config = ModelConfig(model=MODEL, backend=backend, precision=precision, engine_sizes=sizes)
            if path:
                config = replace(config, gpu_path=path)
            try:
                # A graph belongs to one calibration, and gives what the stages give.
                yield from _measured(config, path, frames, sets if path != "graph" else ())
            except ArtifactError:  # the shipped model has no such file
                break
            except Recon3dError as exc:
                yield _row(config, path, "", [], note=str(exc))
                if isinstance(exc, MissingDependencyError):
                    return  # the others would say the same
                break


def _paths(backend: str) -> tuple[str, ...]:
    if backend in ENGINE_BACKENDS:
        return GPU_PATHS
    return GPU_PATHS[1:] if device_of(backend) == "gpu" else ("",)


def _sizes(sets: Sequence[EvaluationSet]) -> tuple[str, ...]:
    """Of all images, as engines want to know them."""
    found = [SIZE_WH, *(sample.frame.camera.image_size_wh for one in sets for sample in one.samples)]
    return tuple(f"{width}x{height}" for width, height in dict.fromkeys(found))


def _measured(config: ModelConfig, path: str, frames: int, sets: Sequence[EvaluationSet]) -> list[Row]:
    with KeptWarnings(MODEL_ROOMS) as kept, closing(Estimator.open(config)) as estimator:
        times = _times(Pipeline(estimator, PipelineConfig(max_edge_jump=0.05)), frames)
        note = "; ".join(kept.take())
        rows = [_row(config, path, stage, laps_ms, note=note) for stage, laps_ms in times.items()]
        for one in sets:
            score = evaluate(estimator, one.samples)
            metrics = {name: 100 * score.metrics[name] for name in _ACCURACY}
            laps_ms = [frame.time_ms for frame in score.frames]
            rows.append(_row(config, path, one.name, laps_ms, **metrics, note=note))
    return rows


def _times(pipeline: Pipeline, frames: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = defaultdict(list)
    for i in range(-_WARM_UP, frames):
        laps = _one(pipeline, i)
        if i >= 0:
            for stage, took_ms in laps.items():
                times[stage].append(took_ms)
    return times


def _one(pipeline: Pipeline, seed: int) -> dict[str, float]:
    """Wall times of one frame, by stage."""
    width, height = SIZE_WH
    pair = [_message(seed + 10 * side) for side in (1, 2)]
    started = time.perf_counter()
    left, right = (decode_image(message) for message in pair)
    decoded = time.perf_counter()
    rig = StereoRig.simple(width, height, 0.8 * width, 0.12)
    # Stamps of a stream at 30 Hz: what an estimator does now and then is done as often as there.
    frame = Frame(round((seed + _WARM_UP) * 1e9 / 30), left, rig.left, right, rig)
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


def _row(
    config: ModelConfig, path: str, stage: str, times_ms: Sequence[float], note: str, **more: float
) -> Row:
    median, p95 = (float(np.percentile(times_ms, share)) if times_ms else None for share in (50, 95))
    return {
        "backend": config.backend,
        "model": config.model,
        "precision": config.precision,
        "gpu_path": path,
        "stage": stage,
        "frames": len(times_ms),
        "median_ms": median,
        "p95_ms": p95,
        **{name: more.get(name) for name in (*_RATIOS, *_ACCURACY)},
        "note": note,
    }
