"""From rectified images to a depth map: preprocess, infer, restore to the grid of the image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends import Backend, batch_is_free, device_of
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.gpu_stages import GpuStages
from recon3d_ros.estimation.outputs import depth_map_of, values_of
from recon3d_ros.estimation.row_alignment import RowAligner
from recon3d_ros.geometry import DepthMap, Frame, OrganizedCloud
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import at_input_scale, find_model, verify
from recon3d_ros.preprocess import Fit, Preprocessor, plan_fit, with_extra
from recon3d_ros.serving import open_checked, resolve_auto
from recon3d_ros.system.progress import NO_PROGRESS, Progress

# Whose warnings say that something else computes than what was asked for.
MODEL_ROOMS = ("backends", "cuda", "estimation", "serving")

# Sizes of images whose buffers are kept: cameras of one node that take turns must not allocate each time.
_KEPT_SIZES = 4


class Estimator:
    """An open model that estimates depth. Not thread-safe.

    Args:
        manifest: Manifest of the model.
        backend: Backend in which the model is open.
        gpu_path: `ModelConfig.gpu_path`.
        align_rows: `ModelConfig.align_rows`.

    Attributes:
        timings_ms: Times of the last inference: preprocess, infer, postprocess; on a GPU, by its own clock,
            also upload and download, or ``graph`` for all five.
    """

    def __init__(
        self,
        manifest: Manifest,
        backend: Backend,
        gpu_path: str = "graph",
        align_rows: bool = True,
    ) -> None:
        self.manifest = manifest
        self._backend = backend
        self._gpu = GpuStages(manifest, backend, gpu_path)
        self._rows = RowAligner() if align_rows and self.is_stereo and self.is_metric else None
        self.timings_ms: dict[str, float] = {}
        self._prepared: dict[tuple[tuple[int, int], int], tuple[Fit, Preprocessor]] = {}
        self._batches = batch_is_free(manifest, backend.inputs, backend.outputs)

    @classmethod
    def open(
        cls,
        config: ModelConfig,
        *,
        check: bool = True,
        stereo: bool = True,
        fall_back: bool = False,
        progress: Progress = NO_PROGRESS,
    ) -> Estimator:
        """Find a model, verify its files, open it in a backend and check its golden output.

        Args:
            config: Which model, in which backend.
            check: False skips the self-check, one small inference.
            stereo: Which model ``auto`` selects: True for pairs, False for single images.
            fall_back: Whether a safer precision or backend may be used instead; the reason is logged.
            progress: Receives the progress of building an engine.

        Raises:
            ModelError: no such model, its manifest is wrong, a file is missing or has another checksum, or
                the file does not match its manifest.
            MissingDependencyError: the backend's library is not installed.
            BackendError: there is no engine.
        """
        config = resolve_auto(config, stereo)
        found = find_model(config.model, config.models_dir, device=device_of(config.backend), stereo=stereo)
        manifest = at_input_scale(found, config.input_scale)
        manifest.require_depth()
        verify(manifest)
        backend = open_checked(manifest, config, check=check, fall_back=fall_back, progress=progress)
        return cls(manifest, backend, config.gpu_path, config.align_rows)

    @property
    def backend_name(self) -> str:
        """Name of the backend in use."""
        return self._backend.name

    @property
    def precision(self) -> str:
        """Precision in use: fp32, fp16 or int8."""
        return self._backend.precision

    @property
    def batches(self) -> bool:
        """True if :meth:`estimate_many` processes frames of one size in one inference."""
        return self._batches

    @property
    def is_stereo(self) -> bool:
        """True if the model needs a pair of images."""
        return self.manifest.is_stereo

    @property
    def is_metric(self) -> bool:
        """True if the model outputs metric depth or disparity."""
        return self.manifest.is_metric

    def estimate(self, frame: Frame) -> DepthMap:
        """Estimate the depth of the (left) image.

        Returns:
            Depth, disparity of a stereo model, and confidence and sigma where the model has them; sigma is
            NaN or +Inf where depth is no finite number. For a model without metric scale the relative depth;
            its depth is NaN until `recon3d_ros.scale` finds the scale. Pixels that no camera saw
            (`Frame.seen`) have no depth and a confidence of 0.

        Raises:
            ConfigError: a stereo model and a single image.
            ImageError: an array is not an image.
            BackendError: the runtime failed.
        """
        return self.estimate_many([frame])[0]

    def finish_on_gpu(
        self,
        estimate: DepthMap,
        frame: Frame,
        config: PipelineConfig,
        fields: tuple[str, ...] | None,
        into: NDArray[np.float32] | None,
    ) -> tuple[DepthMap, OrganizedCloud | None] | None:
        """Filter and pack the last estimate where it lies, :meth:`GpuStages.finish`; None: the CPU has to.

        The cloud is written into `into`, (H, W, F) float32, where that is given.
        """
        return self._gpu.finish(estimate, frame, config, fields, into)

    def estimate_many(self, frames: Sequence[Frame], align_rows: bool = True) -> list[DepthMap]:
        """Estimate several frames, each as :meth:`estimate` does.

        One inference if all images have the same size and the model accepts batches, otherwise one for each.

        Args:
            frames: Pairs for a stereo model.
            align_rows: False takes the rows of these pairs as they are, whatever `ModelConfig` says.

        Raises:
            ConfigError: a stereo model and a single image.
            ImageError: an array is not an image.
            BackendError: the runtime failed.
        """
        turned = [frame.side_by_side for frame in frames]
        if self._rows is None or not align_rows or not all(frame.is_stereo for frame in turned):
            maps = self._estimate_side_by_side(turned)
        else:
            maps = self._rows.estimate(turned, self._estimate_side_by_side)
        return [
            depth_map if flat is frame else depth_map.turned_back(frame.camera)
            for frame, flat, depth_map in zip(frames, turned, maps)
        ]

    def _estimate_side_by_side(self, frames: Sequence[Frame]) -> list[DepthMap]:
        # On a GPU that prepares and finishes frames each goes its own way there, whatever the batch.
        on_gpu = self._gpu.offered and self.is_metric
        together = self._batches and not on_gpu and len({frame.image.shape[:2] for frame in frames}) == 1
        batches = [frames] if together else [[frame] for frame in frames]
        return [depth_map for batch in batches for depth_map in self._estimate_batch(batch)]

    def estimate_raw(self, frame: Frame) -> NDArray[np.float32]:
        """Return the output of the model at the resolution of the (left) image; rows are not aligned.

        Returns:
            (H, W) float32 disparity in px, depth in m, or relative inverse depth; NaN = invalid.

        Raises:
            ConfigError: a stereo model and a single image.
            ImageError: an array is not an image.
            BackendError: the runtime failed.
        """
        given, frame = frame, frame.side_by_side
        fit, outputs = self._infer([frame])
        values = values_of(outputs, self.manifest, frame, fit)
        seen = frame.seen(values if self.is_stereo else None)
        values = values if seen is None else np.where(seen, values, np.float32(np.nan))
        return values if frame is given else np.ascontiguousarray(np.rot90(values, -1))

    def require_metric(self) -> None:
        """Check that the model has a metric scale.

        Raises:
            ConfigError: the model outputs relative inverse depth.
        """
        if not self.is_metric:
            raise ConfigError(
                f"model {self.manifest.name} outputs relative inverse depth without metric scale, which "
                "gives no cloud: set scale_sources, or use a metric or a stereo model"
            )

    def close(self) -> None:
        """Release the model."""
        self._gpu.close()
        self._backend.close()

    def __enter__(self) -> Estimator:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _estimate_batch(self, frames: Sequence[Frame]) -> list[DepthMap]:
        if len(frames) == 1 and (depth_map := self._on_gpu(frames[0])) is not None:
            self.timings_ms = self._gpu.timings_ms
            return [depth_map]
        fit, outputs = self._infer(frames)
        started = time.perf_counter()
        maps = [
            depth_map_of(
                {name: output[i : i + 1] for name, output in outputs.items()}, self.manifest, frame, fit
            )
            if self._batches
            else depth_map_of(outputs, self.manifest, frame, fit)
            for i, frame in enumerate(frames)
        ]
        maps = [
            depth_map.restricted(frame.seen(depth_map.disparity)) for depth_map, frame in zip(maps, frames)
        ]
        self.timings_ms["postprocess"] = (time.perf_counter() - started) * 1e3
        return maps

    def _on_gpu(self, frame: Frame) -> DepthMap | None:
        """The depth map made on the backend's GPU from the pixels on; None when the CPU has to prepare it."""
        if not (self._gpu.offered and self.is_metric):
            return None
        self._images(frame)  # refuses a single image for a stereo model
        height, width = frame.image.shape[:2]
        fit = plan_fit(self.manifest.input, (width, height))
        if self.manifest.output.focal_px is not None:  # else one fit, and its memory, serves any lens
            fit = fit.seen_by(frame.camera.fx, frame.camera.fy)
        return self._gpu.estimate(frame, fit)

    def _infer(self, frames: Sequence[Frame]) -> tuple[Fit, dict[str, NDArray[Any]]]:
        """Run the network once on frames of one size."""
        if not self._gpu.offered:
            self._gpu.close()  # before a backend that failed leaves its GPU
        images = [self._images(frame) for frame in frames]
        height, width = frames[0].image.shape[:2]
        fit, preprocessor = self._prepare((width, height), len(frames))
        started = time.perf_counter()
        tensors = with_extra(
            preprocessor.tensors(*images),
            self.manifest.input,
            fit,
            self._backend.inputs,
            frames[0].camera.p[:, :3],
        )
        prepared = time.perf_counter()
        outputs = self._first(self._backend.infer(tensors))
        done = time.perf_counter()
        self.timings_ms = {"preprocess": (prepared - started) * 1e3, "infer": (done - prepared) * 1e3}
        return fit, outputs

    def _first(self, outputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Of a file with a fixed batch size, whose frames are all the same, the outputs of the first."""
        batch = self.manifest.input.batch
        if batch == 1:
            return outputs
        return {name: o[:1] if o.ndim and len(o) == batch else o for name, o in outputs.items()}

    def _prepare(self, size_wh: tuple[int, int], batch: int) -> tuple[Fit, Preprocessor]:
        """The plan and the buffers for images of this size; those used last are kept."""
        key = (size_wh, batch)
        found = self._prepared.pop(key, None)
        if found is None:
            fit = plan_fit(self.manifest.input, size_wh)
            found = fit, Preprocessor(self.manifest.input, fit, 2 if self.is_stereo else 1, batch)
            if len(self._prepared) == _KEPT_SIZES:
                del self._prepared[next(iter(self._prepared))]
        self._prepared[key] = found
        return found

    def _images(self, frame: Frame) -> list[NDArray[Any]]:
        if not self.is_stereo:
            return [frame.image]
        if frame.right is None:
            raise ConfigError(
                f"model {self.manifest.name} needs a stereo pair, the frame has one image: "
                "give a right image, or use a mono model"
            )
        return [frame.image, frame.right]
