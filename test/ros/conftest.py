"""A running depth node beside a probe that plays camera and consumer, over real DDS."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from stereo_msgs.msg import DisparityImage

from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.ros.bridge.conversions import camera_to_info, image_to_msg, ns_to_stamp, stamp_to_ns
from recon3d_ros.ros.bridge.dds import profile_environment
from recon3d_ros.ros.node import depth_node
from test.ros.node_bench import NodeBench

os.environ.update(profile_environment())  # before the first context; children inherit it
OUTPUTS = {
    "points": PointCloud2,
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "disparity": DisparityImage,
}
DEADLINE_S = 30.0
WARN = int.from_bytes(Log.WARN, "little") if isinstance(Log.WARN, bytes) else Log.WARN


class Bench(NodeBench):
    """One depth node and one probe in a context and thread of their own.

    Args:
        parameters: of the node.
        namespace: of both; keeps nodes of one test process apart.
        outputs: topics that the probe subscribes to.
        remaps: of the node, as on the command line ("left/image_rect:=other").
    """

    def __init__(
        self,
        parameters: dict[str, Any],
        namespace: str,
        outputs: tuple[str, ...] = tuple(OUTPUTS),
        remaps: tuple[str, ...] = (),
    ):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        super().__init__(
            lambda context: depth_node.DepthNode(
                context=context,
                namespace=namespace,
                parameter_overrides=overrides,
                cli_args=["--ros-args", *(word for remap in remaps for word in ("-r", remap))],
            ),
            namespace,
        )
        for topic in outputs:
            self.listen(topic)
        self.start()
        self._stamp_ns = time.time_ns()

    def listen(self, topic: str, msg_type: type | None = None) -> Any:
        """Collect the messages of a topic in `received`; return the subscription."""
        received = self.received[topic]
        return self.probe.create_subscription(msg_type or OUTPUTS[topic], topic, received.append, 10)

    def silence(self, endpoint: Any) -> None:
        """Destroy a subscription or publisher of the probe, in the executor's thread, as rclpy wants it."""
        is_publisher = endpoint in list(self.probe.publishers)
        destroy = self.probe.destroy_publisher if is_publisher else self.probe.destroy_subscription
        task = self._executor.create_task(destroy, endpoint)
        self.wait(task.done, what="the executor does not turn")

    def new_stamp_ns(self) -> int:
        """Return a stamp that no frame had."""
        self._stamp_ns = max(self._stamp_ns + 1, time.time_ns())
        return self._stamp_ns

    def wait(
        self, condition: Callable[[], Any], send: Callable[[], Any] = lambda: None, what: str = ""
    ) -> Any:
        """Wait for a condition, sending every 0.1 s; return its value."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            send()
            pause = time.monotonic() + 0.1
            while time.monotonic() < pause:
                if value := condition():
                    return value
                time.sleep(0.005)
        raise AssertionError(
            f"{what or 'nothing'} within {DEADLINE_S} s; state: {self.newest_status('depth')}"
        )

    def received_at(self, topic: str, stamps_ns: set[int]) -> Any:
        """Return the last message of a topic with one of these stamps."""
        return next(
            (m for m in reversed(self.received[topic]) if stamp_to_ns(m.header.stamp) in stamps_ns), None
        )

    def status(self, camera: str = "depth") -> dict[str, str]:
        """Wait for diagnostics; return the newest values of a camera, with `level` and `message`."""
        return self.wait(lambda: self.newest_status(camera), what="no diagnostics")

    def warnings(self) -> list[str]:
        """Return what the node warned of so far."""
        name = self.node.get_logger().name
        return [log.msg for log in self.received["/rosout"] if log.name == name and log.level == WARN]

    def call(self, service_type: Any, name: str, request: Any, send: Callable[[], Any] = lambda: None) -> Any:
        """Call a service of the node and wait for the response, sending meanwhile."""
        client = self.probe.create_client(service_type, f"{self.node.get_fully_qualified_name()}/{name}")
        try:
            assert client.wait_for_service(DEADLINE_S), f"no service {name}"
            future = client.call_async(request)
            return self.wait(lambda: future.result() if future.done() else None, send, f"no answer of {name}")
        finally:
            self.probe.destroy_client(client)

    def set_parameters(self, **values: Any) -> Any:
        """Set parameters one by one, over DDS; return the results."""
        request = SetParameters.Request()
        request.parameters = [
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        return self.call(SetParameters, "set_parameters", request).results

    def set_together(self, **values: Any) -> Any:
        """Set parameters as one set, over DDS; return the result."""
        request = SetParametersAtomically.Request()
        request.parameters = [
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        return self.call(SetParametersAtomically, "set_parameters_atomically", request).result

    def transit(self, transition: str | int) -> bool:
        """Ask for a transition of the life cycle, by label or number; return whether it succeeded."""
        by = {"label": transition} if isinstance(transition, str) else {"id": transition}
        request = ChangeState.Request(transition=Transition(**by))
        return self.call(ChangeState, "change_state", request).success

    def state(self) -> str:
        """Return the state of the life cycle."""
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def send(self, images: dict[str, Any], infos: dict[str, CameraInfo]) -> int:
        """Publish camera_info and images under one new stamp; return the stamp."""
        stamp_ns = self.new_stamp_ns()
        for topic, msg in (infos | images).items():
            msg.header.stamp = ns_to_stamp(stamp_ns)
            self.publish(topic, msg)
        return stamp_ns

    def expect(self, output: str, images: dict[str, Any], infos: dict[str, CameraInfo]) -> Any:
        """Send frames until one comes out at `output`; return that message."""
        stamps: set[int] = set()
        return self.wait(
            lambda: self.received_at(output, stamps),
            lambda: stamps.add(self.send(images, infos)),
            f"no message on {output}",
        )


class Scene:
    """A small stereo camera and what it sees; H != W, unequal principal points."""

    width, height = 64, 48
    rig = StereoRig.simple(64, 48, fx=50.0, baseline_m=0.1, cx=30.0, cy=25.0, doffs_px=0.5)
    camera = PinholeCamera.simple(64, 48, fx=50.0, cx=30.0, cy=25.0)

    def picture(self, seed: int) -> np.ndarray:
        """Return smooth colours, (H, W, 3) uint8 RGB, that differ between channels and seeds."""
        v, u = np.mgrid[: self.height, : self.width]
        return np.stack([u * 3 + seed, v * 4, 200 - u - v], axis=-1).astype(np.uint8)

    def infos(self) -> dict[str, CameraInfo]:
        sides = (("left", self.rig.left), ("right", self.rig.right))
        return {f"{side}/camera_info": camera_to_info(cam, 0, f"{side}_optical") for side, cam in sides}

    def images(self, encoding: str = "rgb8", name: str = "image_rect") -> dict[str, Image]:
        return {
            f"{side}/{name}": self._image(self.picture(seed), f"{side}_optical", encoding)
            for side, seed in (("left", 0), ("right", 7))
        }

    def _image(self, pixels: np.ndarray, frame_id: str, encoding: str) -> Image:
        if encoding.startswith("mono"):
            pixels = pixels[..., 0]
        return image_to_msg(pixels, 0, frame_id, encoding)


@pytest.fixture
def held_opening(monkeypatch):
    """Make opening a model wait; called with its name, it returns (begun, go on)."""

    def hold(model: str) -> tuple[threading.Event, threading.Event]:
        begun, go_on = threading.Event(), threading.Event()
        original = Estimator.open.__func__

        def slow(cls, config, **kwargs):
            if config.model == model:
                begun.set()
                assert go_on.wait(30)
            return original(cls, config, **kwargs)

        monkeypatch.setattr(Estimator, "open", classmethod(slow))
        return begun, go_on

    return hold


@pytest.fixture(scope="session")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def make_bench() -> Iterator[Callable[..., Bench]]:
    """Make benches that live as long as the module; diagnostics come ten times a second."""
    benches: list[Bench] = []
    period_s, depth_node.DIAGNOSTICS_PERIOD_S = depth_node.DIAGNOSTICS_PERIOD_S, 0.1

    def make(parameters: dict[str, Any], namespace: str, **kwargs: Any) -> Bench:
        benches.append(Bench(parameters, namespace, **kwargs))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()
    depth_node.DIAGNOSTICS_PERIOD_S = period_s
