"""ONNX Runtime on an NVIDIA GPU, for computers without TensorRT: no engine, but another package.

Never run on a GPU so far: tested with ONNX Runtime's own bindings to memory of a stand-in for the driver.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.base import one_line
from recon3d_ros.backends.gpu import NO_GPU, find_gpu
from recon3d_ros.backends.onnxruntime import OnnxRuntimeBackend
from recon3d_ros.cuda.context import Device
from recon3d_ros.errors import BackendError, MissingDependencyError, Recon3dError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.system.installing import how_to_install, pip_install, pip_uninstall
from recon3d_ros.system.lazy import require

_PROVIDER, _MEMORY = "CUDAExecutionProvider", "cuda"
_REMEDY = "look at nvidia-smi, free memory of the GPU, or set backend to onnxruntime"
# The estimator waits for the stream itself.
_DO_NOT_WAIT = ("disable_synchronize_execution_providers", "1")


_Bound = tuple[dict[str, TensorSpec], dict[str, TensorSpec]]  # inputs and outputs, all sides known


class OnnxRuntimeCudaBackend(OnnxRuntimeBackend):
    """Executes an artifact of a model on the first GPU; opened, used and closed in one thread.

    Args:
        manifest: As `OnnxRuntimeBackend`.
        threads: As `OnnxRuntimeBackend`, of what stays on the CPU.
        precision: As `OnnxRuntimeBackend`.
        also: As `OnnxRuntimeBackend`.

    Attributes:
        device: The GPU, for frames that stay there; None without a pycuda that can be used.

    Raises:
        MissingDependencyError: onnxruntime-gpu is not installed, or not all that it needs.
        BackendError: there is no GPU.
        ArtifactError, ContractError: as `OnnxRuntimeBackend`.
    """

    name = "onnxruntime_cuda"
    _serves_signals = False  # its memory belongs to the thread that asks
    can_capture = False  # its memory moves as it likes

    def __init__(
        self, manifest: Manifest, threads: int = 0, precision: str = "auto", also: Sequence[str] = ()
    ) -> None:
        self._vendor = _require_cuda()
        if find_gpu() is None:
            raise BackendError(f"ONNX Runtime cannot run on a GPU: {NO_GPU}")
        self.device = _device()
        self._bound: _Bound | None = None
        self._known: dict[tuple[tuple[str, tuple[int, ...]], ...], _Bound] = {}
        try:
            # The provider waits for the whole GPU when it starts.
            with nullcontext() if self.device is None else self.device.alone:
                with self._active("opening the model"):
                    super().__init__(manifest, threads, precision, also)
                self._require_gpu()
        except BaseException:
            self._session = None
            self.close()
            raise

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network, as :meth:`recon3d_ros.backends.base.Backend.infer`."""
        with self._active(f"running {self._model_name}"):
            return super().infer(feed)

    def bind(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, TensorSpec]:
        """Fix the shapes, as :meth:`recon3d_ros.backends.base.DeviceBackend.bind`; within `device.active`.

        The shapes of the outputs for new inputs are found by running the network once.
        """
        key = tuple(sorted(inputs.items()))
        if key not in self._known:
            dtypes = {spec.name: spec.dtype for spec in self.inputs}
            feed = {name: np.zeros(shape, dtypes[name]) for name, shape in inputs.items()}
            self._known[key] = _specs(feed), _specs(super().infer(feed))
        self._bound = self._known[key]
        return self._bound[1]

    def enqueue(self, pointers: Mapping[str, int], stream: int) -> None:
        """Run without waiting, as :meth:`recon3d_ros.backends.base.DeviceBackend.enqueue`."""
        if self._session is None or self._bound is None:
            raise BackendError(f"model {self._model_name} is closed, or no shapes are fixed: bind them first")
        assert self.device is not None  # who offers no device is not asked
        self.device.synchronize()  # inputs that the network wants on the CPU are copied when they are bound
        binding = self._session.io_binding()
        for spec, bind in (
            *((spec, binding.bind_input) for spec in self._bound[0].values()),
            *((spec, binding.bind_output) for spec in self._bound[1].values()),
        ):
            bind(spec.name, _MEMORY, 0, np.dtype(spec.dtype), spec.shape, pointers[spec.name])
        options = self._vendor.RunOptions()
        options.add_run_config_entry(*_DO_NOT_WAIT)
        try:
            self._start(binding, options)
        except Exception as exc:  # the vendor's exceptions have no common base
            raise BackendError(
                f"ONNX Runtime failed on {self._model_name} ({one_line(str(exc))}): {_REMEDY}"
            ) from exc

    def capture(self, pointers: Mapping[str, int], stream: int) -> None:
        """Refused, see `can_capture`."""
        raise BackendError("ONNX Runtime is not captured: its buffers move")

    def close(self) -> None:
        """Release the model and the GPU; twice is harmless."""
        with suppress(BackendError):  # a lost device has nothing left to free
            with self._active("closing the model"):
                super().close()
        self._session = None
        if self.device is not None:
            with suppress(BackendError):
                self.device.close()

    def _start(self, binding: Any, options: Any) -> None:
        session = self._session
        self._limit.run(lambda options: session.run_with_iobinding(binding, options), options)

    def _active(self, doing: str) -> Any:
        return nullcontext() if self.device is None else self.device.active(doing)

    def _not_loaded(self, what: str) -> Recon3dError:
        return BackendError(f"{what}: {_REMEDY}")

    def _providers(self) -> list[Any]:
        options = {"device_id": "0"}
        if self.device is not None:
            options["user_compute_stream"] = str(self.device.stream_handle)
        return [(_PROVIDER, options), "CPUExecutionProvider"]

    def _require_gpu(self) -> None:
        """ONNX Runtime itself goes on with the CPU when a library is missing, and is slow."""
        if self._session.get_providers()[0] != _PROVIDER:
            raise MissingDependencyError(
                f"ONNX Runtime {self._vendor.__version__} could not start CUDA, its lines above say which "
                "library is missing: install the CUDA and cuDNN it names "
                f"({pip_install('onnxruntime-gpu[cuda,cudnn]')}), or set backend to onnxruntime"
            )


def _specs(arrays: Mapping[str, NDArray[Any]]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(name, array.dtype.name, array.shape) for name, array in arrays.items()}


def _device() -> Device | None:
    """The GPU as pycuda shows it; the network runs without, and all else on the CPU."""
    if importlib.util.find_spec("pycuda") is None:
        return None
    try:
        return Device()
    except MissingDependencyError:
        return None


def _require_cuda() -> Any:
    """Import onnxruntime, of the package that knows CUDA."""
    vendor = require("onnxruntime", extra="cuda")
    if _PROVIDER not in vendor.get_available_providers():
        raise MissingDependencyError(
            "expected the package onnxruntime-gpu, got onnxruntime, which has no CUDA: "
            f"{pip_uninstall('onnxruntime')}, then {how_to_install('cuda')}"
        )
    if hasattr(vendor, "preload_dlls"):  # finds the libraries of NVIDIA's wheels
        vendor.preload_dlls()
    return vendor
