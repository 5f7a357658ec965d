"""Depth from motion as an estimator like the others: frames with poses in, depth maps out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.errors import ParallaxError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.mono_fill import filled
from recon3d_ros.estimation.motion import MotionStereo
from recon3d_ros.geometry import DepthMap, Frame, OrganizedCloud
from recon3d_ros.model_zoo.manifest import Manifest


def open_fill(model: ModelConfig, config: MotionConfig, fall_back: bool = False) -> Estimator | None:
    """Open the mono model that `motion_fill` names; None where it names none.

    Args:
        model: The stereo model, whose backend and folder it has.
        config: With `motion_fill`.
        fall_back: See `Estimator.open`.

    Raises:
        ConfigError, ModelError, MissingDependencyError, BackendError: See `Estimator.open`.
    """
    if not config.motion_fill:
        return None
    mono = replace(model, model=config.motion_fill, precision=ModelConfig().precision, input_scale=1.0)
    return Estimator.open(mono, stereo=False, fall_back=fall_back)


class MotionEstimator:
    """Takes the single images of one moving camera, with `Frame.T_world_camera`. Not thread-safe.

    Where the motion shows no depth, the map is empty, and `blind` says why: a pipeline goes on.

    Args:
        estimator: Of a stereo model; closed with this one. Several cameras may share it.
        config: See `MotionStereo`.
        mono: Of a mono model that fills what motion does not show, the same.

    Attributes:
        frames: How many there were.
        blind: Name of each frame without depth, and why.
        unfilled: Name of each frame with depth that mono depth does not fit, and why.
        timings_ms: Empty: two estimates of other frames would tell little.

    Raises:
        ConfigError: The model is no stereo model.
    """

    is_stereo, is_metric, batches = False, True, False

    def __init__(
        self, estimator: Estimator, config: MotionConfig | None = None, mono: Estimator | None = None
    ) -> None:
        self._motion, self._mono = MotionStereo(estimator, config), mono
        self._estimator = estimator
        self.frames = 0
        self.blind: dict[str, str] = {}
        self.unfilled: dict[str, str] = {}
        self.timings_ms: dict[str, float] = {}

    @classmethod
    def open(cls, model: ModelConfig, config: MotionConfig) -> MotionEstimator:
        """Open the stereo model, and the mono model that `motion_fill` names.

        Raises:
            ConfigError, ModelError, MissingDependencyError, BackendError: See `Estimator.open`.
        """
        estimator = Estimator.open(model, stereo=True)
        try:
            return cls(estimator, config, open_fill(model, config))
        except BaseException:
            estimator.close()
            raise

    @property
    def manifest(self) -> Manifest:
        """Of the stereo model."""
        return self._estimator.manifest

    @property
    def precision(self) -> str:
        """Of the stereo model."""
        return self._estimator.precision

    @property
    def backend_name(self) -> str:
        """Of the stereo model."""
        return self._estimator.backend_name

    @property
    def summary(self) -> str:
        """One line about the frames without depth, empty when there are none."""
        if not self.blind:
            return ""
        name, why = next(iter(self.blind.items()))
        return f"{len(self.blind)} of {self.frames} frames have no depth from motion, first {name}: {why}"

    def estimate(self, frame: Frame) -> DepthMap:
        """Depth of an image, matched with an earlier one; see `MotionStereo.estimate`.

        Returns:
            Depth, confidence and sigma; all NaN and 0 where the motion shows nothing.

        Raises:
            CalibrationError: The pose is no rigid transform.
            BackendError: The runtime failed.
        """
        self.frames += 1
        name = frame.name or str(frame.stamp_ns)
        try:
            depth_map, why = self.measure(frame)
        except ParallaxError as exc:
            self.blind[name] = str(exc)
            shape = frame.camera.image_shape_hw
            unknown = np.full(shape, np.nan, np.float32)
            return DepthMap(unknown, frame.camera, None, np.zeros(shape, np.float32), unknown)
        if why:
            self.unfilled[name] = why
        return depth_map

    def measure(self, frame: Frame) -> tuple[DepthMap, str]:
        """As `estimate`, for frames without end: nothing is noted, and where nothing is shown it raises.

        Returns:
            The depth, and why mono depth does not fill it; empty when it does, or none is to.

        Raises:
            ParallaxError: The motion shows nothing, or the pose is not known.
            CalibrationError, BackendError: As of `estimate`.
        """
        if frame.T_world_camera is None:
            raise ParallaxError("expected a pose of the image, got none: give poses of all images")
        depth_map = self._motion.estimate(frame, frame.T_world_camera)
        if self._mono is None:
            return depth_map, ""
        return filled(depth_map, self._mono.estimate(frame))

    def configure(self, config: MotionConfig) -> None:
        """Take other options, all but `motion_fill`."""
        self._motion.configure(config)

    def continue_from(self, former: MotionEstimator) -> None:
        """Match images with those that another one of the same camera has seen."""
        self._motion.continue_from(former._motion)

    def forget(self) -> None:
        """Match nothing with the images so far."""
        self._motion.forget()

    def forget_before(self, stamp_ns: int) -> None:
        """Match nothing with older images."""
        self._motion.forget_before(stamp_ns)

    def finish_on_gpu(
        self,
        estimate: DepthMap,
        frame: Frame,
        config: PipelineConfig,
        fields: tuple[str, ...] | None,
        into: NDArray[np.float32] | None,
    ) -> tuple[DepthMap, OrganizedCloud | None] | None:
        """None: what a GPU holds is the turned view, so the CPU finishes it."""

    def require_metric(self) -> None:
        """The poses are in metres."""

    def close(self) -> None:
        """Release the models."""
        self._estimator.close()
        if self._mono is not None:
            self._mono.close()
