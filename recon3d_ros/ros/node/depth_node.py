"""The depth node: camera images in, PointCloud2, depth and disparity out; a node with a life cycle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.clock import TimeJump

from recon3d_ros.config import ModelConfig, NodeConfig
from recon3d_ros.config.parameters import DEPTH_NODE, ParameterSet, require_single_camera, scale_plan
from recon3d_ros.config.scale_inputs import ScalePlan
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.model_zoo.words import of_default_mono
from recon3d_ros.ros.bridge.runtime import run_node
from recon3d_ros.ros.bridge.transforms import Tf2Source, TransformSource
from recon3d_ros.ros.health.outcome import SKIPPED, FrameOutcome
from recon3d_ros.ros.node.channel import CameraChannel
from recon3d_ros.ros.node.managed_node import ManagedNode
from recon3d_ros.ros.node.model_switch import ModelSwitch, SwitchResult
from recon3d_ros.ros.node.node_status import NodeStatus
from recon3d_ros.ros.node.object_service import ObjectService
from recon3d_ros.ros.node.save_service import SaveService
from recon3d_ros.system.printable import printable

DIAGNOSTICS_PERIOD_S = 1.0


class DepthNode(ManagedNode):
    """Serves one camera, one stereo pair or several of them with one model.

    configure opens the model and makes the publishers, activate begins to listen. One worker
    decodes, computes and publishes, a second one only opens the model that is to come.

    Args:
        transforms: where frames are looked up; None = tf2.
        options: keyword arguments of `rclpy.node.Node`, for tests and composition by hand.

    Raises:
        Recon3dError: a parameter is wrong; or, with `autostart`, the model does not open.
    """

    def __init__(self, transforms: TransformSource | None = None, **options: Any) -> None:
        # Kilted destroys what failed to start, too.
        self._channels: list[CameraChannel] = []
        self._switch: ModelSwitch | None = None
        self._given_transforms = transforms
        super().__init__("depth_node", DEPTH_NODE, NodeConfig, DIAGNOSTICS_PERIOD_S, **options)

    def _prepare_services(self) -> None:
        self._transforms = self._given_transforms or Tf2Source(self)
        self._status = NodeStatus(self)
        self._save = SaveService(
            self,
            lambda: self._channels if self._is_active else (),
            lambda: self._live.current[NodeConfig].save_folder,
            lambda: self._live.current.values(),
        )
        self._objects = ObjectService(
            self,
            lambda: self._channels if self._is_active else (),
            lambda: self._live.current[NodeConfig],
        )

    # --- life cycle -----------------------------------------------------------------------------------

    def _configure(self) -> None:
        parameters = self._live.current
        node_config = parameters[NodeConfig]
        plan = self._plan(parameters)
        stereo = node_config.needs_stereo_model
        switch = ModelSwitch(self._channels, stereo, self._report, self._apply)
        try:
            for slot, name in enumerate(node_config.cameras or ("",)):
                submit = partial(switch.put, slot)
                self._channels.append(CameraChannel(self, name, node_config, submit, self._transforms, plan))
            switch.open(parameters)
        except BaseException:
            self._close_channels()
            raise
        self._switch = switch
        topics = [topic for channel in self._channels for topic in channel.image_topics]
        labels = switch.labels
        text = f"{labels['model']} on {labels['backend']}, for {', '.join(topics)}"
        self.get_logger().info(printable(text))
        model = parameters[ModelConfig]
        if model.model == "auto" and not stereo:
            self.get_logger().info(of_default_mono(find_model("auto", model.models_dir, stereo=False)))

    def _activate(self) -> None:
        for channel in self._channels:
            channel.activate()
        self._make_bond()

    def _deactivate(self) -> None:
        self._break_bond()
        for channel in self._channels:
            channel.deactivate()
        assert self._switch is not None
        for slot, _ in self._switch.take_back():
            self._channels[slot].record(SKIPPED)

    def _tear_down(self) -> None:
        self._break_bond()
        for channel in self._channels:
            channel.deactivate()
        switch, self._switch = self._switch, None
        if switch is not None and not switch.close():
            self.get_logger().error("the model did not finish its frame in time; shutting down without it")
        self._close_channels()

    def _close_channels(self) -> None:
        while self._channels:
            self._channels.pop().close()

    @property
    def _is_active(self) -> bool:
        return any(channel.accepts_results() for channel in self._channels)

    # --- while it lives -------------------------------------------------------------------------------

    def _prepare(self, new: ParameterSet, before: ParameterSet) -> Callable[[], None]:
        """Check a set of parameters as a whole; return what applies it."""
        if self._switch is None:
            return lambda: None  # configure will see them
        self._plan(new)
        use = self._switch.prepare(new, before)

        def commit() -> None:
            use()
            if new[ModelConfig] != before[ModelConfig] and self._switch and self._switch.loading:
                name = new[ModelConfig].model
                self.get_logger().info(printable(f"loading {name} in the background"))

        return commit

    def _apply(self, parameters: ParameterSet) -> None:
        """Have all cameras use other parameters, or none of them."""
        assert self._switch is not None and self._switch.serving is not None
        before = self._switch.serving
        plan, plan_before = self._plan(parameters), scale_plan(before)
        with ExitStack() as undo:
            for channel in self._channels:
                undo.callback(channel.configure, before[NodeConfig], plan_before)
                channel.configure(parameters[NodeConfig], plan)
            undo.pop_all()

    def _plan(self, parameters: ParameterSet) -> ScalePlan:
        """Where the scale will come from; tf is listened to if that, the clouds or motion need it."""
        require_single_camera(parameters)
        plan = scale_plan(parameters)
        node = parameters[NodeConfig]
        if plan.needs_tf or node.target_frame or node.labels_frame or node.from_motion:
            self._transforms.start()
        return plan

    def _tick(self) -> None:
        for step in (
            *(channel.tick for channel in self._channels),
            self._save.tick,
            self._objects.tick,
            self._look_at_model,
        ):
            self._survive(step)

    def _look_at_model(self) -> None:
        if self._switch is None:
            return
        for warning in self._switch.warnings():
            self._status.notice(warning)
        result = self._switch.poll()
        if result is not None:
            self._on_switched(result)
        self._status.loading(self._switch.loading)

    def _on_switched(self, result: SwitchResult) -> None:
        """Log how a change of the model ended; after a failure the parameters are those that serve."""
        assert self._switch is not None and self._switch.serving is not None
        if result.failure is None:
            labels = self._switch.labels
            if not result.engine:  # why it is not the engine that was meant stays in the diagnostics
                self._status.notice("")
            text = f"now using {labels['model']} on {labels['backend']}, loaded in {result.seconds:.1f} s"
            self.get_logger().info(printable(text))
            return
        serving = self._switch.serving
        name = serving[ModelConfig].model
        if result.engine:
            message = f"no engine for {name}, keeping onnxruntime: {result.failure}"
            self._status.notice(message)
            self.get_logger().warning(printable(message))
            return
        message = f"cannot change to {result.model.model}, keeping {name}: {result.failure}"
        self._status.notice(message)
        self.get_logger().error(printable(message))
        values = serving.difference(self._live.current)
        reverted = self._live.set(values)
        if not reverted.successful:
            self.get_logger().error(printable(f"cannot put back {', '.join(values)}: {reverted.reason}"))

    def _on_jump(self, jump: TimeJump) -> None:
        for channel in self._channels:
            channel.forget(f"the clock jumped by {jump.delta.nanoseconds / 1e9:.3f} s")

    def _report(self, error: Exception) -> None:
        for channel in self._channels[:1]:
            channel.record(FrameOutcome.failed(error))

    def _publish_diagnostics(self) -> None:
        labels = self._switch.labels if self._switch is not None else {}
        config = self._live.current[NodeConfig]
        labels = {**labels, "mode": config.mode, "depth_from": config.depth_from}
        self._status.publish(self._state_machine.current_state[1], self._channels, labels)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; the exit code is 0, or that of the error that kept it from starting."""
    return run_node(DepthNode, args, "Compute PointCloud2, depth and disparity from camera images.")
