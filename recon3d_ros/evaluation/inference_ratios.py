"""What an inference costs on this CPU, as a share of ONNX Runtime's in fp32: all take turns in one run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np

from recon3d_ros.backends import Backend
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError, Recon3dError
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.serving import CPU_BACKENDS, known_feed, open_checked

_WARM_UP = 2
_REFERENCE = ("onnxruntime", "fp32")
_PRECISIONS = ("fp32", "int8")


@dataclass(frozen=True)
class InferenceRatio:
    """Times of one model in one backend and precision.

    Attributes:
        model, backend, precision: What ran.
        times_ms: Of each inference.
        ratios: Of each inference to that of ONNX Runtime in fp32 in the same round; empty without it.
        note: Why it did not run; empty when it did.
    """

    model: str
    backend: str
    precision: str
    times_ms: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    note: str = ""


def inference_ratios(
    models: Sequence[str], size_wh: tuple[int, int], rounds: int
) -> Iterator[InferenceRatio]:
    """Measure models in every backend of the CPU that is installed, in fp32 and int8.

    Each round runs all of them once on the golden images, so that what else runs disturbs all alike.

    Args:
        models: Names.
        size_wh: Of the images.
        rounds: How many are timed, after some that are not.

    Raises:
        ModelError, DataError: there is no such model.
    """
    for model in models:
        yield from _of_model(model, size_wh, rounds)


def _of_model(model: str, size_wh: tuple[int, int], rounds: int) -> Iterator[InferenceRatio]:
    manifest = find_model(model)
    with ExitStack() as stack:
        opened: dict[tuple[str, str], Backend] = {}
        for backend in CPU_BACKENDS:
            for precision in _PRECISIONS:
                config = ModelConfig(model=model, backend=backend, precision=precision)
                try:
                    one = stack.enter_context(closing(open_checked(manifest, config)))
                    one.infer(known_feed(manifest, one, size_wh))
                    opened[backend, precision] = one
                except ArtifactError:  # the model has no such file
                    continue
                except Recon3dError as exc:
                    yield InferenceRatio(model, backend, precision, note=str(exc))
        feeds = {key: known_feed(manifest, one, size_wh) for key, one in opened.items()}
        times: dict[tuple[str, str], list[float]] = {key: [] for key in opened}
        for i in range(-_WARM_UP, rounds):
            for key, one in opened.items():
                began = time.perf_counter()
                one.infer(feeds[key])
                if i >= 0:
                    times[key].append((time.perf_counter() - began) * 1e3)
    base = times.get(_REFERENCE)
    for (backend, precision), laps in times.items():
        ratios = tuple(float(x) for x in np.divide(laps, base)) if base else ()
        yield InferenceRatio(model, backend, precision, tuple(laps), ratios)
