"""The recorder of the demo: subscribes as any consumer would, measures, and writes a report."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from recon3d_ros.config import PipelineConfig
from recon3d_ros.config.camera_topics import info_topic
from recon3d_ros.config.recorder import RecorderConfig
from recon3d_ros.errors import DataError
from recon3d_ros.files import make_folder
from recon3d_ros.metrics import depth_metrics
from recon3d_ros.offline.far_pixels import cut_sentence
from recon3d_ros.ros.bridge import parameters
from recon3d_ros.ros.bridge.conversions import cloud_from_msg, depth_from_msg, msg_to_image, stamp_to_ns
from recon3d_ros.ros.bridge.logs import forward_logs
from recon3d_ros.ros.bridge.requests import survive_wrong_requests
from recon3d_ros.ros.bridge.runtime import (
    reliable_qos,
    run_node,
    sensor_qos,
    subscribe,
)
from recon3d_ros.ros.demo.frame_accounting import FrameAccounting, mean_scores
from recon3d_ros.ros.demo.report import ReportFrame, write_report

SCORES = ("abs_rel", "rmse_m", "delta_1", "coverage")
# Frames of one kind that wait for the others of their stamp; a cloud may come a second after its image.
KEPT = 20
KEPT_CLOUDS = 2  # big, and nothing waits for them
# After the window, time for the last clouds and for one more /diagnostics.
GRACE_S = 2.5


class _Recent(OrderedDict[int, Any]):
    """The newest items by stamp."""

    def put(self, stamp_ns: int, item: Any, kept: int = KEPT) -> None:
        self[stamp_ns] = item
        while len(self) > kept:
            self.popitem(last=False)


class Recorder(Node):
    """Records one window, writes its report and shuts down its context.

    Args:
        options: keyword arguments of `rclpy.node.Node`.

    Raises:
        Recon3dError: a parameter is wrong, nothing came, or a file cannot be written.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        forward_logs(self)
        survive_wrong_requests(self)
        self._config = config = parameters.declare(self, RecorderConfig)
        self._limits = parameters.declare(self, PipelineConfig)
        make_folder(Path(config.out))  # now, not after the work
        self._accounting = FrameAccounting(config.seconds)
        self._images, self._depths, self._truths, self._clouds = _Recent(), _Recent(), _Recent(), _Recent()
        self._health: dict[str, str] = {}
        # Scoring is not to delay the stamps of what arrives: it has a thread.
        self._scorer = ThreadPoolExecutor(1, "scorer")
        self._scores: list[Future[dict[str, float]]] = []
        self._began_s = time.monotonic()
        self._subscribe()
        self.create_timer(0.5, self._check_progress, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _subscribe(self) -> None:
        qos = sensor_qos(depth=5)
        image = self._config.image_topic
        # Frames are counted by camera_info, which is small: on a busy machine this process loses images that
        # the node got.
        subscribe(self, CameraInfo, info_topic(image), self._on_info, qos=reliable_qos(depth=100))
        subscribe(self, Image, image, self._on_image, qos=qos)
        subscribe(self, PointCloud2, "points", self._on_cloud, qos=qos)
        subscribe(self, Image, "depth/image", self._on_depth, qos=qos)
        subscribe(self, Image, "truth/depth", self._on_truth, qos=qos)
        subscribe(self, DiagnosticArray, "/diagnostics", self._on_diagnostics, qos=qos)

    def _on_info(self, msg: CameraInfo) -> None:
        self._accounting.add_frame(stamp_to_ns(msg.header.stamp))

    def _on_image(self, msg: Image) -> None:
        self._images.put(stamp_to_ns(msg.header.stamp), msg)

    def _on_cloud(self, msg: PointCloud2) -> None:
        received_ns = self.get_clock().now().nanoseconds
        stamp_ns = stamp_to_ns(msg.header.stamp)
        self._accounting.add_cloud(stamp_ns, received_ns)
        self._clouds.put(stamp_ns, msg, KEPT_CLOUDS)

    def _on_depth(self, msg: Image) -> None:
        stamp_ns = stamp_to_ns(msg.header.stamp)
        self._depths.put(stamp_ns, msg)
        self._score(stamp_ns)

    def _on_truth(self, msg: Image) -> None:
        stamp_ns = stamp_to_ns(msg.header.stamp)
        self._truths.put(stamp_ns, msg)
        self._score(stamp_ns)

    def _score(self, stamp_ns: int) -> None:
        """Score the depth of a moment once it and its truth are there."""
        depth, truth = self._depths.get(stamp_ns), self._truths.get(stamp_ns)
        # The window opens with the first cloud; the depth of that moment may come before it.
        opened = self._accounting.end_ns is None or self._accounting.contains(stamp_ns)
        if depth is None or truth is None or not opened:
            return
        del self._truths[stamp_ns]
        limits_m = (self._limits.min_depth_m, self._limits.max_depth_m)
        self._scores.append(self._scorer.submit(_depth_scores, depth, truth, limits_m))

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == f"{self.resolve_topic_name(self._config.node)}: depth":
                self._health = {pair.key: pair.value for pair in status.values}
                self._health["state"] = status.message

    def _check_progress(self) -> None:
        """Twice a second: log the progress, and end when the window is over."""
        end_ns = self._accounting.end_ns
        if end_ns is None:
            waited_s = time.monotonic() - self._began_s
            if waited_s > self._config.patience_s:
                raise DataError(
                    f"expected a cloud on {self.resolve_topic_name('points')} within {waited_s:.0f} s, got "
                    f"{len(self._images)} images and no cloud (the depth node says: "
                    f"{self._health.get('state', 'nothing')}); look at its log"
                )
            return
        self.get_logger().info(f"recorded {self._accounting.clouds} clouds")
        if self.get_clock().now().nanoseconds > end_ns + GRACE_S * 1e9:
            self._write()
            self.context.try_shutdown()  # ends the spin of run_node

    def _write(self) -> None:
        scores = mean_scores([future.result() for future in self._scores], SCORES)
        values: dict[str, Any] = {**self._accounting.summary(), **scores, "frames_scored": len(self._scores)}
        values["node"] = dict(self._health)
        cut = cut_sentence(float(self._health.get("beyond_max_depth", 0.0)), self._limits.max_depth_m)
        values["notes"] = [line for line in [*self._config.notes.splitlines(), cut] if line]
        self.get_logger().info("drawing the cloud")
        write_report(Path(self._config.out), values, self._newest_frame(), self._accounting.latencies_ms())

    def _newest_frame(self) -> ReportFrame:
        """The newest moment of which image, depth and cloud are all there; else the newest of each."""
        common = self._images.keys() & self._depths.keys() & self._clouds.keys()

        def newest(kept: _Recent, decode: Callable[[Any], Any]) -> Any:
            return decode(kept[max(common or kept)]) if kept else None

        return ReportFrame(
            newest(self._images, msg_to_image),
            newest(self._depths, depth_from_msg),
            newest(self._clouds, cloud_from_msg),
        )

    def destroy_node(self) -> None:
        """Stop scoring, then destroy the node."""
        scorer = getattr(self, "_scorer", None)  # Kilted destroys what failed to start, too
        if scorer is not None:
            scorer.shutdown(cancel_futures=True)
        super().destroy_node()


def _depth_scores(depth: Image, truth: Image, limits_m: tuple[float, float]) -> dict[str, float]:
    return depth_metrics(depth_from_msg(depth), depth_from_msg(truth), *limits_m)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; the exit code is 0, or that of the error that ended it."""
    return run_node(Recorder, args)
