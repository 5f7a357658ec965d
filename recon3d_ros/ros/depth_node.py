"""The depth node: camera images in, PointCloud2, depth and disparity out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from recon3d_ros.config import Config, ModelConfig, NodeConfig, PipelineConfig
from recon3d_ros.messages.calibration import CalibrationCache
from recon3d_ros.messages.sync import LEFT, RIGHT, StereoSync
from recon3d_ros.ros import parameters
from recon3d_ros.ros.conversions import msg_to_image, stamp_to_ns
from recon3d_ros.ros.diagnostics import DiagnosticArray, diagnostics_msg
from recon3d_ros.ros.health import Cause, Health, cause_of
from recon3d_ros.ros.mailbox import Mailbox
from recon3d_ros.ros.outputs import Outputs
from recon3d_ros.ros.processing import NS_PER_MS, Capture, Processor
from recon3d_ros.ros.runtime import advertise, run_node, subscribe, transported
from recon3d_ros.ros.worker import Worker

DIAGNOSTICS_PERIOD_S = 1.0


class DepthNode(Node):
    """Subscribes to one camera or a stereo pair; callbacks decode, the worker computes and publishes.

    Args:
        options: keyword arguments of `rclpy.node.Node`, for tests and composition by hand.

    Raises:
        Recon3dError: a parameter is wrong or the model does not open.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("depth_node", **options)
        self._worker: Worker[Capture] | None = None
        try:
            self._start()
        except BaseException:  # a start that failed or was interrupted leaves no thread and no handle behind
            self.destroy_node()
            raise

    def _start(self) -> None:
        self._config = parameters.declare(self, NodeConfig)
        pipeline_config = parameters.declare(self, PipelineConfig)
        model_config = parameters.declare(self, ModelConfig)
        stereo = self._config.mode == "stereo"
        sides = ("left/", "right/") if stereo else ("",)
        name = "image_raw" if self._config.rectify else ("image_rect" if stereo else "image")
        images = [transported(self, side + name, self._config.image_transport) for side in sides]
        infos = [f"{side}camera_info" for side in sides]
        self._image_topics = [self.resolve_topic_name(name) for name in images]
        info_topics = [self.resolve_topic_name(name) for name in infos]

        self._health = Health(self.get_logger().warning, " and ".join(self._image_topics))
        self._outputs = Outputs(self, stereo)
        self._calibrations = CalibrationCache(tuple(info_topics), self._config.rectify)
        self._sync = StereoSync(round(self._config.sync_tolerance_ms * NS_PER_MS))
        self._mailbox: Mailbox[Capture] = Mailbox()
        self._open_worker(model_config, pipeline_config, stereo)
        self._subscribe(stereo, images, infos)
        parameters.follow(self, (self._config, pipeline_config), self._reconfigure)
        self._diagnostics = advertise(self, DiagnosticArray, "/diagnostics")
        # A steady clock: diagnostics go on while simulated time stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=steady)

    def _open_worker(self, model: ModelConfig, pipeline: PipelineConfig, stereo: bool) -> None:
        def open_processor() -> Processor:
            self._processor = Processor(
                model,
                pipeline,
                stereo,
                self._outputs,
                self._health,
                lambda: self.get_clock().now().nanoseconds,
            )
            return self._processor

        self._worker = Worker(self._mailbox, open_processor, self._report)
        self._worker.start()
        labels = self._processor.labels
        self.get_logger().info(f"{labels['model']} on {labels['backend']}, waiting for {self._image_topics}")

    def _subscribe(self, stereo: bool, images: Sequence[str], infos: Sequence[str]) -> None:
        msg_type = CompressedImage if self._config.image_transport == "compressed" else Image
        # In this order: of what is ready at once the executor takes camera_info first.
        for name in infos:
            subscribe(self, CameraInfo, name, self._guarded(self._on_info(self.resolve_topic_name(name))))
        for side, name in enumerate(images):
            on_image = self._on_side(side) if stereo else self._on_image
            subscribe(self, msg_type, name, self._guarded(on_image))

    def _guarded(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """The seam of all callbacks: whatever a message makes them raise is counted and reported."""

        @wraps(callback)
        def guarded(msg: Any) -> None:
            try:
                callback(msg)
            except Exception as exc:
                self._report(exc)

        return guarded

    def _report(self, error: Exception) -> None:
        if not self.context.ok():
            return  # shutting down: publishers are gone, that is no fault
        self._health.count_error(error)
        if cause_of(error) is Cause.INTERNAL:
            self.get_logger().debug("".join(traceback.format_exception(error)))

    def _on_info(self, topic: str) -> Callable[[CameraInfo], None]:
        def on_info(msg: CameraInfo) -> None:
            if self._calibrations.update(topic, msg):
                self.get_logger().info(f"camera_info on {topic}: {msg.width}x{msg.height}")

        return on_info

    def _on_image(self, msg: Image | CompressedImage) -> None:
        self._accept(msg, None)

    def _on_side(self, side: int) -> Callable[[Image | CompressedImage], None]:
        def on_image(msg: Image | CompressedImage) -> None:
            before = self._sync.unmatched
            pair = self._sync.add(side, stamp_to_ns(msg.header.stamp), msg)
            self._count_unmatched(self._sync.unmatched - before, paired=pair is not None)
            if pair is not None:
                self._accept(*pair)

        return on_image

    def _count_unmatched(self, count: int, paired: bool) -> None:
        if count == 0:
            return
        if paired:  # a lost or late image now and then is no fault
            self._health.count_dropped(Cause.UNMATCHED, count=count)
            return
        gap_ns = self._sync.last_gap_ns
        left, right = self._image_topics[LEFT], self._image_topics[RIGHT]
        if gap_ns is None:
            message = (
                f"expected images on both {left} and {right}, got only one of them; check the other camera"
            )
        else:
            tolerance_ms = self._config.sync_tolerance_ms
            message = (
                f"expected {left} and {right} with stamps at most {tolerance_ms:g} ms apart, "
                f"got {gap_ns / NS_PER_MS:g} ms; trigger the cameras together or raise sync_tolerance_ms"
            )
        self._health.count_dropped(Cause.UNMATCHED, message, count)

    def _accept(self, image: Image | CompressedImage, right: Image | CompressedImage | None) -> None:
        """Decode a complete frame into the mailbox, unless nobody wants it or it is too old."""
        self._health.count_received()
        if not self._outputs.wanted():
            self._health.count_skipped()
            return
        stamp_ns = stamp_to_ns(image.header.stamp)
        age_ms = (self.get_clock().now().nanoseconds - stamp_ns) / NS_PER_MS
        if 0.0 < self._config.max_age_ms < age_ms:
            message = (
                f"expected images at most {self._config.max_age_ms:g} ms old, got {age_ms:.0f} ms; "
                "synchronise the clocks, set use_sim_time for a bag or simulator, or max_age_ms to 0"
            )
            self._health.count_dropped(Cause.TOO_OLD, message)
            return
        calibration = self._calibrations.current()
        right_pixels = None if right is None else msg_to_image(right)
        capture = Capture(stamp_ns, image.header.frame_id, msg_to_image(image), right_pixels, calibration)
        if self._mailbox.put(capture):
            self._health.count_dropped(Cause.BUSY)

    def _reconfigure(self, config: Config) -> None:
        if isinstance(config, NodeConfig):
            self._config = config
            self._sync.tolerance_ns = round(config.sync_tolerance_ms * NS_PER_MS)
        elif isinstance(config, PipelineConfig):
            self._processor.configure(config)

    def _publish_diagnostics(self) -> None:
        labels = self._processor.labels
        msg = diagnostics_msg(
            self._health.report(),
            self.get_clock().now().to_msg(),
            self.get_fully_qualified_name(),
            labels["model"],
            {**labels, "mode": self._config.mode},
        )
        try:
            self._diagnostics.publish(msg)
        except Exception as exc:  # such as a stuck reader of a keep_all override: no reason to end the node
            if self.context.ok():
                self.get_logger().warning(
                    f"cannot publish /diagnostics ({exc}); check its readers", throttle_duration_sec=5.0
                )

    def destroy_node(self) -> None:
        """Stop the worker, then destroy the node."""
        if self._worker is not None and not self._worker.stop():
            self.get_logger().error("the model did not finish its frame in time; leaving without it")
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; the exit code is 0, or that of the error that kept it from starting."""
    return run_node(DepthNode, args)
