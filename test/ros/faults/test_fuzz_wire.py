"""What comes over DDS without a publisher of ROS behind it: changed bytes of messages, and wrong requests.

RECON3D_FUZZ of each for each node, a few hundred unless it says more; RECON3D_FUZZ_SEED is the first seed.
"""

from __future__ import annotations

import math
import os
import random
import time
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, LaserScan, PointCloud2, PointField, Range
from std_srvs.srv import Trigger

from recon3d_ros.ros.bench.soak import process_sample
from recon3d_ros.ros.bridge.conversions import camera_to_info, compressed_to_msg, image_to_msg, ns_to_stamp
from test.fuzz_child import changed_message

MESSAGES = int(os.environ.get("RECON3D_FUZZ", "300"))
FIRST = int(os.environ.get("RECON3D_FUZZ_SEED", "0"))
GROWTH_MB = 150

# Between two messages: the node has a queue of 2, and what is dropped there is not tried.
PAUSE_S = 0.003
POSES = "['points 0 0 0 0 0 0', 'scan 0 0 0 0 0 0', 'range 0 0 0 0 0 0', 'depth_image 0 0 0 0 0 0']"
NODES: dict[str, dict[str, Any]] = {
    "stereo": {},
    "compressed": {"mode": "mono", "model": "fake_mono", "image_transport": "compressed"},
    "scaled": {
        "mode": "mono",
        "model": "fake_mono",
        "scale_sources": "[fixed, range, scan, points, depth_image]",
        "scale_poses": POSES,
    },
}


@pytest.mark.timeout(150 + MESSAGES / 10)
@pytest.mark.parametrize("kind", NODES)
def test_a_node_lives_through_bytes_that_are_no_message(kind, make_robot, scene):
    robot = make_robot(**NODES[kind])
    good, messages = _messages(kind, scene)
    robot.expect_cloud(*good, "before")
    before_mb = process_sample(robot.node.pid, 0)["rss_mb"]
    for topic, msg in messages.items():
        robot.publish(topic, msg)
        robot.wait(lambda topic=topic: robot.heard_by(topic), f"{topic} is not heard")
    for seed in range(FIRST, FIRST + MESSAGES):
        topic = random.Random(-seed).choice(list(messages))
        stamp = ns_to_stamp(time.time_ns())
        messages[topic].header.stamp = stamp
        robot.publish(topic, changed_message(serialize_message(messages[topic]), seed))
        time.sleep(PAUSE_S)
        if seed % 50 == 49:
            robot.expect_cloud(*good, f"after seed {seed}")
    robot.expect_cloud(*good, "after all")
    assert int(robot.status()[2]["dropped_internal"]) == 0, robot.said()[-3000:]
    assert process_sample(robot.node.pid, 0)["rss_mb"] < before_mb + GROWTH_MB
    assert "Traceback" not in robot.said()


def _messages(kind: str, scene: Any) -> tuple[Any, dict[str, Any]]:
    """(images, infos, picture) that are right, and a message for each topic."""
    picture = scene.picture(0)
    if kind == "stereo":
        return (scene.images(), scene.infos(), picture), {**scene.images(), **scene.infos()}
    info = {"camera_info": camera_to_info(scene.camera, 0, "optical")}
    shown: dict[str, Any] = {"image": image_to_msg(picture, 0, "optical", "rgb8")}
    if kind == "compressed":
        shown = {"image/compressed": compressed_to_msg(picture, 0, "optical", "jpeg")}
        # JPEG loses a little: the picture that is right is sent as PNG.
        right = {"image/compressed": compressed_to_msg(picture, 0, "optical", "png")}
        return (right, info, picture), {**shown, **info}
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate("xyz")
    ]
    points = np.random.default_rng(0).uniform(1, 5, (50, 3)).astype(np.float32)
    cloud = PointCloud2(height=1, width=50, fields=fields, point_step=12, row_step=600, is_dense=True)
    cloud.data = points.tobytes()
    scan = LaserScan(angle_min=-1.0, angle_max=1.0, angle_increment=0.02, range_max=10.0, ranges=[2.0] * 100)
    depth = Image(height=4, width=6, encoding="16UC1", step=12, data=bytes(48))
    distance = Range(field_of_view=0.1, min_range=0.1, max_range=9.0, range=2.0)
    sensors = {"points": cloud, "scan": scan, "depth/image": depth, "range": distance}
    sensors = {f"scale/{name}": msg for name, msg in sensors.items()}
    for msg in sensors.values():
        msg.header.frame_id = "sensor"
    return (shown, info, picture), {
        **shown,
        **info,
        **sensors,
        "scale/depth/camera_info": info["camera_info"],
    }


# --- requests --------------------------------------------------------------------------------------------

