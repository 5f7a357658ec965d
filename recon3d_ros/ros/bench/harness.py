"""A camera with pairs, a depth node and a consumer of its clouds, for the benchmarks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from recon3d_ros.backends import BACKENDS
from recon3d_ros.config.camera_topics import SIDES, image_topics, info_topic, transport_topic
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import PointPacker, StereoRig
from recon3d_ros.ros.bench.copying_backend import SCENES, CopyingBackend, disparity, write_model
from recon3d_ros.ros.bench.processes import Part, Processes, serve_camera, serve_consumer
from recon3d_ros.ros.bridge.conversions import (
    camera_to_info,
    compressed_to_msg,
    image_to_msg,
    ns_to_stamp,
    stamp_to_ns,
)
from recon3d_ros.ros.bridge.runtime import advertise, subscribe
from recon3d_ros.ros.node import depth_node
from recon3d_ros.ros.output.cloud_message import CloudMessages

# Topics of the node's cloud and of the ready-made one that it is compared with.
POINTS, READY = "points", "ready_points"
START_S = 60.0
GRACE_S = 0.5  # for messages that are still on their way


class NodeHarness(Processes):
    """A camera, a depth node and a consumer; ended when the context is left.

    Args:
        size_wh: Of the images.
        parameters: Of the node, beyond its model.
        transport: Of the images, raw or compressed (JPEG).
        model_ms: How long the model takes for a frame, without processor time.

    Raises:
        DataError: No cloud arrivals out within a minute.
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        parameters: Mapping[str, Any] = {},
        transport: str = "raw",
        model_ms: float = 0.0,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="recon3d-benchmark-")
        model = write_model(Path(self._folder.name))
        values = {"model": str(model), "backend": "fake", "image_transport": transport, **parameters}
        super().__init__(
            {"depth node": Part(run_depth_node, (ros_words(values), model_ms))},
            Part(run_camera, (size_wh, transport)),
            Part(run_consumer, (size_wh,)),
        )

    def __enter__(self) -> NodeHarness:
        try:
            self.start()
            deadline = time.monotonic() + START_S
            while True:
                self.publish("images", 10.0, 5)
                self.publish("clouds", 10.0, 2)
                arrivals, _ = self.collect()
                if all(arrivals.values()):
                    return self
                if time.monotonic() > deadline:
                    got = f"{len(arrivals[POINTS])} of the node and {len(arrivals[READY])} ready-made ones"
                    raise DataError(
                        f"expected clouds within {START_S:.0f} s, got {got}: see the warnings above"
                    )
        except BaseException:
            self.close()
            raise

    def publish(self, what: str, rate_hz: float, frames: int) -> list[int]:
        """Publish "images" or "clouds" and return their stamps (ns), when all of them are out."""
        return list(self.ask_camera((what, rate_hz, frames)))

    def collect(self) -> tuple[dict[str, dict[int, int]], dict[str, str]]:
        """Return the clouds since the last call, {topic: {stamp_ns: received_ns}}, and the diagnostics."""
        time.sleep(GRACE_S)
        arrivals, status = self.ask_consumer("collect")
        return arrivals, status

    def close(self) -> None:
        """End the processes, the node first."""
        super().close()
        self._folder.cleanup()


def ros_words(values: Mapping[str, Any]) -> list[str]:
    """The command line of a node with these parameters, which logs warnings only."""
    words = ["--ros-args", "--log-level", "warn"]
    for name, value in values.items():
        words += ["-p", f"{name}:={value}"]
    return words


def run_depth_node(words: list[str], model_ms: float) -> None:
    """Be the depth node, with the `CopyingBackend` in place of the fake one."""
    CopyingBackend.delay_s = model_ms / 1e3
    BACKENDS["fake"] = "recon3d_ros.ros.bench.copying_backend:CopyingBackend"
    raise SystemExit(depth_node.main(words))


def run_camera(pipe: Connection, size_wh: tuple[int, int], transport: str) -> None:
    """Be the camera: for every request (what, rate_hz, frames), publish, then send the stamps back.

    `what` is "images" for pairs with camera_info, or "clouds" for ready-made PointCloud2.
    """

    def make(node: Node) -> Callable[[Any], list[int]]:
        camera = _Camera(node, size_wh, transport)
        return lambda request: camera.publish(*request)

    serve_camera(pipe, make)


