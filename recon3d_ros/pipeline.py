"""From a frame to a metric cloud: estimate, scale, filter, back-project."""

# long: one class, with what it is asked for and what it gives

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import PipelineConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.motion_source import MotionEstimator
from recon3d_ros.estimation.point_labels import PixelLabels, PointLabeller, labelled_points
from recon3d_ros.filters import DepthFilters, FreeSpace, drop_outliers, voxel_grid
from recon3d_ros.geometry import (
    XYZ,
    XYZI,
    XYZRGB,
    Cloud,
    DepthMap,
    Frame,
    PinholeCamera,
    PointPacker,
    StereoRig,
    UnorganizedCloud,
)
from recon3d_ros.geometry.cloud import LABEL, NORMAL
from recon3d_ros.geometry.labels import OBSTACLE_LABELS, PointLabel
from recon3d_ros.geometry.plausibility import calibration_doubts, range_doubts, share_beyond
from recon3d_ros.scale import Observation, Scale, ScaleRecovery


@dataclass(frozen=True)
class RequestedOutputs:
    """Which results are needed; the depth map is always computed.

    Attributes:
        cloud: The cloud.
        free: The points of free space, when `free_space_frames` asks for them.
        labelled: The points of the ground and of obstacles, when `point_labels` names a model.
    """

    cloud: bool = True
    free: bool = True
    labelled: bool = True


ALL_OUTPUTS = RequestedOutputs()
DEFAULTS = PipelineConfig()


@dataclass(frozen=True, eq=False)
class Result:
    """The results of one frame; clouds are in its optical frame.

    It is not changed after its construction; `geometry.transform` makes clouds in other frames.

    Attributes:
        depth_map: After the scale and the filters.
        cloud: Organized, or not after a voxel grid or without outliers; None if not requested.
        free_points: End points of free rays, x, y, z; None if not requested or not configured.
        timings_ms: Wall time of each stage that ran: estimate, scale, filter, labels, cloud, free, labelled;
            finish in place of filter and cloud on a GPU.
        scale: The recovered scale; None if scale recovery is off.
        doubts: What is unlikely about the calibration or the scale, one sentence each; with a doubt there are
            no points of free space. Empty with `trust_calibration`.
        labels: The class of every pixel; None if nothing with labels is requested or `point_labels` is empty.
        ground: The points of the ground, x, y, z; None if not requested or `point_labels` is empty.
        obstacles: Those of structure, obstacles, vegetation and moving kinds, the same.
        beyond_max_depth: Share of all pixels with a depth of one to four times `max_depth_m`, which are +Inf
            for that limit; from a grid of pixels.
    """

    depth_map: DepthMap
    cloud: Cloud | None
    free_points: UnorganizedCloud | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    scale: Scale | None = None
    doubts: tuple[str, ...] = ()
    labels: PixelLabels | None = None
    ground: UnorganizedCloud | None = None
    obstacles: UnorganizedCloud | None = None
    beyond_max_depth: float = 0.0


