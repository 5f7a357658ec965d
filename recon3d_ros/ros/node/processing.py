"""What the worker does with the raw frames of one or several cameras: decode, estimate, publish."""
# long: what the worker does with a frame, and what it keeps of each camera

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Protocol

from recon3d_ros.config import ModelConfig, PipelineConfig, ScaleConfig
from recon3d_ros.config.camera_topics import NS_PER_MS
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.errors import ParallaxError, PoseError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.motion_source import MotionEstimator, open_fill
from recon3d_ros.estimation.point_labels import PointLabeller
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.messages.intake import RawFrame
from recon3d_ros.pipeline import Pipeline, Result
from recon3d_ros.ros.health.outcome import SKIPPED, Cause, DepthStatistics, FrameOutcome
from recon3d_ros.ros.node.motion_poses import MotionPoses
from recon3d_ros.ros.output.outputs import Outputs
from recon3d_ros.ros.scale.inputs import NOTHING_OBSERVED, ScaleInputs
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.scale import ScaleRecovery
from recon3d_ros.system.progress import NO_PROGRESS, Progress

MAX_SIZES = 8  # of images: each is a profile of an engine, and a good part of a minute to build
_DOUBT_REMEDY = "no free space is published; correct it, or set trust_calibration if it is right"


class Camera(Protocol):
    """What the worker needs of one camera; see `channel.CameraChannel`."""

    outputs: Outputs
    scale_inputs: ScaleInputs
    motion_poses: MotionPoses

    def record(self, outcome: FrameOutcome) -> None:
        """Take what became of a frame."""

    def now_ns(self) -> int:
        """The node's clock."""

    def accepts_results(self) -> bool:
        """False once the node has to stop publishing."""

    def on_result(self, frame: Frame, result: Result) -> None:
        """Called after a frame was published, or could not be."""


