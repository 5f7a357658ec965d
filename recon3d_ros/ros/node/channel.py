"""One camera, or one stereo pair, of the node: its topics, intake, health and results."""

# long: one class, the state of one camera of the node

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from threading import Lock

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from recon3d_ros.config import NodeConfig
from recon3d_ros.config.camera_topics import (
    LEFT,
    NS_PER_MS,
    RIGHT,
    image_topics,
    info_topic,
    is_packed,
    packed_topics,
)
from recon3d_ros.config.scale_inputs import UNSCALED, ScalePlan
from recon3d_ros.geometry import Frame
from recon3d_ros.messages.intake import Intake, Messages, RawFrame
from recon3d_ros.messages.kinds import stamp_to_ns
from recon3d_ros.pipeline import Result
from recon3d_ros.ros.bridge.runtime import PausableCallbackGroup, subscribe, transported
from recon3d_ros.ros.bridge.serialized import InfoReader, image_of
from recon3d_ros.ros.bridge.transforms import TransformSource
from recon3d_ros.ros.health.health import Health
from recon3d_ros.ros.health.outcome import SKIPPED, Cause, FrameOutcome, guarded
from recon3d_ros.ros.health.throttle import ChangeThrottle
from recon3d_ros.ros.node.motion_poses import MotionPoses
from recon3d_ros.ros.output.outputs import Outputs
from recon3d_ros.ros.scale.inputs import ScaleInputs

LINGER_S = 2.0  # images stay subscribed this long after the last reader left: readers often come back at once
INFO_PERIOD_S = 1.0  # how often camera_info is looked at while nobody wants results
INFO_LOG_PERIOD_S = 5.0  # zoom lenses and stabilisers change their camera_info with every image

OnResult = Callable[[Frame, Result], None]