class Pipeline:
    """Processes the frames of one camera; it keeps the state of the temporal filters.

    Not thread-safe.

    Args:
        estimator: Estimates depth. It can be shared by several pipelines; the caller closes it.
        config: Filters, and contents of the cloud.
        recovery: Finds the scale of a mono model; None = use its metric output unchanged. The caller may
            give it to the next pipeline of the same camera and model.
        labeller: The one of an earlier pipeline of this camera with the same `point_labels`; None = open it.

    Raises:
        ConfigError: a relative model without recovery, a stereo model with recovery, or a mask of the
            region of interest that cannot be read.
        ModelError, MissingDependencyError, BackendError: `point_labels` names no model that can be used.
    """

    def __init__(
        self,
        estimator: Estimator | MotionEstimator,
        config: PipelineConfig = DEFAULTS,
        recovery: ScaleRecovery | None = None,
        labeller: PointLabeller | None = None,
    ) -> None:
        if recovery is None:
            estimator.require_metric()
        elif estimator.is_stereo:
            raise ConfigError(
                f"scale_sources are for mono models, got the stereo model {estimator.manifest.name}, whose "
                "scale comes from its baseline: leave them empty"
            )
        self.estimator = estimator
        self.recovery = recovery
        self.config = config
        self.filters = DepthFilters(config)
        if labeller is None and config.point_labels:
            labeller = PointLabeller.open(config.point_labels)
        self.labeller = labeller
        self._free = FreeSpace(config.free_space_frames, config.max_depth_m, config.min_confidence)
        self._camera: PinholeCamera | None = None
        self._packer: PointPacker | None = None
        self._packer_camera: PinholeCamera | None = None
        self._scratch: NDArray[np.float32] | None = None
        self._calibration: StereoRig | PinholeCamera | None = None
        self._calibration_doubts: tuple[str, ...] = ()

    def process(
        self,
        frame: Frame,
        cloud_into: NDArray[np.float32] | None = None,
        requested: RequestedOutputs = ALL_OUTPUTS,
        observations: Sequence[Observation] = (),
        T_level_optical: NDArray[np.float64] | None = None,
    ) -> Result:
        """Estimate the depth of a frame, then :meth:`refine` it.

        Args:
            frame: Rectified image or pair with calibration.
            cloud_into: (H, W, F) float32 to write an organized cloud into, see :meth:`refine`.
            requested: Which results are needed.
            observations: See :meth:`refine`.
            T_level_optical: See :meth:`refine`.

        Raises:
            ConfigError: a stereo model and a single image, or a mask of another aspect than the image.
            ImageError: an array is not an image.
            BackendError: the runtime failed.
        """
        started = time.perf_counter()
        frame = self.masked(frame)
        estimate = self.estimator.estimate(frame)
        took_ms = (time.perf_counter() - started) * 1e3
        result = self.refine(frame, estimate, cloud_into, requested, observations, T_level_optical)
        return replace(result, timings_ms={"estimate": took_ms, **result.timings_ms})

    def masked(self, frame: Frame) -> Frame:
        """The frame as `process` gives it to the estimator: what `roi_mask` cuts out was not seen.

        Raises:
            ConfigError: a mask of another aspect than the image.
        """
        return self.filters.masked(frame)

    def refine(
        self,
        frame: Frame,
        estimate: DepthMap,
        cloud_into: NDArray[np.float32] | None = None,
        requested: RequestedOutputs = ALL_OUTPUTS,
        observations: Sequence[Observation] = (),
        T_level_optical: NDArray[np.float64] | None = None,
    ) -> Result:
        """Apply the scale and the filters to an estimate, and compute its cloud.

        Args:
            frame: The frame of the estimate.
            estimate: Output of the estimator; it is not changed.
            cloud_into: (H, W, F) float32 of the size and fields of :meth:`cloud_layout` to write an organized
                cloud into, e.g. a view of a message's buffer; without it a new array is made.
            requested: Which results are needed.
            observations: Measurements of the scale sources for this frame.
            T_level_optical: (4, 4) of `geometry.level.level_transform`, for labels; None = from the floor.

        Raises:
            ConfigError: a mask of another aspect than the image.
            ImageError: `cloud_into` has another shape.
        """
        if self._camera != estimate.camera:
            self.reset()
            self._camera = estimate.camera
        timings: dict[str, float] = {}
        clock = _Clock(timings)
        free_points = scale = None
        if self.recovery is not None:
            scale = self.recovery.update(frame.stamp_ns, estimate, observations)
            # Another object than the estimate: what a GPU still holds has no scale, and is not taken.
            estimate = scale.apply(estimate)
            clock.lap("scale")
        doubts = self._doubts(frame, estimate)
        depth_map, labels, cloud = self._finish(
            frame, estimate, cloud_into, requested, T_level_optical, clock
        )
        if requested.free and self.config.free_space_frames and not doubts:
            free_points = UnorganizedCloud(self._free.update(depth_map, frame.image), XYZ, frame.frame_id)
            clock.lap("free")
        elif self.config.free_space_frames:
            self._free.reset()  # frames that nobody looked at, or believes, are not in a row
        beyond = share_beyond(estimate.depth, self.config.max_depth_m)
        result = Result(
            depth_map, cloud, free_points, timings, scale, doubts, labels, beyond_max_depth=beyond
        )
        if labels is None or not requested.labelled:
            return result
        ground, obstacles = (
            labelled_points(depth_map, labels, kinds, self.config.decimation, frame.frame_id)
            for kinds in ((PointLabel.GROUND,), OBSTACLE_LABELS)
        )
        clock.lap("labelled")
        return replace(result, ground=ground, obstacles=obstacles)

    def _finish(
        self,
        frame: Frame,
        estimate: DepthMap,
        cloud_into: NDArray[np.float32] | None,
        requested: RequestedOutputs,
        T_level_optical: NDArray[np.float64] | None,
        clock: _Clock,
    ) -> tuple[DepthMap, PixelLabels | None, Cloud | None]:
        """Filter, label and pack, the latter two as far as somebody wants it."""
        fields = self.fields(frame) if requested.cloud else None
        finished = None
        if self.labeller is None:  # labels go into the cloud, which the GPU would pack without
            finished = self.estimator.finish_on_gpu(estimate, frame, self.config, fields, cloud_into)
        labels: PixelLabels | None = None
        cloud: Cloud | None = None
        if finished is not None:
            depth_map, cloud = finished
            clock.lap("finish")
        else:
            depth_map = self.filters.apply(estimate, frame)
            clock.lap("filter")
            if self.labeller is not None and (requested.cloud or requested.labelled):
                labels = self.labeller.label_image(depth_map.depth, depth_map.camera, T_level_optical)
                clock.lap("labels")
            if fields is not None:
                cloud = self._cloud(frame, depth_map, fields, cloud_into, labels)
                clock.lap("cloud")
        if cloud is not None:
            cloud = replace(cloud, frame_id=frame.frame_id)
        return depth_map, labels, cloud

    def reset(self) -> None:
        """Reset the temporal filters: after a jump of the clock, for a new bag or a new calibration.

        The scale is kept: it depends on the stamps and the camera of the frames, and ages.
        """
        self.filters.reset()
        self._free.reset()
        if self.labeller is not None:
            self.labeller.reset()

    def fields(self, frame: Frame) -> tuple[str, ...]:
        """The fields of the cloud of a frame, which depend on the configuration and on grey or colour."""
        config, grey = self.config, frame.image.ndim == 2
        choice = config.point_fields
        if choice == "auto":
            choice = "xyzi" if grey else "xyzrgb"
        return (
            *{"xyz": XYZ, "xyzrgb": XYZRGB, "xyzi": XYZI}[choice],
            *(("confidence",) if config.point_confidence else ()),
            *(("sigma",) if config.point_sigma else ()),
            *(NORMAL if config.point_normals else ()),
            *(("curvature",) if config.point_curvature else ()),
            *(LABEL if config.point_labels else ()),
        )

    def cloud_layout(self, frame: Frame) -> tuple[tuple[int, int], tuple[str, ...]] | None:
        """Rows and columns, and fields, of an organized cloud of the frame; None when it is not organized."""
        if self.config.voxel_m or self.config.outlier_radius_m:
            return None
        height, width = frame.camera.image_shape_hw
        n = self.config.decimation
        return (-(-height // n), -(-width // n)), self.fields(frame)

    def _doubts(self, frame: Frame, estimate: DepthMap) -> tuple[str, ...]:
        if self.config.trust_calibration:
            return ()
        calibration = frame.rig or frame.camera
        if calibration is not self._calibration:  # mostly the object of the frame before
            self._calibration, self._calibration_doubts = calibration, calibration_doubts(calibration)
        if doubts := frame.doubts or self._calibration_doubts:
            return doubts  # what follows from it needs no sentence of its own
        return range_doubts(estimate.depth, self.config.min_depth_m, self.config.max_depth_m)

    def _cloud(
        self,
        frame: Frame,
        depth_map: DepthMap,
        fields: tuple[str, ...],
        into: NDArray[np.float32] | None,
        labels: PixelLabels | None,
    ) -> Cloud:
        config, packer = self.config, self._packer_of(depth_map.camera, fields)
        unorganized = bool(config.voxel_m or config.outlier_radius_m)
        if unorganized:
            into = self._scratch_of((*packer.shape_hw, len(packer.fields)))
        tags = None if labels is None else (labels.labels, labels.probability)
        cloud = packer.pack(depth_map.depth, frame.image, into, depth_map.confidence, depth_map.sigma_m, tags)
        if not unorganized:
            return cloud
        points: UnorganizedCloud = cloud.points()
        if config.voxel_m:
            points = voxel_grid(points, config.voxel_m)
        if config.outlier_radius_m:
            points = drop_outliers(points, config.outlier_radius_m, config.outlier_neighbours)
        return points

    def _packer_of(self, camera: PinholeCamera, fields: tuple[str, ...]) -> PointPacker:
        packer = self._packer
        if packer is None or self._packer_camera != camera or packer.fields != fields:
            packer = self._packer = PointPacker(camera, fields, self.config.decimation)
            self._packer_camera = camera
        return packer

    def _scratch_of(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if self._scratch is None or self._scratch.shape != shape:
            self._scratch = np.empty(shape, np.float32)
        return self._scratch


class _Clock:
    """Writes down how long each stage took."""

    def __init__(self, timings_ms: dict[str, float]) -> None:
        self._timings_ms, self._last = timings_ms, time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._timings_ms[stage] = (now - self._last) * 1e3
        self._last = now
