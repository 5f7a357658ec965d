"""Parameters that change while the node runs, over DDS; another model: test_model_switch."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter

from recon3d_ros.config.parameters import DEPTH_NODE, parameters
from recon3d_ros.ros.bridge.conversions import cloud_from_msg, depth_from_msg

DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def bench(make_bench):
    return make_bench({"model": "fake_stereo"}, "/live")


def test_depth_limits_follow_the_parameters(bench, scene):
    full = depth_from_msg(bench.expect("depth/image", scene.images(), scene.infos()))
    limit = float(np.median(full[np.isfinite(full)]))
    assert bench.set_parameters(max_depth_m=limit)[0].successful

    def cut():
        depth = depth_from_msg(bench.received["depth/image"][-1])
        return np.array_equal(
            depth, np.where(full > np.float32(limit), np.float32(np.inf), full), equal_nan=True
        )

    bench.wait(cut, lambda: bench.send(scene.images(), scene.infos()))
    assert bench.set_parameters(max_depth_m=4)[0].successful  # an integer will do
    request = DescribeParameters.Request(names=["max_depth_m"])
    (described,) = bench.call(DescribeParameters, "describe_parameters", request).descriptors
    assert described.type == ParameterType.PARAMETER_DOUBLE  # and it stays a double


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mode": "mono"}, "read-only"),
        ({"max_depth_m": -1.0}, "range"),
        ({"min_depth_m": 30.0}, "min_depth_m must be less than max_depth_m"),
    ],
)
def test_bad_parameter_changes_are_refused(bench, values, words):
    result = bench.set_parameters(**values)[0]
    assert not result.successful and words in result.reason


def test_parameters_are_described(bench):
    request = DescribeParameters.Request(names=["max_age_ms", "mode", "border_px"])
    age, mode, border = bench.call(DescribeParameters, "describe_parameters", request).descriptors
    assert age.description.endswith("[ms]") and age.floating_point_range[0].from_value == 0.0
    assert mode.read_only and mode.additional_constraints == "one of stereo, mono"
    assert (border.integer_range[0].from_value, border.integer_range[0].to_value) == (0, 1024)
    assert not border.read_only


def test_every_option_is_a_parameter_with_its_limits(bench):
    specs = list(parameters(DEPTH_NODE).values())
    request = DescribeParameters.Request(names=[spec.name for spec in specs])
    found = bench.call(DescribeParameters, "describe_parameters", request).descriptors
    for spec, descriptor in zip(specs, found, strict=True):
        assert spec.description in descriptor.description and descriptor.read_only == spec.read_only
        limited = spec.minimum is not None or spec.maximum is not None
        assert limited == bool(descriptor.integer_range or descriptor.floating_point_range), spec.name


def test_a_mask_that_cannot_be_read_is_refused_and_nothing_changes(bench, scene):
    before = cloud_from_msg(bench.expect("points", scene.images(), scene.infos()))
    result = bench.set_parameters(roi_mask="/no/such/mask.png")[0]
    assert not result.successful and "/no/such/mask.png" in result.reason
    after = cloud_from_msg(bench.expect("points", scene.images(), scene.infos()))
    np.testing.assert_array_equal(after.data, before.data)


def test_outputs_follow_the_parameters_without_a_new_connection(bench, scene):
    publishers = bench.probe.get_publishers_info_by_topic("/live/depth/image")
    assert bench.set_parameters(depth_encoding="16UC1")[0].successful
    bench.wait(
        lambda: bench.received["depth/image"][-1].encoding == "16UC1",
        lambda: bench.send(scene.images(), scene.infos()),
    )
    assert bench.set_parameters(depth_encoding="32FC1")[0].successful
    same = bench.probe.get_publishers_info_by_topic("/live/depth/image")
    assert [p.endpoint_gid for p in same] == [p.endpoint_gid for p in publishers]


def test_a_storm_of_parameters_costs_no_frame_and_leaves_nothing_behind(bench, scene):
    bench.expect("points", scene.images(), scene.infos())
    threads, before = threading.active_count(), bench.status()
    client = bench.probe.create_client(SetParameters, "/live/depth_node/set_parameters")
    assert client.wait_for_service(DEADLINE_S)
    values = [("max_depth_m", 2.0), ("border_px", 3), ("min_depth_m", 50.0), ("model", "no_such_model")]
    answers, sent = [], []
    for i in range(1000):
        name, value = values[i % len(values)]
        value = value + i % 7 if isinstance(value, float) else value
        parameter = Parameter(name, value=value).to_parameter_msg()
        answers.append((name, client.call_async(SetParameters.Request(parameters=[parameter]))))
        if i % 10 == 9:  # a service keeps ten requests
            bench.wait(lambda: all(future.done() for _, future in answers[-10:]), what="an answer")
        if i % 20 == 19:
            sent.append(bench.send(scene.images(), scene.infos()))
            bench.wait(lambda: bench.received_at("points", {sent[-1]}), what="a cloud in the storm")
    bench.probe.destroy_client(client)
    results = {name: {future.result().results[0].successful for n, future in answers if n == name}
               for name, _ in values}  # fmt: skip
    assert results == {"max_depth_m": {True}, "border_px": {True}, "min_depth_m": {False}, "model": {False}}
    after = bench.wait(
        lambda: bench.status() if bench.status()["frames_out"] != before["frames_out"] else None
    )
    assert after["dropped"] == before["dropped"] and threading.active_count() == threads
    assert bench.set_parameters(max_depth_m=20.0, border_px=0)[0].successful
    bench.expect("points", scene.images(), scene.infos())
