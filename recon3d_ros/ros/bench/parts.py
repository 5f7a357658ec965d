"""Camera, depth node and consumer of the benchmarks: bodies of processes of their own, led over pipes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2

from recon3d_ros.backends import BACKENDS
from recon3d_ros.backends.base import TensorSpec, check_feed, expected_inputs, expected_outputs
from recon3d_ros.geometry import PointPacker, StereoRig
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Licence, Manifest, dump_manifest
from recon3d_ros.ros.bridge.conversions import camera_to_info, image_to_msg, ns_to_stamp, stamp_to_ns
from recon3d_ros.ros.bridge.runtime import advertise, subscribe
from recon3d_ros.ros.node import depth_node
from recon3d_ros.ros.output.cloud_message import CloudMessages
from recon3d_ros.system.allocator import keep_memory

# Topics of the node's cloud and of the ready-made one that it is compared with.
POINTS, READY = "points", "ready_points"
# What is shown changes with every frame, so that nothing of the last one can be used again.
_SCENES = 3
_SIDES = ("left", "right")
MODEL = "benchmark"


class CopyingBackend:
    """A network that costs nothing: copies its input, answers a full-size disparity that changes every frame.

    What is measured then is the node's own work.
    """

    name = "copying"
    precision = "fp32"

    def __init__(self, manifest: Manifest, threads: int = 0, precision: str = "auto") -> None:
        self.inputs: tuple[TensorSpec, ...] = expected_inputs(manifest)
        self.outputs: tuple[TensorSpec, ...] = expected_outputs(manifest)
        self._output = manifest.output.name
        self._copies: dict[str, NDArray[Any]] = {}
        self._planes: list[NDArray[np.float32]] = []
        self._count = 0

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Copy the (1, H, W, 3) images, answer (1, H, W) px."""
        check_feed(self.inputs, feed)
        for name, tensor in feed.items():
            if name not in self._copies or self._copies[name].shape != tensor.shape:
                self._copies[name] = np.empty_like(tensor)
                self._planes = [_disparity(tensor.shape[1:3], seed)[None] for seed in range(_SCENES)]
            np.copyto(self._copies[name], tensor)
        self._count += 1
        return {self._output: self._planes[self._count % _SCENES].copy()}

    def close(self) -> None:
        """Nothing to release."""


def write_model(folder: Path) -> Path:
    """Write the manifest that the `CopyingBackend` serves; uint8 goes in, as scaling belongs to a network."""
    manifest = Manifest(
        name=MODEL,
        task="stereo_disparity",
        input=InputContract(names=_SIDES, layout="NHWC", dtype="uint8", multiple_of=1),
        output=OutputContract(name="disparity", unit="px", layout="NHW"),
        licence=Licence(weights="no weights"),
    )
    path = folder / f"{MODEL}.yaml"
    dump_manifest(manifest, path)
    return path


def run_depth_node(words: list[str]) -> None:
    """Be the depth node, with a network that costs nothing."""
    BACKENDS["fake"] = f"{__name__}:CopyingBackend"
    raise SystemExit(depth_node.main(words))


def run_camera(lead: Connection, size_wh: tuple[int, int]) -> None:
    """Be the camera: for every (what, rate_hz, frames) that comes, publish, then send the stamps back.

    `what` is "images" for pairs with camera_info, or "clouds" for ready-made PointCloud2.
    """
    keep_memory()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("camera")
    camera = _Camera(node, size_wh)
    try:
        while (order := lead.recv()) is not None:
            what, rate_hz, frames = order
            lead.send(camera.publish(what, rate_hz, frames))
    except EOFError:
        pass  # whoever leads went away
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


class _Camera:
    def __init__(self, node: Node, size_wh: tuple[int, int]) -> None:
        rig = StereoRig.simple(*size_wh, fx=0.8 * size_wh[0], baseline_m=0.1)
        names = [f"{side}_optical" for side in _SIDES]
        self._infos = [camera_to_info(cam, 0, name) for cam, name in zip((rig.left, rig.right), names)]
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 256, (*size_wh[::-1], 3), np.uint8) for _ in range(_SCENES)]
        shifts = (0, -16)  # px; the two sides of a frame differ, as a camera's do
        self._pairs = [
            [image_to_msg(np.roll(image, shift, 1), 0, name, "rgb8") for shift, name in zip(shifts, names)]
            for image in images
        ]
        self._clouds = _ready_clouds(rig, images)
        self._outs = {
            "infos": [advertise(node, type(self._infos[0]), f"{side}/camera_info") for side in _SIDES],
            "images": [advertise(node, type(self._pairs[0][0]), f"{side}/image_rect") for side in _SIDES],
            "clouds": [advertise(node, PointCloud2, READY)],
        }

    def publish(self, what: str, rate_hz: float, frames: int) -> list[int]:
        """Publish frames in their beat; return the stamps, each taken just before its first message."""
        stamps = []
        began = time.monotonic()
        for i in range(frames):
            if (wait_s := began + i / rate_hz - time.monotonic()) > 0:
                time.sleep(wait_s)
            # The images first: their camera_info is known from the frame before and holds nothing up.
            batches = {"images": self._pairs[i % _SCENES]}
            if what == "images":
                batches["infos"] = self._infos
            else:
                batches = {"clouds": [self._clouds[i % _SCENES]]}
            stamps.append(time.time_ns())
            for kind, messages in batches.items():
                for out, msg in zip(self._outs[kind], messages):
                    msg.header.stamp = ns_to_stamp(stamps[-1])
                    out.publish(msg)
        return stamps


def _ready_clouds(rig: StereoRig, images: list[NDArray[np.uint8]]) -> list[PointCloud2]:
    """Clouds as the node makes them, of the same size and layout."""
    messages, packer = CloudMessages(_SCENES), PointPacker(rig.left)
    clouds = []
    for seed, image in enumerate(images):
        msg, points = messages.take(image.shape[:2], 0, "left_optical")
        packer.pack(rig.depth_from_disparity(_disparity(image.shape[:2], seed)), image, points)
        clouds.append(msg)
    return clouds


def _disparity(shape_hw: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """(H, W) px, all within the depth limits of a node."""
    return np.random.default_rng(seed).uniform(8.0, 60.0, shape_hw).astype(np.float32)


def run_consumer(lead: Connection, size_wh: tuple[int, int]) -> None:
    """Be the consumer of both clouds.

    Whenever asked, it sends {topic: {stamp_ns: received_ns}} of what came since, and the newest values of the
    node's diagnostics.
    """
    keep_memory()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("consumer")
    came: dict[str, dict[int, int]] = {POINTS: {}, READY: {}}

    def listener(topic: str) -> Any:
        def take(msg: PointCloud2) -> None:
            received_ns = time.time_ns()
            if (msg.width, msg.height) == size_wh and len(msg.data) == 16 * msg.width * msg.height:
                came[topic][stamp_to_ns(msg.header.stamp)] = received_ns

        return take

    status: dict[str, str] = {}

    def on_diagnostics(msg: DiagnosticArray) -> None:
        for part in msg.status:
            values = {pair.key: pair.value for pair in part.values}
            if "frames_in" in values:
                status.clear()
                status.update(values)

    for topic in came:
        subscribe(node, PointCloud2, topic, listener(topic))
    subscribe(node, DiagnosticArray, "/diagnostics", on_diagnostics)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while True:
            executor.spin_once(timeout_sec=0.05)
            if lead.poll():
                if lead.recv() is None:
                    return
                lead.send((came, status))
                for stamps in came.values():
                    stamps.clear()
    except EOFError:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
