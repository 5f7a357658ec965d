"""The seam between the estimator and the GPU: frames go that way as long as the backend offers it.

All decisions are here: whether a frame can go over the GPU at all, and that a GPU which fails once is left
alone, while the same backend goes on with tensors made on the CPU, or with its fallback.
"""

from __future__ import annotations

import logging
import weakref
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.base import Backend, DeviceBackend, device_of_backend
from recon3d_ros.config import PipelineConfig
from recon3d_ros.errors import BackendError, ContractError, MissingDependencyError
from recon3d_ros.estimation.gpu_support import why_not_on_gpu
from recon3d_ros.geometry import XYZI, XYZRGB, DepthMap, Frame, OrganizedCloud
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.preprocess import Fit

if TYPE_CHECKING:  # loaded with the first frame on a GPU
    from recon3d_ros.cuda.context import Device
    from recon3d_ros.cuda.kernels import Kernels
    from recon3d_ros.cuda.stages import CudaStages

log = logging.getLogger(__name__)

_KEPT_SIZES = 4


class GpuStages:
    """Preprocessing, inference and restoring on the GPU of a backend.

    Args:
        manifest: Describes the model.
        backend: May offer a GPU, and may take the offer back.
        path: `ModelConfig.gpu_path`.

    Attributes:
        timings_ms: Of the last frame on the GPU, by stage.
    """

    def __init__(self, manifest: Manifest, backend: Backend, path: str = "graph") -> None:
        self._manifest, self._backend, self._path = manifest, backend, path
        self._logged: set[str] = set()
        self._device: Device | None = None
        self._kernels: Kernels | None = None
        self._kept: dict[tuple[Fit, int], CudaStages] = {}
        self._failed = False
        self._lacking = why_not_on_gpu(manifest, backend)
        self._last: tuple[weakref.ref[DepthMap], CudaStages] | None = None
        self.timings_ms: dict[str, float] = {}

    @property
    def offered(self) -> bool:
        """Whether the backend has a GPU now, on which nothing failed, and more than inference is for it."""
        wanted = self._path != "inference" and not self._failed
        if not wanted or device_of_backend(self._backend) is None:
            return False
        if self._lacking:
            self._path = "inference"
            log.warning(
                "pre- and postprocessing of %s run on the CPU, as their kernels cannot serve it: %s",
                self._manifest.name,
                self._lacking,
            )
        return not self._lacking

    def estimate(self, frame: Frame, fit: Fit) -> DepthMap | None:
        """Estimate one frame on the GPU; None when that is not for the GPU, and the CPU has to prepare it.

        Args:
            frame: With a pair for a stereo model.
            fit: How its images lie in the network's input.
        """
        device_backend = device_of_backend(self._backend) if self.offered else None
        images = [frame.image]
        if self._manifest.is_stereo and frame.right is not None:  # the estimator has seen the pair
            images.append(frame.right)
        if device_backend is None or len({image.ndim for image in images}) != 1:
            return None
        try:
            with device_backend.device.active(f"running {self._manifest.name}"):
                stages = self._stages_of(device_backend, fit, frame.image)
                rig = frame.rig if self._manifest.is_stereo else None
                graph = self._path == "graph" and device_backend.can_capture
                capture = device_backend.capture if graph else None
                seen = (frame.valid, frame.right_valid)[: len(images)]
                planes = stages.estimate(images, frame.camera, rig, device_backend.enqueue, capture, seen)
                self.timings_ms = stages.timings_ms
                self._log_without_graph(stages.why_no_graph)
        except ContractError:  # a size that the engine does not take; the backend knows who does
            return None
        except (BackendError, MissingDependencyError) as exc:
            self._give_up(exc)
            return None
        depth_map = self._depth_map(frame, planes)
        self._last = weakref.ref(depth_map), stages
        return depth_map

    def finish(
        self,
        estimate: DepthMap,
        frame: Frame,
        config: PipelineConfig,
        fields: tuple[str, ...] | None,
        into: NDArray[np.float32] | None,
    ) -> tuple[DepthMap, OrganizedCloud | None] | None:
        """Filter an estimate and pack its cloud where it still lies; None when the CPU has to.

        Args:
            estimate: Of `estimate`; only the last one is still on the GPU.
            frame: Its images.
            config: Which filters run.
            fields: Of an organized cloud; None when no cloud is wanted.
            into: (rows, columns, 4) float32 to write the cloud into; without it a new array is made.
        """
        device_backend = device_of_backend(self._backend) if self.offered else None
        if device_backend is None or self._last is None or self._last[0]() is not estimate:
            return None
        unmasked = config.roi_mask and frame.valid is None  # as `Pipeline.masked` leaves no frame
        if fields not in (None, XYZRGB, XYZI) or unmasked or not _for_the_gpu(config):
            return None
        height, width = frame.camera.image_shape_hw
        n = config.decimation
        if fields is not None and into is None:
            into = np.empty((-(-height // n), -(-width // n), len(fields)), np.float32)
        try:
            with device_backend.device.active("filtering depth"):
                depth, values = self._last[1].finish(
                    frame.camera, config, fields == XYZI, None if fields is None else into
                )
        except BackendError as exc:
            self._give_up(exc)
            return None
        disparity = None if estimate.disparity is None else values
        cloud = None if fields is None or into is None else OrganizedCloud(into, fields)
        return replace(estimate, depth=depth, disparity=disparity), cloud

    def close(self) -> None:
        """Free the memory; before the backend is closed."""
        self._last = None
        if self._device is None:
            return
        with suppress(BackendError):  # a lost device has nothing left to free
            with self._device.active("freeing the memory of frames"):
                for stages in self._kept.values():
                    stages.free()
        self._kept.clear()
        self._kernels = self._device = None  # while the stream is there, which they know

    def _give_up(self, exc: Exception) -> None:
        self._failed = True
        self.close()
        # As text: who keeps the record would keep the frames of the error, and their memory on the GPU.
        log.warning("%s; pre- and postprocessing run on the CPU instead", str(exc))

    def _log_without_graph(self, why: str) -> None:
        """Each reason once, not for every size of images."""
        if why and why not in self._logged:
            self._logged.add(why)
            log.warning("frames are processed on the GPU without a CUDA graph: %s", why)

    def _stages_of(self, backend: DeviceBackend, fit: Fit, image: NDArray[np.uint8]) -> CudaStages:
        """The memory for such frames, allocated when they come first; those used last are kept."""
        from recon3d_ros.cuda.kernels import Kernels
        from recon3d_ros.cuda.stages import CudaStages

        contract = self._manifest.input
        shape = contract.tensor_shape(fit.network_size_wh, 2 if self._manifest.is_stereo else 1)
        outputs = backend.bind(dict.fromkeys(contract.names, shape))
        channels = 1 if image.ndim == 2 else 3
        found = self._kept.pop((fit, channels), None)
        if found is None:
            if self._kernels is None:
                self._device = backend.device
                self._kernels = Kernels(self._device)
            if len(self._kept) == _KEPT_SIZES:
                self._kept.pop(next(iter(self._kept))).free()
            dtype = next(spec.dtype for spec in backend.inputs if spec.name in contract.names)
            found = CudaStages(backend.device, self._kernels, self._manifest, fit, dtype, outputs, channels)
        self._kept[fit, channels] = found
        return found

    def _depth_map(self, frame: Frame, planes: dict[str, NDArray[np.float32]]) -> DepthMap:
        disparity = planes["values"] if self._manifest.is_stereo else None
        return DepthMap(
            planes["depth"], frame.camera, disparity, planes.get("confidence"), planes.get("sigma")
        )


def _for_the_gpu(config: PipelineConfig) -> bool:
    """Whether all filters of a configuration have a kernel; others look at patches, images or the past."""
    filters = config.min_texture or config.speckle_px or config.temporal_weight
    return not (filters or config.voxel_m or config.outlier_radius_m)