TEXTS = (
    "",
    " ",
    "a" * 100_000,
    "../../etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "\x1b[2J",
    "ÿ\u202e",
    "[",
    "nan",
)
TRANSITIONS = (0, 1, 2, 3, 4, 9, 60, 99, 255)  # none that ends the node for good


class Requests:
    """Wrong requests for the services of a node, by seed."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def of(self, seed: int) -> tuple[type, str, Any]:
        """Type, name and request."""
        rng = random.Random(seed)
        kind = rng.choice((SetParameters, SetParametersAtomically, "names", ListParameters, ChangeState))
        if kind in (SetParameters, SetParametersAtomically):
            name = "set_parameters" if kind is SetParameters else "set_parameters_atomically"
            parameters = [self._parameter(rng) for _ in range(rng.choice((0, 1, 1, 1, 3)))]
            return kind, name, kind.Request(parameters=parameters)
        if kind is ListParameters:
            prefixes = [self._name(rng) for _ in range(rng.randrange(3))]
            return kind, "list_parameters", kind.Request(prefixes=prefixes, depth=rng.getrandbits(64))
        if kind is ChangeState:
            label = rng.choice(("configure", "deactivate", *TEXTS)) if rng.random() < 0.3 else ""
            transition = Transition(id=rng.choice(TRANSITIONS), label=label)
            return kind, "change_state", kind.Request(transition=transition)
        service, name = rng.choice(
            (
                (GetParameters, "get_parameters"),
                (GetParameterTypes, "get_parameter_types"),
                (DescribeParameters, "describe_parameters"),
            )
        )
        return service, name, service.Request(names=[self._name(rng) for _ in range(rng.randrange(4))])

    def _name(self, rng: random.Random) -> str:
        return rng.choice((rng.choice(self._names), rng.choice(self._names), rng.choice(TEXTS)))

    def _parameter(self, rng: random.Random) -> Parameter:
        """A value of any type, or of a type that there is not."""
        number = rng.choice((0.0, -1.0, 1.0, 0.5, math.nan, math.inf, -math.inf, 1e308, 5e-324, 2.0**62))
        whole = rng.choice((0, -1, 1, 2**63 - 1, -(2**63), 640))
        value = ParameterValue(
            type=rng.choice((*range(10), 10, 127, 255)),
            bool_value=rng.random() < 0.5,
            integer_value=whole,
            double_value=number,
            string_value=rng.choice(TEXTS),
            byte_array_value=[b"\xff"] * rng.randrange(3),
            bool_array_value=[True] * rng.randrange(3),
            integer_array_value=[whole] * rng.randrange(3),
            double_array_value=[number] * rng.randrange(3),
            string_array_value=[rng.choice(TEXTS) for _ in range(rng.randrange(3))],
        )
        return Parameter(name=self._name(rng), value=value)


@pytest.mark.timeout(300 + MESSAGES)
def test_a_node_answers_wrong_requests_and_serves_on(make_robot, scene, tmp_path):
    robot = make_robot(save_folder=tmp_path)
    good = scene.images(), scene.infos(), scene.picture(0)
    robot.expect_cloud(*good, "before")
    names = sorted(call(robot, ListParameters, "list_parameters", ListParameters.Request()).result.names)
    kept = call(robot, GetParameters, "get_parameters", GetParameters.Request(names=names)).values
    requests = Requests(names)
    for seed in range(FIRST, FIRST + MESSAGES):
        call(robot, *requests.of(seed), what=f"seed {seed}")
    call(robot, Trigger, "save", Trigger.Request())
    _restore(robot, names, kept)
    robot.expect_cloud(*good, "after")
    assert "Traceback" not in robot.said()
    assert max(map(len, robot.said().splitlines())) < 1100
    assert len(robot.said().splitlines()) < 100 + MESSAGES


def call(robot: Any, service: type, name: str, request: Any, what: str = "") -> Any:
    """Call a service of the node; it must answer."""
    client = robot.probe.create_client(service, f"depth_node/{name}")
    try:
        robot.wait(client.service_is_ready, f"no service {name}")
        future = client.call_async(request)
        return robot.wait(lambda: future.result() if future.done() else None, f"no answer of {name}, {what}")
    finally:
        robot.probe.destroy_client(client)


def _restore(robot: Any, names: list[str], values: list[Any]) -> None:
    """Inactive, with the parameters of before, and active again."""
    state = call(robot, GetState, "get_state", GetState.Request()).current_state.id
    for transition in {1: (), 2: (2,), 3: (4, 2)}[state]:  # unconfigured, inactive, active
        request = ChangeState.Request(transition=Transition(id=transition))
        assert call(robot, ChangeState, "change_state", request).success
    known = [
        Parameter(name=name, value=value)
        for name, value in zip(names, values)
        if value.type != ParameterType.PARAMETER_NOT_SET and not name.startswith("qos_overrides")
    ]
    for parameter in known:
        call(robot, SetParameters, "set_parameters", SetParameters.Request(parameters=[parameter]))
    for transition in (1, 3):
        request = ChangeState.Request(transition=Transition(id=transition))
        assert call(robot, ChangeState, "change_state", request).success
