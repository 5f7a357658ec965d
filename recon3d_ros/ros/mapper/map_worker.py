"""What the worker of the map node does: decode, find the pose, fuse, publish, and what services ask for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recon3d_ros.config.camera_topics import NS_PER_MS
from recon3d_ros.config.mapper import MapNodeConfig
from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.config.parameters import ParameterSet
from recon3d_ros.errors import CalibrationError, ImageError, PoseError
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.geometry.image_checks import check_image
from recon3d_ros.mapping.blocks import BlockStore
from recon3d_ros.mapping.live_map import LiveMap
from recon3d_ros.mapping.pose_guard import PoseGuard
from recon3d_ros.messages.depth import depth_from_msg
from recon3d_ros.ros.health.outcome import SKIPPED, Cause, DepthStatistics, FrameOutcome
from recon3d_ros.ros.mapper.depth_channel import DepthMessages
from recon3d_ros.ros.mapper.map_outputs import MapOutputs
from recon3d_ros.ros.mapper.odometry_output import OdometryOutput
from recon3d_ros.ros.mapper.poses import CameraPose, PoseSource

LONGEST_STEP_BACK_NS = 1_000_000_000  # of stamps; farther back it is another run of a bag or a simulator
_BLIND = ("dark", "saturated", "blocked")  # of these images no depth is to be believed
Turn = Callable[[], None]


class Camera(Protocol):
    """What the worker needs of one camera; see `depth_channel.DepthChannel`."""

    name: str

    def record(self, outcome: FrameOutcome) -> None:
        """Take what became of a frame."""

    def now_ns(self) -> int:
        """The node's clock."""


@dataclass(frozen=True)
class MapState:
    """What the diagnostics tell of the map; replaced as a whole."""

    frames: int = 0
    blocks: int = 0
    megabytes: float = 0.0
    dropped_blocks: int = 0
    no_grid: str = ""


