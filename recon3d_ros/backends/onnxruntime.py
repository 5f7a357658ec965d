"""ONNX Runtime on the CPU. It and onnxruntime_cuda.py are the only importers of onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from recon3d_ros.backends.base import check_contract, check_feed, one_line
from recon3d_ros.backends.inference_limit import InferenceLimit
from recon3d_ros.errors import ArtifactError, BackendError, OperatorError, Recon3dError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import read_verified
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.system.lazy import require
from recon3d_ros.system.machine import usable_cores

_LOG_FATAL_ONLY = 4  # errors come as exceptions too, once is enough
_UNKNOWN_OPERATOR = re.compile(
    r"Fatal error: (?P<custom>\S+?)\(-?\d+\) is not a registered function/op"
    r"|No Op registered for (?P<standard>\S+)"
)
_NUMPY_NAMES = {"float": "float32", "double": "float64"}  # float16, int8 ... are called so here, too


class OnnxRuntimeBackend:
    """Executes an artifact of a model.

    Args:
        manifest: Says which file, and what its tensors must be.
        threads: CPU threads inside one inference, 0 for all cores this process may use.
        precision: Of the artifact; ``auto`` is fp32, or what there is.
        also: Outputs of the file to return beside those that the manifest names.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        ArtifactError: there is no such file, or it is not a model that ONNX Runtime can load; OperatorError
            where it has operators that are not known.
        ContractError: the file does not keep what the manifest promises.
    """

    name = "onnxruntime"
    _serves_signals = True

    def __init__(
        self, manifest: Manifest, threads: int = 0, precision: str = "auto", also: Sequence[str] = ()
    ) -> None:
        vendor = require("onnxruntime", extra="cpu")
        artifact = manifest.artifact(precision)
        path, self.precision = manifest.file_path(artifact.file), artifact.precision
        # The bytes that were checked are loaded; the files beside it are found by its path only.
        verified = read_verified(manifest, artifact.file, artifact.sha256)
        try:
            self._session = vendor.InferenceSession(
                str(path) if artifact.external else verified,
                _session_options(vendor, threads),
                providers=self._providers(),
                enable_fallback=0,
            )
        except Exception as exc:  # the vendor's exceptions have no common base
            _refuse_unknown_operator(path, exc, bool(manifest.plugins))
            raise self._not_loaded(f"ONNX Runtime cannot load {path} ({one_line(str(exc))})") from exc
        self._model_name = manifest.name
        self._run_options, self._limit = vendor.RunOptions, InferenceLimit(aside=self._serves_signals)
        self.inputs, self.outputs = tensors_of(self._session, path)
        check_contract(manifest, self.inputs, self.outputs)
        self._output_names = [*manifest.output.names, *also]

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network, as :meth:`recon3d_ros.backends.base.Backend.infer`."""
        if self._session is None:
            raise BackendError(f"model {self._model_name} is closed, open it again")
        feed = check_feed(self.inputs, feed)
        session, options = self._session, self._run_options()
        try:
            outputs = self._limit.run(lambda options: session.run(self._output_names, feed, options), options)
        except Exception as exc:
            if self._limit.expired:
                raise BackendError(
                    f"expected an inference of {self._model_name} within {self._limit.seconds:g} s, "
                    "it was ended then: use a smaller model, or look for a loop without an end in it"
                ) from exc
            raise BackendError(
                f"ONNX Runtime failed on {self._model_name} ({one_line(str(exc))}): "
                "check size_wh or multiple_of in its manifest, and the free memory"
            ) from exc
        return dict(zip(self._output_names, outputs, strict=True))

    def close(self) -> None:
        """Release the model and its threads."""
        self._limit.close()
        self._session = None

    def _providers(self) -> list[Any]:
        """What ONNX Runtime computes with: names, or pairs of name and options."""
        return ["CPUExecutionProvider"]

    def _not_loaded(self, what: str) -> Recon3dError:
        return ArtifactError(f"{what}: export the model again")


def _session_options(vendor: Any, threads: int) -> Any:
    options = vendor.SessionOptions()
    # Given explicitly: left to itself the runtime counts, and pins its threads to, cores that a container
    # or taskset may not grant.
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.execution_mode = vendor.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_FATAL_ONLY
    # Threads that wait for work must sleep: between two frames the robot has other things to compute.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_session(path: Path, threads: int = 0) -> Any:
    """Open a file on the CPU without a manifest.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        ArtifactError: ONNX Runtime cannot load it; OperatorError where it has operators that are not known.
    """
    vendor = require("onnxruntime", extra="cpu")
    try:
        return vendor.InferenceSession(
            str(path), _session_options(vendor, threads), providers=["CPUExecutionProvider"]
        )
    except Exception as exc:
        _refuse_unknown_operator(path, exc)
        raise ArtifactError(
            f"ONNX Runtime cannot load {path} ({one_line(str(exc))}): export the model again"
        ) from exc


def _refuse_unknown_operator(path: Path, exc: Exception, has_plugins: bool = False) -> None:
    """Say so when that is why a file cannot be loaded.

    Raises:
        OperatorError: It is.
    """
    found = _UNKNOWN_OPERATOR.search(str(exc))
    if found is None:
        return
    todo = (
        "it is for TensorRT with the plug-ins of its manifest, set backend to tensorrt on a computer with an "
        "NVIDIA GPU"
        if has_plugins
        else "list the library that has it for TensorRT under plugins of the manifest, with a golden output, "
        "and set backend to tensorrt; or export the model with operators of ONNX"
    )
    operator = found["custom"] or found["standard"]
    raise OperatorError(
        f"expected operators that ONNX Runtime knows in {path}, got {operator}: {todo}"
    ) from exc


def run_options() -> Any:
    """Options of one run: `InferenceLimit` ends it by them."""
    return require("onnxruntime", extra="cpu").RunOptions()


def tensors_of(session: Any, path: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What the runtime says of the inputs and outputs of a file.

    Raises:
        ArtifactError: It has names that are no text, or is otherwise not what ONNX knows.
    """
    try:
        inputs, outputs = (
            tuple(map(_tensor_spec_of, nodes)) for nodes in (session.get_inputs(), session.get_outputs())
        )
    except Exception as exc:  # UnicodeDecodeError, and what the vendor's bindings raise
        raise ArtifactError(
            f"expected tensors with names and sizes in {path}, got others ({one_line(str(exc))}): export the "
            "model again"
        ) from exc
    return inputs, outputs


def _tensor_spec_of(node: Any) -> TensorSpec:
    element = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(side if isinstance(side, int) else None for side in node.shape)
    return TensorSpec(node.name, _NUMPY_NAMES.get(element, element), shape)
