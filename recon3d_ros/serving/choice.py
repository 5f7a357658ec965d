"""What ``auto`` means on a CPU: the backend, and for pairs the model, that a short measurement finds."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recon3d_ros.backends import Backend
from recon3d_ros.backends.engine_store import default_folder
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import OutputError, Recon3dError
from recon3d_ros.files.disk import write_json
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import MORE_ACCURATE_FIRST, at_input_scale, find_model
from recon3d_ros.preprocess import plan_fit
from recon3d_ros.serving.check import known_feed
from recon3d_ros.system.machine import processor, software

log = logging.getLogger(__name__)

# The one that computes as the model was trained first: it stays where two are equally fast.
CPU_BACKENDS = ("onnxruntime", "openvino")
_SIZE_WH = (640, 480)  # until the size of the images is known
_WARM_UP, _RUNS = 2, 7
# A backend must win by more than what a measurement varies, to be taken in place of ONNX Runtime.
_GAIN = 0.95

Opener = Callable[[Manifest, ModelConfig], Backend]


@dataclass(frozen=True)
class Speed:
    """How long one inference takes, by backend; those that are missing did not pass their check."""

    model: str
    size_wh: tuple[int, int]
    median_ms: dict[str, float]
    measured: bool

    @property
    def backend(self) -> str:
        """The fastest."""
        best = min(self.median_ms, key=lambda name: self.median_ms[name])
        base = self.median_ms.get(CPU_BACKENDS[0])
        return best if base is None or self.median_ms[best] <= _GAIN * base else CPU_BACKENDS[0]

    @property
    def rate_hz(self) -> float:
        """Inferences per second of the fastest."""
        return 1000.0 / self.median_ms[self.backend]


def choose_on_cpu(config: ModelConfig, stereo: bool, opener: Opener) -> ModelConfig:
    """The configuration with ``auto`` decided for a CPU; itself where there is nothing to decide.

    Only where OpenVINO is installed: with ONNX Runtime alone the default model is not measured.

    Args:
        config: backend and model may be ``auto``.
        stereo: Whether the model is for pairs.
        opener: Opens a model in a backend and checks its golden output.

    Raises:
        ModelError, ConfigError, DataError: there is no such model.
    """
    backends = [name for name in CPU_BACKENDS if importlib.util.find_spec(name) is not None]
    if config.backend != "auto":
        backends = [name for name in backends if name == config.backend]
    if "openvino" not in backends or (config.backend != "auto" and config.model != "auto"):
        return config
    models = [at_input_scale(manifest, config.input_scale) for manifest in _models(config, stereo)]
    if not models[-1].artifacts or (len(models) == 1 and len(backends) == 1):
        return config
    for manifest in models:
        speed = _speed(manifest, config, backends, opener)
        if not speed.median_ms:
            continue  # why is logged
        enough = speed.rate_hz >= config.target_rate_hz
        if enough or manifest is models[-1]:
            _tell(speed, config, decides=len(models) > 1)
            return replace(config, model=_name(config, manifest), backend=speed.backend)
    return config


def _models(config: ModelConfig, stereo: bool) -> list[Manifest]:
    """What may be taken, the most accurate one first."""
    if config.model != "auto" or not stereo:
        return [find_model(config.model, config.models_dir, stereo=stereo)]
    default = find_model("auto", config.models_dir, stereo=True)
    better = [name for name in MORE_ACCURATE_FIRST if name != default.name]
    found = []
    for name in better:
        try:
            found.append(find_model(name, config.models_dir))
        except Recon3dError:
            continue
    return [*found, default]


def _name(config: ModelConfig, manifest: Manifest) -> str:
    return manifest.name if config.model == "auto" else config.model


def _speed(manifest: Manifest, config: ModelConfig, backends: Sequence[str], opener: Opener) -> Speed:
    """Remembered, or measured now."""
    size = (config.engine_sizes_wh or (_SIZE_WH,))[0]
    key = {
        "processor": processor(),
        "software": {name: v for name, v in software().items() if name in (*CPU_BACKENDS, "recon3d_ros")},
        "model": manifest.name,
        "sha256": manifest.artifact(config.precision).digest,
        "size": list(plan_fit(manifest.input, size).content_size_wh),
        "threads": config.threads,
        "openvino_precision": config.openvino_precision,
        "backends": list(backends),
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = speeds_folder() / f"{manifest.name}-{digest}.json"
    known = _read(path, key)
    if known is not None:
        return Speed(manifest.name, size, known, measured=False)
    speed = Speed(manifest.name, size, _measure(manifest, config, backends, opener, size), measured=True)
    if len(speed.median_ms) == len(backends):  # what failed is tried again
        try:
            write_json(path, {"key": key, "median_ms": speed.median_ms})
        except OutputError as exc:
            log.warning("%s; the speed is measured again at the next start", exc)
    return speed


def speeds_folder() -> Path:
    """Where measured speeds are kept: beside the engines."""
    return default_folder().with_name("speeds")


def _read(path: Path, key: dict[str, object]) -> dict[str, float] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        times = {str(name): float(value) for name, value in content["median_ms"].items()}
        return times if content["key"] == key and times and min(times.values()) > 0.0 else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _measure(
    manifest: Manifest,
    config: ModelConfig,
    backends: Sequence[str],
    opener: Opener,
    size_wh: tuple[int, int],
) -> dict[str, float]:
    """Median times of a few inferences, the backends taking turns, as other processes disturb all alike."""
    times: dict[str, list[float]] = {}
    with ExitStack() as stack:
        opened: dict[str, Backend] = {}
        for name in backends:
            try:
                opened[name] = stack.enter_context(closing(opener(manifest, replace(config, backend=name))))
            except Recon3dError as exc:
                log.warning("%s; %s is not used", str(exc), name)
        for i in range(_WARM_UP + _RUNS):
            for name, backend in list(opened.items()):
                feed = known_feed(manifest, backend, size_wh)
                began = time.perf_counter()
                try:
                    backend.infer(feed)
                except Recon3dError as exc:
                    log.warning("%s; %s is not used", str(exc), name)
                    opened.pop(name), times.pop(name, None)
                    continue
                if i >= _WARM_UP:
                    times.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
    return {name: round(float(np.median(laps)), 3) for name, laps in times.items()}


def _tell(speed: Speed, config: ModelConfig, decides: bool) -> None:
    """One line: what was chosen, by which times."""
    times = ", ".join(f"{name} {ms:.1f} ms" for name, ms in speed.median_ms.items())
    width, height = speed.size_wh
    rate = ""
    if decides:
        holds = "holds" if speed.rate_hz >= config.target_rate_hz else "is below"
        rate = f", {speed.rate_hz:.1f} Hz, which {holds} target_rate_hz {config.target_rate_hz:g}"
    when = f"measured now and kept in {speeds_folder()}" if speed.measured else "measured at an earlier start"
    log.info("%s in %s: %s at %dx%d%s (%s)", speed.model, speed.backend, times, width, height, rate, when)