class FrameProcessor:
    """Owns the model; lives in the worker's thread.

    Args:
        model_config: which model to open.
        pipeline_config: limits and filters at start.
        scale_config: what gives the scale at start.
        stereo: whether the model compares two images.
        cameras: the cameras, in the order of the mailbox's slots.
        progress: gets how far an engine is.
        motion: compare images of single cameras that move; None = each frame alone.

    Raises:
        Recon3dError: the model does not open, is of the other kind than `stereo`, or a filter cannot work.

    Attributes:
        sizes_wh: of the images that came and could be decoded, few, in their order.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        pipeline_config: PipelineConfig,
        scale_config: ScaleConfig,
        stereo: bool,
        cameras: Sequence[Camera],
        progress: Progress = NO_PROGRESS,
        motion: MotionConfig | None = None,
    ) -> None:
        self._cameras, self._motion = cameras, motion
        self.sizes_wh: tuple[tuple[int, int], ...] = ()
        self._recoveries: tuple[ScaleConfig, list[ScaleRecovery | None]] | None = None
        self._pipelines: list[Pipeline] = []
        self._motions: list[MotionEstimator] = []
        self._fill: Estimator | None = None
        self._estimator = Estimator.open(model_config, stereo=stereo, fall_back=True, progress=progress)
        try:
            if motion is not None:
                self._fill = open_fill(model_config, motion, fall_back=True)
                self._motions = [MotionEstimator(self._estimator, motion, self._fill) for _ in cameras]
            self.prepare(pipeline_config, scale_config, motion)()
        except BaseException:
            self.close()
            raise
        self._streams = [
            _CameraStream(camera, motion) for camera, motion in zip_longest(cameras, self._motions)
        ]

    @property
    def labels(self) -> dict[str, str]:
        """Model and backend, for people."""
        estimator = self._estimator
        names = {"model": estimator.manifest.name, "backend": estimator.backend_name}
        return {**names, "precision": estimator.precision}

    @property
    def batch(self) -> int:
        """How many cameras it takes at once: all when the model takes batches, and each frame alone."""
        return len(self._cameras) if self._estimator.batches and not self._motions else 1

    def prepare(
        self,
        pipeline_config: PipelineConfig,
        scale_config: ScaleConfig,
        motion: MotionConfig | None = None,
    ) -> Callable[[], None]:
        """Make what another configuration needs; may be called from any thread.

        As long as the configuration of the scale is the same, the scale that was found is kept; so is the
        model of `point_labels`.

        Returns:
            Call it to use the configuration from the next frame on.

        Raises:
            Recon3dError: the configuration cannot work, such as a mask that cannot be read, or a model that
                knows no metres and nothing that gives its scale.
        """
        recoveries = self._recoveries
        if recoveries is None or recoveries[0] != scale_config:
            recoveries = scale_config, [ScaleRecovery.of(scale_config) for _ in self._cameras]
        labellers: list[PointLabeller | None] = [
            pipeline.labeller if pipeline.config.point_labels == pipeline_config.point_labels else None
            for pipeline in self._pipelines
        ] or [None for _ in self._cameras]
        pipelines = [
            Pipeline(motion or self._estimator, pipeline_config, recovery, labeller)
            for motion, recovery, labeller in zip_longest(self._motions, recoveries[1], labellers)
        ]

        def commit() -> None:
            self._pipelines, self._recoveries, self._motion = pipelines, recoveries, motion

        return commit

    def handle(self, items: Sequence[tuple[int, RawFrame]]) -> None:
        """Process and publish one frame each of one or more cameras; faults stay with their camera."""
        pipelines, config = self._pipelines, self._motion  # read once: another thread may replace them
        for motion in self._motions:
            if config is not None:
                motion.configure(config)
        decoded: list[_DecodedFrame] = []
        for slot, raw in items:
            try:
                frame, timings_ms = self._streams[slot].frame(raw, pipelines[slot])
            except Exception as exc:
                self._cameras[slot].record(FrameOutcome.failed(exc))
                continue
            self._note_size(raw.size_wh)
            decoded.append(_DecodedFrame(slot, frame, timings_ms))
        for pending, depth_map in self._estimate(decoded):
            try:
                self._streams[pending.slot].finish(pending, depth_map, pipelines[pending.slot])
            except Exception as exc:
                self._cameras[pending.slot].record(FrameOutcome.failed(exc))

    def continue_from(self, former: FrameProcessor) -> None:
        """Take over what one with another model has seen of the same cameras, before the first frame."""
        for stream, other in zip(self._streams, former._streams):
            stream.continue_from(other)

    def close(self) -> None:
        """Close the models."""
        self._estimator.close()
        if self._fill is not None:
            self._fill.close()

    def _note_size(self, size_wh: tuple[int, int]) -> None:
        turned = [size_wh[::-1]] if self._motions else []  # where a camera moves up or down
        if len(self.sizes_wh) + len(turned) < MAX_SIZES:
            self.sizes_wh = tuple(dict.fromkeys([*self.sizes_wh, size_wh, *turned]))

    def _estimate(self, decoded: list[_DecodedFrame]) -> list[tuple[_DecodedFrame, DepthMap]]:
        """Estimate all at once; when that fails one by one, so that a bad frame costs only its own camera."""
        estimated: list[tuple[_DecodedFrame, DepthMap]] = []
        groups = [decoded] if decoded else []
        while groups:
            group = groups.pop(0)
            started = time.perf_counter()
            try:
                maps = self._maps(group)
            except Exception as exc:
                if len(group) == 1:
                    # A covered lens shows no parallax either.
                    frame = group[0].frame if isinstance(exc, ParallaxError) else None
                    self._cameras[group[0].slot].record(replace(FrameOutcome.failed(exc), frame=frame))
                groups += [[one] for one in group] if len(group) > 1 else []
                continue
            estimate_ms = (time.perf_counter() - started) * 1e3 / len(group)
            for one in group:
                one.timings_ms["estimate"] = estimate_ms
            estimated += zip(group, maps)
        return estimated

    def _maps(self, group: Sequence[_DecodedFrame]) -> list[DepthMap]:
        if self._motions:
            return [self._motions[one.slot].measure(one.frame)[0] for one in group]
        return self._estimator.estimate_many([one.frame for one in group])


@dataclass(frozen=True, eq=False)
class _DecodedFrame:
    """A frame on its way, and how long each stage took so far."""

    slot: int
    frame: Frame
    timings_ms: dict[str, float]


class _CameraStream:
    """The worker's side of one camera: notices when history has to be forgotten."""

    def __init__(self, camera: Camera, motion: MotionEstimator | None) -> None:
        self._camera, self._motion = camera, motion
        self._epoch: int | None = None
        self._run: int | None = None

    def continue_from(self, former: _CameraStream) -> None:
        self._epoch, self._run = former._epoch, former._run
        if self._motion is not None and former._motion is not None:
            self._motion.continue_from(former._motion)

    def frame(self, raw: RawFrame, pipeline: Pipeline) -> tuple[Frame, dict[str, float]]:
        if self._epoch not in (None, raw.epoch):
            pipeline.reset()
        if self._motion is not None and self._run != raw.run:
            self._motion.forget()
            self._camera.motion_poses.forget()
        self._epoch, self._run = raw.epoch, raw.run
        frame, timings_ms = raw.frame()
        frame = pipeline.masked(frame)
        if self._motion is not None:
            frame = self._posed(frame, self._motion, timings_ms)
        return frame, timings_ms

    def _posed(self, frame: Frame, motion: MotionEstimator, timings_ms: dict[str, float]) -> Frame:
        started = time.perf_counter()
        try:
            posed = self._camera.motion_poses.posed(frame)
        except PoseError:
            motion.forget()
            raise
        motion.forget_before(frame.stamp_ns - self._camera.motion_poses.max_age_ns)
        timings_ms["pose"] = (time.perf_counter() - started) * 1e3
        return posed

    def finish(self, decoded: _DecodedFrame, depth_map: DepthMap, pipeline: Pipeline) -> None:
        """Scale, filter, make the cloud and publish, each as far as somebody wants it."""
        camera, frame = self._camera, decoded.frame
        if not camera.accepts_results():
            camera.record(SKIPPED)
            return
        started = time.perf_counter()
        into = camera.outputs.prepare(frame, pipeline)
        recovery, observed = pipeline.recovery, NOTHING_OBSERVED
        if recovery is not None:
            observed = camera.scale_inputs.observe(frame)
        level = camera.outputs.level_transform(frame) if pipeline.labeller is not None else None
        requested = camera.outputs.requested
        result = pipeline.refine(frame, depth_map, into, requested, observed.observations, level)
        timings_ms = {**decoded.timings_ms, **result.timings_ms}
        result = replace(result, timings_ms=timings_ms)
        state: ScaleState | None = None
        if recovery is not None and result.scale is not None:
            state = camera.scale_inputs.count(result.scale, recovery.config.scale_sources, observed)
        try:
            outcome = self._publish(frame, result, state)
        except Exception as exc:  # ~/save is for what cannot be published, too
            outcome = FrameOutcome.failed(exc, state)
        if outcome.published:
            finish_ms = (time.perf_counter() - started) * 1e3
            outcome = replace(
                outcome,
                # By a clock that a bag or simulator drives a frame may seem to come from the future.
                latency_ms=max(0.0, (camera.now_ns() - frame.stamp_ns) / NS_PER_MS),
                processing_ms=sum(decoded.timings_ms.values()) + finish_ms,
                timings_ms=timings_ms,
                depth=DepthStatistics.of(result.depth_map, result.beyond_max_depth),
            )
        camera.record(outcome)
        camera.on_result(frame, result)

    def _publish(self, frame: Frame, result: Result, state: ScaleState | None) -> FrameOutcome:
        """Publish a frame, but no depth in metres that nobody vouches for: that is worse than none."""
        outputs = self._camera.outputs
        if state is not None:
            outputs.publish_scale(frame, state)
            if not state.scale.trusted:
                return FrameOutcome(cause=Cause.NO_SCALE, message=state.message, scale=state, frame=frame)
        outputs.publish(frame, result)
        doubts = tuple(f"{doubt}; {_DOUBT_REMEDY}" for doubt in result.doubts)
        return FrameOutcome(published=True, scale=state, doubts=doubts, frame=frame)
