"""The map node: images, depth and poses in, one mesh, cloud and grid out; a node with a life cycle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.clock import TimeJump

from recon3d_ros.config.mapper import MapNodeConfig
from recon3d_ros.config.mapping import MappingConfig
from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.config.parameters import MAP_NODE, ParameterSet
from recon3d_ros.errors import ConfigError
from recon3d_ros.mapping.surface import require_mesher
from recon3d_ros.ros.bridge.runtime import run_node
from recon3d_ros.ros.bridge.transforms import Tf2Source, TransformSource
from recon3d_ros.ros.health.outcome import SKIPPED, FrameOutcome
from recon3d_ros.ros.mapper.depth_channel import DepthChannel, DepthMessages
from recon3d_ros.ros.mapper.map_outputs import MapOutputs
from recon3d_ros.ros.mapper.map_services import MapServices
from recon3d_ros.ros.mapper.map_worker import MapWorker
from recon3d_ros.ros.mapper.odometry_output import OdometryOutput
from recon3d_ros.ros.mapper.poses import OdometryPoses, PoseSource, TfPoses
from recon3d_ros.ros.node.managed_node import ManagedNode
from recon3d_ros.ros.node.node_status import NodeStatus
from recon3d_ros.ros.node.worker import Mailbox, Worker
from recon3d_ros.system.printable import printable

DIAGNOSTICS_PERIOD_S = 1.0
WITHOUT_TF2 = "set poses to odometry and leave base_frame empty"


class MapNode(ManagedNode):
    """Makes one map of one camera or several.

    configure makes the publishers and an empty map, activate begins to listen; deactivate keeps the map,
    cleanup gives it up. Callbacks only store messages; one worker decodes, fuses and publishes.

    Args:
        transforms: where frames are looked up; None = tf2.
        options: keyword arguments of `rclpy.node.Node`, for tests and composition by hand.

    Raises:
        Recon3dError: a parameter is wrong, or a library is missing.
    """

    def __init__(self, transforms: TransformSource | None = None, **options: Any) -> None:
        # Kilted destroys what failed to start, too.
        self._channels: list[DepthChannel] = []
        self._outputs: MapOutputs | None = None
        self._odometry: OdometryOutput | None = None
        self._map: MapWorker | None = None
        self._worker: Worker[DepthMessages | str] | None = None
        self._map_services: MapServices | None = None
        self._given_transforms = transforms
        super().__init__("map_node", MAP_NODE, MapNodeConfig, DIAGNOSTICS_PERIOD_S, **options)

    def _prepare_services(self) -> None:
        self._transforms = self._given_transforms or Tf2Source(self, WITHOUT_TF2)
        self._status = NodeStatus(self, "map")
        self._map_services = MapServices(self, lambda: self._map, lambda: self._live.current, self._hand_over)

    # --- life cycle -----------------------------------------------------------------------------------

    def _configure(self) -> None:
        require_mesher()  # now, not when the first surface is there
        config = self._live.current[MapNodeConfig]
        if config.poses == "tf" or config.base_frame:
            self._transforms.start()
        names = config.cameras or ("",)
        self._mailbox: Mailbox[DepthMessages | str] = Mailbox(len(names) + 1)
        try:
            self._outputs = MapOutputs(self, config)
            if config.poses == "odometry":
                self._odometry = OdometryOutput(self, config, self._transforms)
            for slot, name in enumerate(names):
                submit = partial(self._mailbox.put, slot=slot)
                self._channels.append(DepthChannel(self, name, config, submit))
            owner = self._map = MapWorker(
                self._live.current, self._channels, self._poses(), self._outputs, self._odometry, self._tell
            )
            worker = Worker[DepthMessages | str](self._mailbox, lambda: owner, self._report)
            worker.start()
        except BaseException:
            self._close_topics()
            raise
        self._worker = worker
        topics = [topic for channel in self._channels for topic in channel.topics]
        self.get_logger().info(printable(f"a map of {', '.join(topics)}, poses from {config.poses}"))

    def _poses(self) -> PoseSource:
        config = self._live.current[MapNodeConfig]
        if config.poses == "tf":
            return TfPoses(self._transforms, config.map_frame.lstrip("/"))
        base = config.base_frame.lstrip("/")
        return OdometryPoses(self._live.current[OdometryConfig], self._transforms, base)

    def _activate(self) -> None:
        for channel in self._channels:
            channel.activate()
        assert self._map is not None
        self._map.active = True
        self._make_bond()

    def _deactivate(self) -> None:
        self._break_bond()
        assert self._map is not None
        self._map.active = False
        for channel in self._channels:
            channel.deactivate()
        for slot, item in self._mailbox.clear():
            if isinstance(item, DepthMessages):
                self._channels[slot].record(SKIPPED)

    def _tear_down(self) -> None:
        self._break_bond()
        for channel in self._channels:
            channel.deactivate()
        worker, self._worker, self._map = self._worker, None, None
        if worker is not None and not worker.stop():
            self.get_logger().error("the map did not finish its frame in time; shutting down without it")
        if self._map_services is not None:
            self._map_services.give_up()
        self._close_topics()

    def _close_topics(self) -> None:
        self._channels.clear()
        self._map = None
        for output in (self._outputs, self._odometry):
            if output is not None:
                output.close()
        self._outputs = self._odometry = None

    # --- while it lives -------------------------------------------------------------------------------

    def _prepare(self, new: ParameterSet, before: ParameterSet) -> Callable[[], None]:
        """Check a set of parameters as a whole; return what applies it."""
        owner = self._map
        if owner is None:
            return lambda: None  # configure will see them
        if new[MappingConfig].voxel_m != before[MappingConfig].voxel_m and owner.state.blocks:
            raise ConfigError("voxel_m cannot change while there is a map: call ~/save_map and ~/reset first")

        def commit() -> None:
            for channel in self._channels:
                channel.configure(new[MapNodeConfig])
            self._hand_over(lambda: owner.configure(new))

        return commit

    def _hand_over(self, turn: Callable[[], None]) -> None:
        """Have the worker call something between two frames."""
        if self._map is not None:
            self._map.turns.append(turn)
            self._wake()

    def _wake(self) -> None:
        if self._worker is not None:
            self._mailbox.put("wake", len(self._channels))

    def _tick(self) -> None:
        self._survive(self._wake)

    def _tell(self, text: str) -> None:
        self._status.notice(text)
        self.get_logger().warning(printable(text))

    def _on_jump(self, jump: TimeJump) -> None:
        """The stamps tell whether what comes belongs to the map."""

    def _report(self, error: Exception) -> None:
        for channel in self._channels[:1]:
            channel.record(FrameOutcome.failed(error))

    def _publish_diagnostics(self) -> None:
        config = self._live.current[MapNodeConfig]
        labels = {"poses": config.poses, "map_frame": config.map_frame}
        owner = self._map
        if owner is not None:
            state = owner.state
            labels |= {
                "paused": str(owner.paused).lower(),
                "map_frames": str(state.frames),
                "map_blocks": str(state.blocks),
                "map_mb": f"{state.megabytes:.1f}",
                "map_dropped_blocks": str(state.dropped_blocks),
                "map_no_grid": state.no_grid or "none",
            }
            for channel in self._channels:
                if self._state_machine.current_state[1] == "active":
                    channel.health.idle(owner.paused, "paused")
        self._status.publish(self._state_machine.current_state[1], self._channels, labels)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; the exit code is 0, or that of the error that kept it from starting."""
    return run_node(MapNode, args, "Fuse images and depth into a map: mesh, points and grid.")
