"""Open a model so that it can be trusted: the fastest engine that passes its check, else a safer one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from recon3d_ros.backends import Backend, EngineOptions, device_of, open_backend
from recon3d_ros.backends.engines import silent
from recon3d_ros.backends.gpu import find_gpu
from recon3d_ros.backends.vendor import flavour_here
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import MissingDependencyError, ModelError, Recon3dError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.preprocess import plan_fit
from recon3d_ros.serving.check import cross_check, golden_size_wh, self_check
from recon3d_ros.serving.guard import GuardedBackend

# From the fastest to the safest; below them all stands ONNX Runtime.
_PRECISIONS = ("int8", "fp16", "fp32")


@dataclass(frozen=True)
class Told:
    """Who hears what happens while a model opens and serves.

    Args:
        step: Told what is done now, in per cent where it is known; from the thread that opens.
        warn: Told once what went wrong and what serves instead.
        fall_back: False when the named precision and backend must serve, or none.
    """

    step: Callable[[str], None] = silent
    warn: Callable[[str], None] = silent
    fall_back: bool = False


SILENT = Told()


def engines_wanted(config: ModelConfig, stereo: bool = True) -> bool:
    """Whether a configuration means an engine: it says so, or it leaves the choice and all is there for one.

    Raises:
        ModelError, ConfigError, DataError: ``auto``, and there is no such model.
    """
    if config.backend != "auto":
        return config.backend == "tensorrt"
    if not _can_run_engines(config.tensorrt_flavour):
        return False
    return bool(find_model(config.model, config.models_dir, device="gpu", stereo=stereo).artifacts)


def chosen(config: ModelConfig, stereo: bool = True) -> ModelConfig:
    """The configuration with ``auto`` decided for an engine, where one is wanted and the sizes are known.

    Raises:
        ModelError, ConfigError, DataError: there is no such model.
    """
    if config.backend == "auto" and config.engine_sizes and engines_wanted(config, stereo):
        return replace(config, backend="tensorrt")
    return config


def at_once(config: ModelConfig, stereo: bool = True) -> ModelConfig:
    """What serves the same model until its engine is built: ONNX Runtime, unless it is not installed.

    Returns:
        `config` itself when it means no engine.

    Raises:
        ModelError, ConfigError, DataError: there is no such model.
    """
    if not engines_wanted(config, stereo) or importlib.util.find_spec("onnxruntime") is None:
        return config
    model = config.model
    if model == "auto":  # the same as the engine's, not the one for a CPU alone
        model = find_model(model, config.models_dir, device=device_of("tensorrt"), stereo=stereo).name
    return replace(config, model=model, backend="onnxruntime", precision="auto")


def open_checked(manifest: Manifest, config: ModelConfig, check: bool = True, told: Told = SILENT) -> Backend:
    """Open a model and see that it gives the known answer.

    An engine that does not is put into quarantine. With `told.fall_back` the next safer precision is tried,
    int8, fp16, fp32, and what opens is guarded: ONNX Runtime answers what the engine cannot.

    Args:
        manifest: Of the model, verified.
        config: Which backend and precision; with an engine, of which sizes.
        check: False saves the inference.
        told: Who hears of it.

    Raises:
        ModelError: a file is not what the manifest promises, or no answer is the known one.
        MissingDependencyError: the backend's library is not installed.
        BackendError: no engine can be had.
    """
    if config.backend != "tensorrt":
        return _open_plain(manifest, config, check, told)
    rungs = _rungs(manifest, config.precision)
    for precision, safer in zip(rungs, [*rungs[1:], None]):
        try:
            return _open_engine(manifest, config, precision, check, told)
        except MissingDependencyError:
            raise  # another precision needs it, too
        except Recon3dError as exc:
            if safer is None or not told.fall_back:
                raise
            told.warn(f"{exc}; trying {safer}")
    raise AssertionError("a ladder has rungs")


def _open_plain(manifest: Manifest, config: ModelConfig, check: bool, told: Told) -> Backend:
    """A backend that runs the ONNX file itself; one of a GPU has the CPU as its spare."""
    on_gpu = device_of(config.backend) == "gpu"
    try:
        backend = open_backend(config.backend, manifest, threads=config.threads, precision=config.precision)
        if check and backend.name != "fake":  # which gives no model's answer
            _checked(manifest, backend, lambda: self_check(manifest, backend))
    except Recon3dError as exc:
        if not (on_gpu and told.fall_back):
            raise
        told.warn(f"{exc}; ONNX Runtime answers on the CPU instead")
        return open_checked(manifest, _spare(config), check, told)
    return _guarded(manifest, config, backend, check, told) if on_gpu else backend


def _rungs(manifest: Manifest, precision: str) -> list[str]:
    """The precisions to try, the named one first; ``auto`` leaves out int8, which costs accuracy."""
    if precision != "auto":
        manifest.artifact(precision)
    have = [artifact.precision for artifact in manifest.artifacts]
    first = "fp16" if precision == "auto" else precision
    rungs = [name for name in _PRECISIONS[_PRECISIONS.index(first) :] if name in have]
    return rungs or [manifest.artifact(precision).precision]


def network_sizes_wh(manifest: Manifest, config: ModelConfig, check: bool) -> tuple[tuple[int, int], ...]:
    """Sizes of the network's input that an engine needs: those of the images, and of the known ones."""
    sizes = [plan_fit(manifest.input, size).network_size_wh for size in config.engine_sizes_wh]
    known = golden_size_wh(manifest) if check else None
    if known is not None:
        sizes.append(plan_fit(manifest.input, known).network_size_wh)
    return tuple(dict.fromkeys(sizes))


def _open_engine(manifest: Manifest, config: ModelConfig, precision: str, check: bool, told: Told) -> Backend:
    sizes = network_sizes_wh(manifest, config, check)
    options = EngineOptions(config.tensorrt_flavour, sizes, told.step, told.warn)
    backend = open_backend("tensorrt", manifest, precision=precision, engine=options)
    if check:
        told.step("checking")
        _checked(manifest, backend, lambda: _check_engine(manifest, config, backend))
    return _guarded(manifest, config, backend, check, told)


def _guarded(manifest: Manifest, config: ModelConfig, backend: Backend, check: bool, told: Told) -> Backend:
    """With ONNX Runtime as its spare, where something else may answer."""
    if not told.fall_back:
        return backend
    return GuardedBackend(backend, lambda: open_checked(manifest, _spare(config), check, told), told.warn)


def _spare(config: ModelConfig) -> ModelConfig:
    return replace(config, backend="onnxruntime", precision="auto")


def _check_engine(manifest: Manifest, config: ModelConfig, backend: Backend) -> None:
    """The known answer, and at the sizes of the images the same as ONNX Runtime: kernels differ by size."""
    record: Callable[[str], Any] = getattr(backend, "record_check", silent)
    try:
        self_check(manifest, backend)
        if importlib.util.find_spec("onnxruntime") is not None:
            for size in config.engine_sizes_wh:
                cross_check(manifest, backend, size, config.threads)
    except ModelError as exc:
        record(str(exc))
        raise
    record("passed")


def _checked(manifest: Manifest, backend: Backend, check: Callable[[], None]) -> None:
    try:
        check()
    except BaseException:
        backend.close()
        raise


def _can_run_engines(flavour: str) -> bool:
    here = flavour_here(flavour) is not None and importlib.util.find_spec("pycuda") is not None
    return here and find_gpu() is not None
