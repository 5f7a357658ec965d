"""A camera made of files: publishes a folder, a video, a webcam or the procedural world as a driver would."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from recon3d_ros.config import options
from recon3d_ros.config.camera_topics import LEFT, SIDES, image_topics, info_topic
from recon3d_ros.config.source import SourceConfig
from recon3d_ros.datasets.video import UnreadFramesError
from recon3d_ros.errors import PartialResultError, Recon3dError
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.ros.bridge import parameters
from recon3d_ros.ros.bridge.conversions import camera_to_info, compressed_to_msg, depth_to_msg, image_to_msg
from recon3d_ros.ros.bridge.logs import forward_logs
from recon3d_ros.ros.bridge.requests import survive_wrong_requests
from recon3d_ros.ros.bridge.runtime import advertise, run_node, transported
from recon3d_ros.ros.player.prefetcher import Prefetcher
from recon3d_ros.ros.player.sources import Shot, open_source, repeated
from recon3d_ros.system.printable import printable

# A publisher sees a subscriber before that one sees the publisher; what is sent in between is lost.
SETTLE_S = 0.5
# After the last frame, time for it to leave: best-effort subscribers acknowledge nothing to wait for.
LINGER_S = 1.0
REPORT_PERIOD_S = 10.0
# A live camera has its own beat: looking this much more often than it delivers keeps the delay small.
LIVE_POLLS = 4


class CameraTopics:
    """Image and camera_info of one camera.

    Args:
        node: who publishes.
        topic: of the image, without the suffix of a compressed transport.
        side: "left_", "right_" or "", for the name of the optical frame.
        camera: of camera_info.
        config: transport and encoding.
    """

    def __init__(
        self, node: Node, topic: str, side: str, camera: PinholeCamera, config: SourceConfig
    ) -> None:
        self._camera, self._config = camera, config
        self._frame_id = f"{config.frame_prefix}_{side}optical_frame"
        kind = CompressedImage if config.image_transport == "compressed" else Image
        self._image = advertise(node, kind, transported(node, topic, config.image_transport))
        self._info = advertise(node, CameraInfo, info_topic(topic))

    @property
    def publishers(self) -> tuple[Publisher, Publisher]:
        """Of the image and of its camera_info."""
        return self._image, self._info

    def publish(self, image: Any, stamp_ns: int) -> None:
        """Publish (H, W, 3) RGB or (H, W) mono uint8, camera_info first: it is small, and late is useless."""
        config = self._config
        self._info.publish(camera_to_info(self._camera, stamp_ns, self._frame_id))
        if config.image_transport == "compressed":
            msg = compressed_to_msg(image, stamp_ns, self._frame_id, config.codec, config.jpeg_quality)
        else:
            encoding = "" if config.encoding == "auto" else config.encoding
            msg = image_to_msg(image, stamp_ns, self._frame_id, encoding)
        self._image.publish(msg)


def _topics(node: Node, camera: PinholeCamera | StereoRig, config: SourceConfig) -> list[CameraTopics]:
    """The topics that a node with (raw cameras) or without `rectify` reads."""
    stereo = isinstance(camera, StereoRig)
    cameras = (camera.left, camera.right) if isinstance(camera, StereoRig) else (camera,)
    topics = image_topics(stereo, rectify=not cameras[LEFT].rectified)
    sides = [f"{side}_" for side in SIDES] if stereo else [""]
    return [CameraTopics(node, *each, config) for each in zip(topics, sides, cameras)]


class ImageSource(Node):
    """Publishes the shots of one source at a steady rate, and shuts down its context at the end.

    Args:
        node_options: keyword arguments of `rclpy.node.Node`.

    Raises:
        Recon3dError: a parameter is wrong, or the source does not open; later, from a callback, when it dies.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("image_source", **node_options)
        forward_logs(self)
        survive_wrong_requests(self)
        self._config = config = parameters.declare(self, SourceConfig)
        parameters.warn_of_unknown(self)
        source = open_source(config, self.get_logger().info)
        pair = isinstance(source.camera, StereoRig)
        self._topics = _topics(self, source.camera, config)
        self._truth = advertise(self, Image, "truth/depth") if config.source.startswith("world") else None
        self._truth_frame_id = f"{config.frame_prefix}_{'left_' if pair else ''}optical_frame"
        shots = repeated(source, config.loop)
        self._prefetcher: Prefetcher[Shot | Recon3dError] = Prefetcher(shots, newest_only=source.live)
        self._live = source.live
        self._rate_hz = config.rate_hz or source.rate_hz
        self._played = self._unreadable = self._late = 0
        self._matched_at_s: float | None = None
        self._finished_at_s: float | None = None
        self._start_timers()

    def _start_timers(self) -> None:
        # Steady, not simulated time: a recording that plays needs no other clock to run. rcl's timers keep
        # their phase, so a late beat delays no other.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        limited = not self._live or self._config.rate_hz > 0
        period_s = 1.0 / (self._rate_hz if limited else self._rate_hz * LIVE_POLLS)
        self.create_timer(period_s, self._publish_next, clock=steady)
        self.create_timer(REPORT_PERIOD_S, self._report, clock=steady)
        topics = [publisher.topic_name for publisher in self._camera_publishers()]
        text = f"playing {self._config.source} at {self._rate_hz:.3g} Hz on {topics}"
        self.get_logger().info(printable(text))

    def _camera_publishers(self) -> list[Publisher]:
        return [publisher for topics in self._topics for publisher in topics.publishers]

    def _publish_next(self) -> None:
        if self._finished_at_s is not None:
            if time.monotonic() - self._finished_at_s > LINGER_S:
                self._end()
            return
        if not self._is_ready():
            return
        try:
            shot = self._prefetcher.take()
        except StopIteration:
            self._finish()
            return
        if isinstance(shot, Recon3dError):
            self._unreadable += shot.frames if isinstance(shot, UnreadFramesError) else 1
            self.get_logger().warning(printable(str(shot)), throttle_duration_sec=1.0)
        elif shot is not None:
            self._publish(shot)
        elif not self._live and self._played:
            self._late += 1

    def _is_ready(self) -> bool:
        """Whether everybody is there, and the source has begun to give images."""
        if self._played:
            return True
        if self._config.wait_for_subscribers and self._matched_at_s is None:
            if any(publisher.get_subscription_count() == 0 for publisher in self._camera_publishers()):
                return False
            self._matched_at_s = time.monotonic()
        waited = self._matched_at_s is None or time.monotonic() - self._matched_at_s > SETTLE_S
        return waited and self._prefetcher.ready

    def _publish(self, shot: Shot) -> None:
        stamp_ns = self.get_clock().now().nanoseconds if shot.stamp_ns is None else shot.stamp_ns
        if self._truth is not None and shot.truth is not None and self._truth.get_subscription_count() > 0:
            self._truth.publish(depth_to_msg(shot.truth, stamp_ns, self._truth_frame_id))
        for topics, image in zip(self._topics, (shot.left, shot.right)):
            topics.publish(image, stamp_ns)
        self._played += 1
        if self._played == self._config.count:
            self._finish()

    def _finish(self) -> None:
        self._finished_at_s = time.monotonic()
        self._prefetcher.close()
        self.get_logger().info(
            f"played {self._played} frames, {self._unreadable} unreadable, {self._late} late ticks"
        )

    def _end(self) -> None:
        if self._unreadable:
            raise PartialResultError(
                f"expected to play all of {self._config.source}, {self._unreadable} images could not be "
                f"read, {self._played} were played: replace them"
            )
        self.context.try_shutdown()  # ends the spin of run_node

    def _report(self) -> None:
        if self._finished_at_s is not None:
            return
        if self._played:
            self.get_logger().info(f"played {self._played} frames")
        elif self._config.wait_for_subscribers and self._matched_at_s is None:
            alone = [p.topic_name for p in self._camera_publishers() if p.get_subscription_count() == 0]
            self.get_logger().info(f"waiting for subscribers of {', '.join(alone)}")

    def destroy_node(self) -> None:
        """Stop reading, then destroy the node."""
        prefetcher = getattr(self, "_prefetcher", None)  # Kilted destroys what failed to start, too
        if prefetcher is not None:
            prefetcher.close()
        super().destroy_node()


def main(args: Sequence[str] | None = None, config: SourceConfig | None = None) -> int:
    """Run the node; the exit code is 0, or that of the error that ended it.

    Args:
        args: command line for rclpy, None = of the process.
        config: its values go before parameters of `args`; defaults leave those alone.
    """
    given = {} if config is None else {spec: getattr(config, spec.name) for spec in options(config)}
    overrides = [Parameter(spec.name, value=value) for spec, value in given.items() if value != spec.default]
    description = "Publish a folder, a video, a webcam or the procedural world like a camera driver."
    return run_node(lambda: ImageSource(parameter_overrides=overrides), args, description)