class _Camera:
    def __init__(self, node: Node, size_wh: tuple[int, int], transport: str) -> None:
        rig = StereoRig.simple(*size_wh, fx=0.8 * size_wh[0], baseline_m=0.1)
        names = [f"{side}_optical" for side in SIDES]
        self._infos = [camera_to_info(cam, 0, name) for cam, name in zip((rig.left, rig.right), names)]
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 256, (*size_wh[::-1], 3), np.uint8) for _ in range(SCENES)]
        shifts = (0, -16)  # px; the two sides of a frame differ, as a camera's do
        self._clouds = _ready_clouds(rig, images)
        make: Any = image_to_msg
        if transport == "compressed":
            make = compressed_to_msg
            # As smooth as a photograph: noise would take ten times its bytes.
            images = [cv2.resize(image[::8, ::8], size_wh, interpolation=cv2.INTER_CUBIC) for image in images]
        self._pairs = [
            [make(np.roll(image, shift, 1), 0, name) for shift, name in zip(shifts, names)]
            for image in images
        ]
        topics = image_topics(stereo=True, rectify=False)
        image_type = type(self._pairs[0][0])
        self._publishers = {
            "infos": [advertise(node, type(self._infos[0]), info_topic(topic)) for topic in topics],
            "images": [advertise(node, image_type, transport_topic(topic, transport)) for topic in topics],
            "clouds": [advertise(node, PointCloud2, READY)],
        }

    def publish(self, what: str, rate_hz: float, frames: int) -> list[int]:
        """Publish frames at a rate; return the stamps, each taken just before its first message."""
        stamps = []
        began = time.monotonic()
        for i in range(frames):
            if (wait_s := began + i / rate_hz - time.monotonic()) > 0:
                time.sleep(wait_s)
            # The images first: their camera_info is known from the frame before and holds nothing up.
            batches = {"images": self._pairs[i % SCENES]}
            if what == "images":
                batches["infos"] = self._infos
            else:
                batches = {"clouds": [self._clouds[i % SCENES]]}
            stamps.append(time.time_ns())
            for kind, messages in batches.items():
                for publisher, msg in zip(self._publishers[kind], messages):
                    msg.header.stamp = ns_to_stamp(stamps[-1])
                    publisher.publish(msg)
        return stamps


def _ready_clouds(rig: StereoRig, images: list[NDArray[np.uint8]]) -> list[PointCloud2]:
    """Clouds as the node makes them, of the same size and layout."""
    messages, packer = CloudMessages(SCENES), PointPacker(rig.left)
    clouds = []
    for seed, image in enumerate(images):
        msg, points = messages.take(image.shape[:2], 0, "left_optical")
        packer.pack(rig.depth_from_disparity(disparity(image.shape[:2], seed)), image, points)
        clouds.append(msg)
    return clouds


def run_consumer(pipe: Connection, size_wh: tuple[int, int]) -> None:
    """Be the consumer of both clouds.

    To every request it replies with the arrivals since the last one, {topic: {stamp_ns: received_ns}}, and
    the newest values of the node's diagnostics.
    """
    arrivals: dict[str, dict[int, int]] = {POINTS: {}, READY: {}}

    def listener(topic: str) -> Any:
        def on_cloud(msg: PointCloud2) -> None:
            received_ns = time.time_ns()
            if (msg.width, msg.height) == size_wh and len(msg.data) == 16 * msg.width * msg.height:
                arrivals[topic][stamp_to_ns(msg.header.stamp)] = received_ns

        return on_cloud

    def make(node: Node) -> Callable[[], Any]:
        for topic in arrivals:
            subscribe(node, PointCloud2, topic, listener(topic))
        status = newest_status(node)

        def reply() -> Any:
            taken = {topic: dict(stamps) for topic, stamps in arrivals.items()}
            for stamps in arrivals.values():
                stamps.clear()
            return taken, status

        return reply

    serve_consumer(pipe, make)


def newest_status(node: Node) -> dict[str, str]:
    """The newest values of a node's diagnostics, kept up to date by the executor."""
    status: dict[str, str] = {}

    def on_diagnostics(msg: DiagnosticArray) -> None:
        for part in msg.status:
            values = {pair.key: pair.value for pair in part.values}
            if "frames_in" in values:
                status.clear()
                status.update(values)

    subscribe(node, DiagnosticArray, "/diagnostics", on_diagnostics)
    return status
