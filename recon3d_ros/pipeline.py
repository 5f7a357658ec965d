"""From a frame to a metric cloud: estimate, filter, back-project."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import PipelineConfig
from recon3d_ros.estimator import Estimator
from recon3d_ros.filters import invalidate_border, limit_depth
from recon3d_ros.geometry import DepthMap, Frame, OrganizedCloud, PinholeCamera, PointPacker


@dataclass(frozen=True)
class Result:
    """What became of one frame.

    ``cloud`` is None when it was not wanted. ``timings_ms`` has the wall time of each stage: estimate,
    filter, and cloud when there is one.
    """

    depth_map: DepthMap
    cloud: OrganizedCloud | None
    timings_ms: dict[str, float]


class Pipeline:
    """The way of a frame. Not thread-safe: it belongs to the thread that calls it.

    Args:
        estimator: Answers depth; it stays the caller's to close.
        config: Which part of the answer is kept.

    Raises:
        ConfigError: the model knows no metres.
    """

    def __init__(self, estimator: Estimator, config: PipelineConfig) -> None:
        estimator.require_metric()
        self.estimator = estimator
        self.config = config
        self._packer: PointPacker | None = None
        self._packer_camera: PinholeCamera | None = None

    def process(
        self, frame: Frame, cloud_into: NDArray[np.float32] | None = None, want_cloud: bool = True
    ) -> Result:
        """Estimate the depth of a frame, keep what is believable, and make its cloud.

        Args:
            frame: Rectified image or pair with calibration.
            cloud_into: (H, W, 4) float32 to write the cloud into, e.g. a view of a message buffer; without
                it a new array is made.
            want_cloud: False when nobody looks at the cloud.

        Raises:
            ConfigError: a stereo model and a single image.
            ImageError: an image that is no image.
            BackendError: the runtime failed.
        """
        times = [time.perf_counter()]
        estimate = self.estimator.estimate(frame)
        times.append(time.perf_counter())
        depth_map = self._filter(estimate)
        times.append(time.perf_counter())
        cloud = None
        if want_cloud:
            cloud = self._packer_of(depth_map.camera).pack(depth_map.depth, frame.image, cloud_into)
            times.append(time.perf_counter())
        stages = ("estimate", "filter", "cloud")[: len(times) - 1]
        timings = {stage: (end - start) * 1e3 for stage, start, end in zip(stages, times, times[1:])}
        return Result(depth_map, cloud, timings)

    def _filter(self, estimate: DepthMap) -> DepthMap:
        depth = limit_depth(estimate.depth, self.config.min_depth_m, self.config.max_depth_m)
        if self.config.border_px:
            depth = invalidate_border(depth, self.config.border_px)
        disparity = estimate.disparity
        if disparity is not None:  # what is invalid as depth must not come back as disparity
            disparity = disparity.copy()
            np.copyto(disparity, np.nan, where=np.isnan(depth))
        return replace(estimate, depth=depth, disparity=disparity)

    def _packer_of(self, camera: PinholeCamera) -> PointPacker:
        if self._packer is None or self._packer_camera != camera:
            self._packer, self._packer_camera = PointPacker(camera), camera
        return self._packer
