"""The seam between the estimator and the GPU: frames go that way as long as the backend offers it.

All decisions are here: whether a frame can go over the GPU at all, and that a GPU which fails once is left
alone, while the same backend goes on with tensors made on the CPU, or with its spare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.base import Backend, DeviceBackend, TensorSpec, device_of_backend
from recon3d_ros.errors import BackendError, ContractError, MissingDependencyError
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.lazy import load
from recon3d_ros.manifest import Manifest
from recon3d_ros.preprocess import Fit, value_limits

_STAGES = "recon3d_ros.cuda.stages:CudaStages"
_MODEL = "recon3d_ros.cuda.stages:Model"
_KERNELS = "recon3d_ros.cuda.kernels:Kernels"
_KEPT_SIZES = 4


class GpuStages:
    """Preprocessing, inference and restoring on the GPU of a backend.

    Args:
        manifest: Describes the model.
        backend: May offer a GPU, and may take the offer back.
        warn: Told once why the CPU does this work instead.

    Attributes:
        timings_ms: Of the last frame on the GPU, by stage.
    """

    def __init__(self, manifest: Manifest, backend: Backend, warn: Callable[[str], None]) -> None:
        self._manifest, self._backend, self._warn = manifest, backend, warn
        self._kernels: Any = None
        self._kept: dict[tuple[object, ...], Any] = {}
        self._failed = False
        self.timings_ms: dict[str, float] = {}

    @property
    def offered(self) -> bool:
        """Whether the backend has a GPU now, on which nothing failed."""
        return not self._failed and device_of_backend(self._backend) is not None

    def estimate(self, frame: Frame, fit: Fit) -> DepthMap | None:
        """Answer one frame on the GPU; None when that is not for the GPU, and the CPU has to prepare it.

        Args:
            frame: With a pair for a stereo model.
            fit: How its images lie in the network's input.
        """
        device_backend = device_of_backend(self._backend) if self.offered else None
        images = [frame.image] if not self._manifest.is_stereo else [frame.image, frame.right]
        if device_backend is None or len({image.ndim for image in images if image is not None}) != 1:
            return None
        try:
            with device_backend.device.active(f"running {self._manifest.name}"):
                stages = self._stages_of(device_backend, fit, images)
                rig = frame.rig if self._manifest.is_stereo else None
                planes = stages.estimate(images, frame.camera, rig, device_backend.enqueue)
                self.timings_ms = stages.timings_ms
        except ContractError:  # a size that the engine does not take; the backend knows who does
            return None
        except (BackendError, MissingDependencyError) as exc:
            self._failed = True
            self._kept.clear()  # the memory went with the context, or goes with it
            self._warn(f"{exc}; the CPU prepares images and restores answers instead")
            return None
        return self._depth_map(frame, planes)

    def close(self) -> None:
        """Free the memory; before the backend is closed."""
        device_backend = device_of_backend(self._backend)
        if self._kept and device_backend is not None:
            try:
                with device_backend.device.active("freeing the memory of frames"):
                    for stages in self._kept.values():
                        stages.free()
                    self._kernels = None
            except BackendError as exc:  # a lost device has nothing left to free
                self._warn(str(exc))
        self._kept.clear()

    def _stages_of(self, backend: DeviceBackend, fit: Fit, images: list[Any]) -> Any:
        """The memory for such frames, allocated when they come first; those used last are kept."""
        encoding = "mono8" if images[0].ndim == 2 else "rgb8"
        shapes = self._input_shapes(fit)
        outputs = backend.bind(shapes)
        key = (fit, encoding, len(images))
        found = self._kept.pop(key, None)
        if found is None:
            if self._kernels is None:
                self._kernels = load(_KERNELS)(backend.device)
            if len(self._kept) == _KEPT_SIZES:
                self._kept.pop(next(iter(self._kept))).free()
            model = self._model(backend, fit, outputs)
            found = load(_STAGES)(backend.device, self._kernels, model, [encoding] * len(images))
        self._kept[key] = found
        return found

    def _model(self, backend: DeviceBackend, fit: Fit, outputs: Mapping[str, TensorSpec]) -> Any:
        manifest = self._manifest
        dtype = next(spec.dtype for spec in backend.inputs if spec.name in manifest.input.names)
        limits = value_limits(manifest.output, fit)
        return load(_MODEL)(manifest.input, manifest.output, fit, limits, dtype, dict(outputs))

    def _input_shapes(self, fit: Fit) -> dict[str, tuple[int, ...]]:
        contract = self._manifest.input
        width, height = fit.network_size_wh
        images = 2 if self._manifest.is_stereo else 1
        channels = contract.channels * images // len(contract.names)
        shape = (1, channels, height, width) if contract.layout == "NCHW" else (1, height, width, channels)
        return dict.fromkeys(contract.names, shape)

    def _depth_map(self, frame: Frame, planes: dict[str, NDArray[np.float32]]) -> DepthMap:
        disparity = planes["values"] if self._manifest.is_stereo else None
        return DepthMap(
            planes["depth"], frame.camera, disparity, planes.get("confidence"), planes.get("sigma")
        )
