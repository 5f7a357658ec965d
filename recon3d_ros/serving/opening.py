"""Open a model so that it can be trusted: the fastest engine that passes its check, else a safer one."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from recon3d_ros.backends import Backend, EngineOptions, device_of, open_backend
from recon3d_ros.backends.gpu import find_gpu
from recon3d_ros.backends.openvino import OpenVinoBackend
from recon3d_ros.backends.vendor import flavour_here
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import MissingDependencyError, ModelError, OperatorError, Recon3dError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import find_model, verify
from recon3d_ros.preprocess import plan_fit
from recon3d_ros.serving.check import cross_check, golden_fit, golden_size_wh, self_check
from recon3d_ros.serving.choice import CPU_BACKENDS, choose_on_cpu
from recon3d_ros.serving.fallback import FallbackBackend
from recon3d_ros.serving.sizes import SizeChecked
from recon3d_ros.system.progress import NO_PROGRESS, Progress

log = logging.getLogger(__name__)

# From the fastest to the safest; below them all stands ONNX Runtime.
_PRECISIONS = ("int8", "fp16", "fp32")


def wants_engine(config: ModelConfig, stereo: bool = True) -> bool:
    """Whether a configuration means an engine: it says so, or it leaves the choice and all is there for one.

    Raises:
        ModelError, ConfigError, DataError: ``auto``, and there is no such model.
    """
    if config.backend != "auto":
        return config.backend == "tensorrt"
    if not _can_run_engines(config.tensorrt_flavour):
        return False
    return bool(find_model(config.model, config.models_dir, device="gpu", stereo=stereo).artifacts)


def resolve_auto(config: ModelConfig, stereo: bool = True) -> ModelConfig:
    """The configuration with ``auto`` decided: for an engine where one is wanted and the sizes are known.

    Without one, for the fastest backend on the CPU where there is a choice.

    Raises:
        ModelError, ConfigError, DataError: there is no such model.
    """
    if config.backend == "auto" and config.engine_sizes and wants_engine(config, stereo):
        return replace(config, backend="tensorrt")
    if config.backend in ("auto", *CPU_BACKENDS) and not wants_engine(config, stereo):
        return choose_on_cpu(config, stereo, open_checked)
    return config


def interim_config(config: ModelConfig, stereo: bool = True) -> ModelConfig:
    """What serves the same model until its engine is built: ONNX Runtime, unless it is not installed.

    Returns:
        `config` itself when it means no engine, or the model needs plug-ins of TensorRT.

    Raises:
        ModelError, ConfigError, DataError: there is no such model.
    """
    if not wants_engine(config, stereo) or not _has_onnxruntime():
        return config
    model = config.model
    manifest = find_model(model, config.models_dir, device=device_of("tensorrt"), stereo=stereo)
    if manifest.plugins:  # which ONNX Runtime has not
        return config
    if model == "auto":  # the same as the engine's, not the one for a CPU alone
        model = manifest.name
    return replace(config, model=model, backend="onnxruntime", precision="auto")


def open_checked(
    manifest: Manifest,
    config: ModelConfig,
    *,
    check: bool = True,
    fall_back: bool = False,
    progress: Progress = NO_PROGRESS,
) -> Backend:
    """Open a model and check its golden output.

    An engine that does not is put into quarantine. What goes wrong and what serves instead is logged.

    Args:
        manifest: Of the model, verified.
        config: Which backend and precision; with an engine, of which sizes.
        check: False saves the inference.
        fall_back: Whether something safer may serve: the next precision (int8, fp16, fp32), and ONNX Runtime
            for what a backend of the GPU cannot run.
        progress: Gets how far it is, in the thread that opens.

    Raises:
        ModelError: a file is not what the manifest promises, or its output is not the golden one.
        MissingDependencyError: the backend's library is not installed.
        BackendError: no engine can be had.
    """
    opening = _Opening(manifest, config, check, fall_back, progress)
    return opening.open_engine() if config.backend == "tensorrt" else opening.open_onnx()


def open_on_cpu(manifest: Manifest, threads: int = 0) -> Backend:
    """Verify a model's files, open it in ONNX Runtime and check its golden output.

    Raises:
        ModelError: a file is not what the manifest promises, or its output is not the golden one.
        MissingDependencyError: ONNX Runtime is not installed.
        BackendError: the runtime failed.
    """
    verify(manifest)
    backend = open_backend("onnxruntime", manifest, threads=threads)
    _checked(backend, lambda: self_check(manifest, backend))
    return backend


def network_sizes_wh(manifest: Manifest, config: ModelConfig, check: bool) -> tuple[tuple[int, int], ...]:
    """Sizes of the network's input that an engine needs: those of the images, and of the known ones."""
    sizes = [plan_fit(manifest.input, size).network_size_wh for size in config.engine_sizes_wh]
    known = golden_size_wh(manifest) if check else None
    if known is not None:
        sizes.append(golden_fit(manifest, known).network_size_wh)
    return tuple(dict.fromkeys(sizes))


