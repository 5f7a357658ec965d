"""OpenVINO on the CPU: a compiled model for each size, kept in the cache of engines.

This module alone imports openvino.
"""

from __future__ import annotations

import io
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.base import check_contract, check_feed, one_line
from recon3d_ros.backends.engine_store import EngineKey, EngineOptions, EngineStore
from recon3d_ros.backends.openvino_integer import keep_few_channels_in_float, keep_in_float, use_unsigned
from recon3d_ros.errors import ArtifactError, BackendError, OutputError, Recon3dError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import read_verified
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.system.lazy import require
from recon3d_ros.system.machine import multiplies_int8, processor, usable_cores

log = logging.getLogger(__name__)

# Cameras of one node that take turns must not compile each time; each holds the weights again.
_KEPT_SIZES = 4
_OPTIONS = "one stream, latency, unsigned activations"
# What OpenVINO says a processor can, from the fastest to the safest, and what its precision is called.
_ARITHMETIC = (("BF16", "bf16"), ("FP16", "f16"), ("FP32", "f32"))

_Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class OpenVinoBackend:
    """Executes an artifact of a model on the CPU, in bf16 or f16 where the processor has it.

    The model is compiled once for the shapes of each size of input, and those of the last few sizes are kept;
    what is compiled also stays in the cache folder. Threads sleep between two inferences.

    Args:
        manifest: Says which file, and what its tensors must be.
        threads: CPU threads inside one inference, 0 for all cores this process may use.
        precision: Of the artifact; ``auto`` is fp32, or what there is.
        engine: Its `arithmetic` is what floats are computed in.

    Attributes:
        arithmetic: bf16, f16 or f32: what floats are computed in.

    Raises:
        MissingDependencyError: openvino is not installed.
        ArtifactError: there is no such file, or it is not a model that OpenVINO can read.
        ContractError: the file does not keep what the manifest promises.
        BackendError: this processor has no such arithmetic, or the model has a loop.
    """

    name = "openvino"

    def __init__(
        self,
        manifest: Manifest,
        threads: int = 0,
        precision: str = "auto",
        engine: EngineOptions | None = None,
    ) -> None:
        self._vendor = require("openvino", extra="openvino")
        self._manifest, self._artifact = manifest, manifest.artifact(precision)
        self.precision = self._artifact.precision
        self._core = self._vendor.Core()
        self._threads = threads or usable_cores()
        self._options = engine or EngineOptions()
        self.arithmetic = _arithmetic(self._core, self._options.arithmetic)
        self._model = self._read()
        if self.precision == "int8" and multiplies_int8():
            keep_few_channels_in_float(self._model)
            use_unsigned(self._vendor, self._model)
        elif self.precision == "int8":
            keep_in_float(self._model)
            log.info("int8 of %s is computed in float: this processor has no VNNI", manifest.name)
        self._store = EngineStore()
        self._requests: OrderedDict[_Shapes, Any] = OrderedDict()
        self.inputs: tuple[TensorSpec, ...] = tuple(map(_spec, self._model.inputs))
        self.outputs: tuple[TensorSpec, ...] = tuple(map(_spec, self._model.outputs))
        check_contract(manifest, self.inputs, self.outputs)

    def _read(self) -> Any:
        """The graph: of the bytes that were checked, the files beside it by their path."""
        path = self._manifest.file_path(self._artifact.file)
        verified = read_verified(self._manifest, self._artifact.file, self._artifact.sha256)
        try:
            if self._artifact.external:
                model = self._core.read_model(str(path))
            else:
                model = self._core.read_model(model=verified, weights=b"")
        except Exception as exc:  # the vendor's exceptions have no common base
            raise ArtifactError(
                f"OpenVINO cannot load {path} ({one_line(str(exc))}): export the model again"
            ) from exc
        if any(node.get_type_name() == "Loop" for node in model.get_ops()):
            raise BackendError(
                f"expected a model without loops, {path} has one, which OpenVINO could not end if it went on "
                "for ever: set backend to onnxruntime"
            )
        return model

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network, as :meth:`recon3d_ros.backends.base.Backend.infer`."""
        if self._model is None:
            raise BackendError(f"model {self._manifest.name} is closed, open it again")
        # What cannot be written to, such as a view of a message, is not for sharing.
        checked = check_feed(self.inputs, feed)
        feed = {name: np.require(array, requirements=("C", "W")) for name, array in checked.items()}
        request = self._request(_shapes(feed))
        try:
            request.infer(feed, share_inputs=True)
            return {name: request.get_tensor(name).data.copy() for name in self._manifest.output.names}
        except Exception as exc:
            raise self._failed(exc) from exc

    def verdict(self, shapes: Mapping[str, tuple[int, ...]]) -> str:
        """What the self-check said about inputs of these shapes: empty, ``passed``, or why not."""
        entry = self._store.entry(self._key(tuple(sorted(shapes.items()))).stem)
        return entry.verdict if entry is not None else ""

    def record_check(self, verdict: str, shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        """Keep the result of the self-check with the compiled model of these shapes; None: of the last."""
        key = tuple(sorted(shapes.items())) if shapes else next(reversed(self._requests), ())
        try:
            self._store.record_check(self._key(key), verdict)
        except OutputError as exc:
            log.warning("%s", exc)

    def close(self) -> None:
        """Release the model and its threads."""
        self._requests.clear()
        self._model = self._core = None

    def _request(self, shapes: _Shapes) -> Any:
        """What runs inputs of these shapes; compiled when they come first."""
        if shapes not in self._requests:
            try:
                self._requests[shapes] = self._compiled(shapes).create_infer_request()
            except Recon3dError:
                raise
            except Exception as exc:
                raise self._failed(exc) from exc
            if len(self._requests) > _KEPT_SIZES:
                self._requests.popitem(last=False)
        self._requests.move_to_end(shapes)
        return self._requests[shapes]

    def _compiled(self, shapes: _Shapes) -> Any:
        """The compiled model from the cache, or compiled and put there; what cannot be read is made again."""
        fresh: list[Any] = []

        def build() -> bytes:
            model = self._model.clone()
            model.reshape(dict(shapes))
            fresh.append(self._core.compile_model(model, "CPU", self._properties()))
            stream = io.BytesIO()
            fresh[-1].export_model(stream)
            return stream.getvalue()

        key = self._key(shapes)
        content = self._store.get_or_build(key, build, self._options)
        if fresh:
            return fresh[-1]
        try:
            # The precision is no part of what is exported: without it the processor's fastest would be taken.
            return self._core.import_model(content, "CPU", self._properties())
        except Exception as exc:
            log.warning("%s is compiled again, as OpenVINO says: %s", key.stem, one_line(str(exc)))
        self._store.get_or_build(key, build, replace(self._options, rebuild=True))
        return fresh[-1]

    def _properties(self) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": self.arithmetic,
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # A container or taskset may not grant the cores that a pinned thread wants.
            "ENABLE_CPU_PINNING": False,
        }

    def _key(self, shapes: _Shapes) -> EngineKey:
        version, target = compiled_for(self._vendor, self._core)
        words = tuple(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes)
        options = f"{self.arithmetic}, {self._threads} threads, {_OPTIONS}"
        model, precision, digest = self._manifest.name, self.precision, self._artifact.digest
        return EngineKey(model, precision, digest, self.name, version, target, (", ".join(words),), options)

    def _failed(self, exc: Exception) -> BackendError:
        return BackendError(
            f"OpenVINO failed on {self._manifest.name} ({one_line(str(exc))}): check size_wh or multiple_of "
            "in its manifest, and the free memory; backend onnxruntime runs it meanwhile"
        )


def compiled_for(vendor: Any = None, core: Any = None) -> tuple[str, dict[str, str]]:
    """The version of OpenVINO here, and the processor that its compiled models are for.

    Raises:
        MissingDependencyError: openvino is not installed.
    """
    vendor = vendor or require("openvino", extra="openvino")
    core = core or vendor.Core()
    can = ", ".join(sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")))
    return str(vendor.__version__), {"devices": f"{processor()}: {can}"}


def _arithmetic(core: Any, wanted: str) -> str:
    can = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    have = [name for capability, name in _ARITHMETIC if capability in can or name == "f32"]
    if wanted != "auto" and wanted not in have:
        raise BackendError(
            f"expected one of {', '.join(have)}, which this processor has, as openvino_precision, got "
            f"{wanted}: set it to auto"
        )
    return have[0] if wanted == "auto" else wanted


def _shapes(feed: Mapping[str, NDArray[Any]]) -> _Shapes:
    return tuple(sorted((name, array.shape) for name, array in feed.items()))


def _spec(port: Any) -> TensorSpec:
    dtype, name = port.get_element_type().to_dtype().name, port.get_any_name()
    shape = tuple(side.get_length() if side.is_static else None for side in port.partial_shape)
    return TensorSpec(name, dtype, shape)