class MapWorker:
    """Owns the map; lives in the worker's thread. Slot i of the mailbox is camera i, the one behind wakes.

    Args:
        parameters: of the node.
        cameras: in the order of the slots.
        poses: where the cameras are.
        outputs: publishes the map.
        odometry: publishes the poses; None = they come from tf.
        tell: takes what somebody should know, one sentence.

    Attributes:
        live: the map.
        active: something is published.
        paused: nothing is fused; poses are followed.
        turns: what is to be done between two frames, first come first served; any thread may append.
        state: for the diagnostics; any thread may read it.
    """

    def __init__(
        self,
        parameters: ParameterSet,
        cameras: Sequence[Camera],
        poses: PoseSource,
        outputs: MapOutputs,
        odometry: OdometryOutput | None,
        tell: Callable[[str], None],
    ) -> None:
        config = parameters[MapNodeConfig]
        self._parameters, self._config, self._cameras = parameters, config, cameras
        self._poses, self._outputs, self._odometry, self._tell = poses, outputs, odometry, tell
        self._guards = [PoseGuard(config.max_speed_mps, config.max_turn_dps) for _ in cameras]
        self._version = 0
        self._stamp_ns = 0
        self._stamps_ns = [-(1 << 63)] * len(cameras)  # of the last images with a pose
        self._told_drops = False
        self.live = LiveMap(parameters[MappingConfig], config.map_radius_m)
        self.active = self.paused = False
        self.turns: deque[Turn] = deque()
        self.state = MapState()

    @property
    def batch(self) -> int:
        """One frame at a time, or one turn."""
        return 1

    def handle(self, items: Sequence[tuple[int, DepthMessages | str]]) -> None:
        """Fuse a frame, or do what waits; faults of a frame stay with its camera."""
        for slot, messages in items:
            while self.turns:
                self.turns.popleft()()
            if isinstance(messages, DepthMessages):
                self._cameras[slot].record(self._outcome(slot, messages))
            stats = self.live.fusion.stats
            self.state = MapState(
                stats.frames, stats.blocks, stats.megabytes, stats.dropped_blocks, self._outputs.no_grid
            )
            self._tell_of_drops()
        if not self.active:
            return
        grid_config = self._parameters[GridConfig]
        self._outputs.publish_due(self.live, grid_config, self._version, self._stamp_ns)

    def close(self) -> None:
        """Nothing is held that has to be released."""

    # --- turns ----------------------------------------------------------------------------------------

    def configure(self, parameters: ParameterSet) -> None:
        """Take other parameters; other voxels begin another map."""
        self._parameters, self._config = parameters, parameters[MapNodeConfig]
        self._outputs.config = self._config
        self._poses.configure(parameters[OdometryConfig])
        for guard in self._guards:
            guard.max_speed_mps, guard.max_turn_dps = self._config.max_speed_mps, self._config.max_turn_dps
        mapping = parameters[MappingConfig]
        if mapping.voxel_m != self.live.fusion.config.voxel_m:
            self.reset()
        self.live.configure(mapping, self._config.map_radius_m)
        self._version += 1

    def reset(self) -> None:
        """Begin another map; the next pose is taken as it is."""
        self.live.replace(BlockStore(), {})
        for guard in self._guards:
            guard.forget()
        self._version += 1

    def begin_anew(self) -> None:
        """Time began anew: another map, and poses that know nothing of those before."""
        self._poses.forget()
        self.reset()

    def loaded(self) -> None:
        """The map was replaced by another one."""
        for guard in self._guards:
            guard.forget()
        self._version += 1

    # --- frames ---------------------------------------------------------------------------------------

    def _outcome(self, slot: int, messages: DepthMessages) -> FrameOutcome:
        try:
            return self._fuse(slot, messages)
        except Exception as exc:
            return FrameOutcome.failed(exc)

    def _fuse(self, slot: int, messages: DepthMessages) -> FrameOutcome:
        camera, started = self._cameras[slot], time.perf_counter()
        frame, timings_ms = messages.raw.frame()
        depth_map = _depth_map(messages, frame, self._config.weights)
        if self._config.check_images:
            _require_sight(frame)
        if not depth_map.valid.any():
            return FrameOutcome(
                cause=Cause.NO_DEPTH,
                message="expected depth in a part of the image, got none at all: is the camera covered?",
                frame=frame,
            )
        stamp_ns, clock = messages.stamp_ns, time.perf_counter()
        found = self._poses.pose(frame, depth_map, stamp_ns)
        if self._is_another_run(slot, stamp_ns):
            found = self._poses.pose(frame, depth_map, stamp_ns)
        self._guard(slot, stamp_ns, found)
        timings_ms["pose"] = (time.perf_counter() - clock) * 1e3
        if self._odometry is not None:
            self._odometry.publish(stamp_ns, found.T_map_camera, frame.frame_id)
        if self.paused:
            return SKIPPED
        clock = time.perf_counter()
        self.live.add(depth_map, frame.image, found.T_map_camera, stamp_ns, camera.name)
        timings_ms["fuse"] = (time.perf_counter() - clock) * 1e3
        self._version, self._stamp_ns = self._version + 1, stamp_ns
        return FrameOutcome(
            published=True,
            latency_ms=max(0.0, (camera.now_ns() - stamp_ns) / NS_PER_MS),
            processing_ms=(time.perf_counter() - started) * 1e3,
            timings_ms=timings_ms,
            depth=DepthStatistics.of(depth_map),
            frame=frame,
        )

    def _is_another_run(self, slot: int, stamp_ns: int) -> bool:
        """Notice time that goes back; far back it begins a new map.

        Only images with a pose count: one with a stamp from nowhere is not worth a map.
        """
        back_ns, self._stamps_ns[slot] = self._stamps_ns[slot] - stamp_ns, stamp_ns
        if back_ns <= 0:
            return False
        if back_ns <= LONGEST_STEP_BACK_NS:  # of a clock that is set
            self._guards[slot].forget()
            return False
        text = f"stamps went back by {back_ns / 1e9:.3f} s, as when a bag starts over"
        self._tell(f"a new map begins, and the one before is given up: {text}")
        self._stamps_ns = [min(one, stamp_ns) for one in self._stamps_ns]
        self.begin_anew()
        return True

    def _guard(self, slot: int, stamp_ns: int, found: CameraPose) -> None:
        """Let a pose pass that the camera can have reached.

        Raises:
            PoseError: It cannot, and the map is to be kept.
        """
        guard = self._guards[slot]
        try:
            guard.check(stamp_ns, found.T_map_camera, found.part)
        except PoseError as exc:
            if self._config.on_pose_jump != "restart" or not guard.steady:
                raise
            what = str(exc).partition(";")[0]
            self._tell(f"a new map begins, and the one before is given up: {what}")
            self.reset()
            guard.check(stamp_ns, found.T_map_camera, found.part)

    def _tell_of_drops(self) -> None:
        if self.state.dropped_blocks and not self._told_drops and not self._config.map_radius_m:
            self._told_drops = True
            self._tell(
                f"the map has reached max_mb, {self._parameters[MappingConfig].max_mb:g} MB, so what is "
                "farthest from the camera is dropped: raise it, take larger voxels, or set map_radius_m"
            )


def _depth_map(messages: DepthMessages, frame: Frame, kind: str) -> DepthMap:
    """The depth of a frame with its sigma or confidence, on the grid of the image.

    Raises:
        CalibrationError: It is of another frame or size.
        ImageError: It cannot be decoded.
    """
    frame_id = messages.depth.header.frame_id.lstrip("/")
    if frame_id != frame.frame_id:
        raise CalibrationError(
            f"expected image and depth in one optical frame, got {frame.frame_id!r} and {frame_id!r}: take "
            "depth that is registered to the image, such as aligned_depth_to_color"
        )
    planes = [depth_from_msg(messages.depth)]
    if messages.weights is not None:
        planes.append(depth_from_msg(messages.weights))  # what is not above 0 is NaN, and has no weight
    for name, plane in zip(("depth", kind), planes):
        if plane.shape != frame.camera.image_shape_hw:
            height, width = frame.camera.image_shape_hw
            raise ImageError(
                f"expected {name} of {width}x{height} px as the image, got {plane.shape[1]}x"
                f"{plane.shape[0]}: take depth that is registered to the image"
            )
    sigma_m = planes[1] if planes[1:] and kind == "sigma" else None
    confidence = np.minimum(planes[1], np.float32(1)) if planes[1:] and kind == "confidence" else None
    found = DepthMap(planes[0], frame.camera, confidence=confidence, sigma_m=sigma_m)
    return found.restricted(frame.valid)


def _require_sight(frame: Frame) -> None:
    """Refuse images on which no depth is to be believed.

    Raises:
        ImageError: It is dark, white, or without texture.
    """
    for fault in check_image(frame.image):
        if fault.kind in _BLIND:
            raise ImageError(f"{fault.message}; nothing is fused meanwhile, see check_images")