@dataclass(frozen=True)
class _Opening:
    """The arguments of `open_checked`, which all of its steps need."""

    manifest: Manifest
    config: ModelConfig
    check: bool
    fall_back: bool
    progress: Progress

    def open_engine(self) -> Backend:
        """The engine of the wanted precision, or of the next safer one."""
        self._require_check()
        precisions = self._precisions()
        for precision, safer in zip(precisions, [*precisions[1:], None]):
            try:
                return self._with_fallback(self._open_precision(precision))
            except MissingDependencyError:
                raise  # another precision needs it, too
            except Recon3dError as exc:
                if safer is None or not self.fall_back:
                    raise
                log.warning("%s; trying %s", str(exc), safer)
        raise AssertionError("there is one precision at least")

    def _require_check(self) -> None:
        """Refuse an engine that nothing can be compared with, before it is built.

        Raises:
            ModelError: ONNX Runtime does not know the operators of the model, which has no golden output.
        """
        if self.manifest.golden is not None:
            return
        why = "it needs plug-ins of TensorRT" if self.manifest.plugins else self._unknown_operator()
        if why:
            raise ModelError(
                f"expected a golden output of {self.manifest.name}, which ONNX Runtime cannot check ({why}), "
                "got none: make one with the original code (docs/own-models.md) and name it under golden"
            )

    def _unknown_operator(self) -> str:
        """Which operator ONNX Runtime does not know, in its words; empty where it can run the model."""
        if not _has_onnxruntime():
            return ""
        try:
            open_backend("onnxruntime", self.manifest, precision=self.config.precision).close()
        except OperatorError as exc:
            return str(exc).partition(": ")[0]
        except Recon3dError:
            pass  # told by who opens it for a comparison
        return ""

    def open_onnx(self) -> Backend:
        """A backend that runs the ONNX file itself; one of a GPU has the CPU's to fall back to."""
        config = self.config
        has_safer = device_of(config.backend) == "gpu" or config.backend == "openvino"
        options = EngineOptions(progress=self.progress, arithmetic=config.openvino_precision)
        try:
            backend = open_backend(
                config.backend,
                self.manifest,
                threads=config.threads,
                precision=config.precision,
                engine=options,
            )
            if self.check and backend.name != "fake":  # which runs no model
                _checked(backend, lambda: self._check_onnx(backend))
        except Recon3dError as exc:
            if not (has_safer and self.fall_back):
                raise
            log.warning("%s; ONNX Runtime on the CPU is used instead", str(exc))
            return self._open_fallback()
        if isinstance(backend, OpenVinoBackend) and self.check and _has_onnxruntime():
            backend = SizeChecked(self.manifest, backend, config.threads)
        return self._with_fallback(backend) if has_safer else backend

    def _precisions(self) -> list[str]:
        """What to try, the wanted one first; ``auto`` leaves out int8, which costs accuracy."""
        wanted = self.config.precision
        if wanted != "auto":
            self.manifest.artifact(wanted)
        have = [artifact.precision for artifact in self.manifest.artifacts]
        first = "fp16" if wanted == "auto" else wanted
        found = [name for name in _PRECISIONS[_PRECISIONS.index(first) :] if name in have]
        return found or [self.manifest.artifact(wanted).precision]

    def _open_precision(self, precision: str) -> Backend:
        sizes = network_sizes_wh(self.manifest, self.config, self.check)
        options = EngineOptions(self.config.tensorrt_flavour, sizes, progress=self.progress)
        backend = open_backend("tensorrt", self.manifest, precision=precision, engine=options)
        if self.check:
            self.progress.update("checking")
            _checked(backend, lambda: self._check_engine(backend))
        return backend

    def _check_engine(self, backend: Backend) -> None:
        """The golden output, and at the sizes of the images that of ONNX Runtime: kernels differ by size."""
        record: Callable[[str], None] = getattr(backend, "record_check", lambda verdict: None)
        try:
            self_check(self.manifest, backend)
            if _has_onnxruntime() and not self.manifest.plugins:
                for size in self.config.engine_sizes_wh:
                    cross_check(self.manifest, backend, size, self.config.threads)
        except OperatorError as exc:  # the golden output is all there is to compare with
            log.warning("%s is checked by its golden output alone: %s", self.manifest.name, exc)
        except ModelError as exc:
            record(str(exc))
            raise
        record("passed")

    def _check_onnx(self, backend: Backend) -> None:
        """The golden output; a backend that keeps what it compiled keeps the result with it."""
        record: Callable[[str], None] = getattr(backend, "record_check", lambda verdict: None)
        try:
            self_check(self.manifest, backend)
        except ModelError as exc:
            record(str(exc))
            raise
        if self.manifest.golden is not None:
            record("passed")

    def _with_fallback(self, backend: Backend) -> Backend:
        return FallbackBackend(backend, self._open_fallback) if self.fall_back else backend

    def _open_fallback(self) -> Backend:
        config = replace(self.config, backend="onnxruntime", precision="auto")
        return replace(self, config=config).open_onnx()


def _checked(backend: Backend, check: Callable[[], object]) -> None:
    """Check a backend; close it when it does not pass."""
    try:
        check()
    except BaseException:
        backend.close()
        raise


def _has_onnxruntime() -> bool:
    return importlib.util.find_spec("onnxruntime") is not None


def _can_run_engines(flavour: str) -> bool:
    here = flavour_here(flavour) is not None and importlib.util.find_spec("pycuda") is not None
    return here and find_gpu() is not None