class CameraChannel:
    """Callbacks put messages into the mailbox; the worker decodes, computes and publishes through `outputs`.

    The publishers exist from construction to `close`, camera_info is subscribed to while active, and images
    only while somebody wants results. Methods belong to the executor's thread except where it is said.

    Args:
        node: who publishes and subscribes.
        name: namespace of the camera's topics, empty for the node's own.
        config: how images come in.
        submit: hands a complete frame to the worker; returns whether it replaced one that waited.
        transforms: where frames of other names are.
        plan: what gives the scale of a mono model.

    Raises:
        ConfigError: a QoS override is no value of its policy.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        config: NodeConfig,
        submit: Callable[[RawFrame], bool],
        transforms: TransformSource | None = None,
        plan: ScalePlan = UNSCALED,
    ) -> None:
        self.name, self._node, self._config, self._submit = name, node, config, submit
        stereo = config.mode == "stereo"
        prefix = f"{name}/" if name else ""
        topics = image_topics(stereo, config.rectify, prefix)
        infos = tuple(info_topic(topic) for topic in topics)
        if is_packed(config.layout):
            topics, infos = packed_topics(config.rectify, prefix)
        self._images = [transported(node, topic, config.image_transport) for topic in topics]
        self._infos = infos
        self.image_topics = [node.resolve_topic_name(topic) for topic in self._images]
        self._info_topics = tuple(node.resolve_topic_name(topic) for topic in self._infos)
        self.health = Health(node.get_logger().warning, " and ".join(self.image_topics))
        self.outputs = Outputs(node, stereo, config, name, transforms)
        self.scale_inputs = ScaleInputs(node, prefix, plan, transforms)
        self.motion_poses = MotionPoses(transforms, config)
        self._intake = Intake(
            self._info_topics,
            config.rectify,
            config.sync_tolerance_ns,
            layout=config.layout,
            on_step_back=self._on_step_back,
        )
        self._info_readers = {topic: InfoReader() for topic in self._info_topics}
        self._info_logs = ChangeThrottle(INFO_LOG_PERIOD_S)
        self._info_subscriptions: list[Subscription] = []
        self._image_subscriptions: list[Subscription] = []
        self._info_group = PausableCallbackGroup()
        self._wanted_s = self._listened_s = float("-inf")
        self._result_callbacks: dict[object, OnResult] = {}
        self._result_lock = Lock()
        self._active = self._idle = False

    @property
    def infos(self) -> list[CameraInfo]:
        """The newest camera_info messages, left before right, as far as they came."""
        newest = [reader.newest for reader in self._info_readers.values()]
        return [msg for msg in newest if msg is not None]

    def activate(self) -> None:
        """Subscribe to camera_info and images; to images no longer than somebody wants results.

        Raises:
            ConfigError: a QoS override is no value of its policy.
        """
        self._info_group = PausableCallbackGroup()
        # camera_info before images: of what is ready at once the executor takes it first.
        for topic, resolved in zip(self._infos, self._info_topics):
            on_info = guarded(self._on_info(resolved), self.record)
            self._info_subscriptions.append(
                subscribe(self._node, CameraInfo, topic, on_info, callback_group=self._info_group, raw=True)
            )
        self._open_images()  # in any case: a wrong override is to be reported now, not to the first reader
        self._active, self._idle, self._wanted_s = True, False, time.monotonic()
        self.health.idle(False)
        self.tick()

    def deactivate(self) -> None:
        """Subscribe to nothing; what the worker still has is not published."""
        self._active = False
        self._close_images()
        self._destroy(self._info_subscriptions)
        self.health.idle(True, "the node is not active")

    def close(self) -> None:
        """Destroy subscriptions and publishers; the worker must have ended."""
        self.deactivate()
        self.outputs.close()

    def configure(self, config: NodeConfig, plan: ScalePlan) -> None:
        """Take what may change while running.

        Raises:
            MissingDependencyError: the outputs cannot do what is asked; nothing has changed then.
            ConfigError: a QoS override of a source of the scale is no value of its policy.
        """
        self.outputs.configure(config)
        self.scale_inputs.configure(plan)
        self.motion_poses.configure(config)
        self._config = config
        self._intake.sync.tolerance_ns = config.sync_tolerance_ns

    def tick(self) -> None:
        """Subscribe to images when somebody wants results, and no more when nobody did for a while."""
        if not self._active:
            return
        now = time.monotonic()
        wanted = self.wanted()
        if wanted == self._idle:
            self._idle = not wanted
            self.health.idle(self._idle)
        if wanted:
            self._wanted_s = now
            if not self._image_subscriptions:
                self._open_images()
        elif self._image_subscriptions and now - self._wanted_s > LINGER_S:
            self._close_images()
        if now - self._listened_s > INFO_PERIOD_S:
            self._listened_s, self._info_group.paused = now, False
        else:
            self._info_group.paused = not self._image_subscriptions

    def wanted(self) -> bool:
        """Whether anybody subscribes to an output, or waits for a result."""
        return bool(self._result_callbacks) or self.outputs.wanted()

    def forget(self, why: str) -> None:
        """Let nothing that was seen before have a part in what is seen from now on."""
        self._intake.forget()
        self.scale_inputs.forget()
        text = f"{' and '.join(self.image_topics)}: {why}, resetting the filters"
        self._node.get_logger().info(text, throttle_duration_sec=5.0)

    def request_result(self, callback: OnResult | None, owner: object) -> None:
        """Have the next result given to an owner's callback, in the worker's thread, once; None cancels."""
        with self._result_lock:
            self._result_callbacks.pop(owner, None)
            if callback is not None:
                self._result_callbacks[owner] = callback
        self.tick()

    def record(self, outcome: FrameOutcome) -> None:
        """Take what became of a frame; any thread."""
        error = outcome.error
        if error is not None and not self._node.context.ok():
            return  # shutting down: publishers are gone, that is no fault
        self.health.record(outcome)
        if error is not None and outcome.cause is Cause.INTERNAL:
            self._node.get_logger().debug("".join(traceback.format_exception(error)))

    def now_ns(self) -> int:
        """The node's clock; any thread."""
        return self._node.get_clock().now().nanoseconds

    def accepts_results(self) -> bool:
        """False once the node has to stop publishing; any thread."""
        return self._active

    def on_result(self, frame: Frame, result: Result) -> None:
        """Hand a result to all who requested it; the worker calls it after publishing."""
        with self._result_lock:
            callbacks = list(self._result_callbacks.values())
            self._result_callbacks.clear()
        for callback in callbacks:
            callback(frame, result)

    def _open_images(self) -> None:
        group = MutuallyExclusiveCallbackGroup()
        compressed = self._config.image_transport == "compressed"
        msg_type = CompressedImage if compressed else Image
        try:
            self.scale_inputs.open()  # before the images, as camera_info is
            for side, topic in enumerate(self._images):
                on_image = guarded(self._on_image(side), self.record)
                images = subscribe(
                    self._node, msg_type, topic, on_image, callback_group=group, raw=not compressed
                )
                self._image_subscriptions.append(images)
        except BaseException:  # one side alone would look open and give nothing; the next tick tries again
            self._close_images()
            raise

    def _close_images(self) -> None:
        self._destroy(self._image_subscriptions)
        self.scale_inputs.close()
        self._intake.restart()

    def _destroy(self, subscriptions: list[Subscription]) -> None:
        while subscriptions:
            self._node.destroy_subscription(subscriptions.pop())

    def _on_info(self, topic: str) -> Callable[[bytes], None]:
        def on_info(serialized: bytes) -> None:
            msg = self._info_readers[topic].read(serialized)
            size, new = f"{msg.width}x{msg.height}", self._intake.add_info(topic, msg)
            if new and self._info_logs.is_due(topic, size, time.monotonic()):
                self._node.get_logger().info(f"camera_info on {topic}: {size}")

        return on_info

    def _on_image(self, side: int) -> Callable[[bytes | CompressedImage], None]:
        def on_image(received: bytes | CompressedImage) -> None:
            msg = image_of(received) if isinstance(received, bytes) else received
            before = self._intake.sync.unmatched
            messages = self._intake.add_image(side, msg)
            self._count_unmatched(self._intake.sync.unmatched - before, paired=messages is not None)
            if messages is not None:
                self._accept(messages)

        return on_image

    def _count_unmatched(self, count: int, paired: bool) -> None:
        if count == 0:
            return
        if paired:  # a lost or late image now and then is no fault
            self.health.unmatched(count)
            return
        left, right = self.image_topics[LEFT], self.image_topics[RIGHT]
        gap_ns = self._intake.sync.last_gap_ns
        message = f"expected images on both {left} and {right}, got only one of them; check the other camera"
        if gap_ns is not None:
            remedy = "raise sync_tolerance_ms"
            if not self._config.approximate_sync:
                remedy = "set approximate_sync to true, with a sync_tolerance_ms"
            message = (
                f"expected {left} and {right} with stamps at most "
                f"{self._intake.sync.tolerance_ns / NS_PER_MS:g} ms apart, got {gap_ns / NS_PER_MS:g} ms; "
                f"trigger the cameras together or {remedy}"
            )
        self.health.unmatched(count, message)

    def _accept(self, messages: Messages) -> None:
        """Put a complete frame into the mailbox, unless nobody wants it or it is too old."""
        self.health.received()
        if not self.wanted():
            self.record(SKIPPED)
            return
        age_ms = (self.now_ns() - stamp_to_ns(messages[LEFT].header.stamp)) / NS_PER_MS
        if 0.0 < self._config.max_age_ms < age_ms:
            message = (
                f"expected images at most {self._config.max_age_ms:g} ms old, got {age_ms:.0f} ms; "
                "synchronize the clocks, set use_sim_time for a bag or simulator, or max_age_ms to 0"
            )
            self.record(FrameOutcome(cause=Cause.TOO_OLD, message=message))
            return
        if self._submit(self._intake.raw_frame(messages)):
            self.record(FrameOutcome(cause=Cause.BUSY))

    def _on_step_back(self, seconds: float) -> None:
        self.forget(f"stamps went back by {seconds:.3f} s")
