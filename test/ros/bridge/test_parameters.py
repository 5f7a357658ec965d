"""Configuration dataclasses as ROS parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import rclpy
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter

from recon3d_ros.config import Config, option
from recon3d_ros.errors import ConfigError, DataError
from recon3d_ros.ros.bridge import parameters as bridge_parameters
from recon3d_ros.ros.bridge.parameters import LiveParameters, declare
from recon3d_ros.ros.node.depth_node import DepthNode
from recon3d_ros.ros.player.image_source import ImageSource


@dataclass(frozen=True)
class Limits(Config):
    low_m: float = option(1.0, "lower limit", unit="m", minimum=0.0)
    high_m: float = option(9.0, "upper limit", unit="m", minimum=0.0, maximum=100.0)
    count: int = option(3, "how many", minimum=1)
    kind: str = option("a", "which", choices=("a", "b"), read_only=True)
    on: bool = option(True, "whether")
    names: tuple[str, ...] = option((), "some words", read_only=True)

    def validate(self):
        if self.low_m >= self.high_m:
            raise ConfigError("low_m must be less than high_m")


@pytest.fixture(scope="module")
def context():
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def make_node(context):
    nodes = []

    def make(**values):
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        nodes.append(Node("parameters", context=context, parameter_overrides=overrides))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def test_defaults_and_overrides(make_node):
    assert declare(make_node(), Limits) == Limits()
    given = {"low_m": 2, "high_m": 7.5, "count": 4, "kind": "b", "on": False, "names": ["x", "y"]}
    config = declare(make_node(**given), Limits)
    assert config == Limits(**given) and isinstance(config.low_m, float)
    assert config.names == ("x", "y")


@pytest.mark.parametrize("source", ["flag", "file"])
def test_an_empty_list_has_no_type_and_means_none(context, tmp_path, source):
    file = tmp_path / "empty.yaml"
    file.write_text("/**:\n  ros__parameters:\n    names: []\n")
    words = {"flag": ["-p", "names:=[]"], "file": ["--params-file", str(file)]}[source]
    node = Node("parameters", context=context, cli_args=["--ros-args", *words])
    try:
        assert declare(node, Limits).names == ()
        assert node.get_parameter("names").value == []
    finally:
        node.destroy_node()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"high_m": 101.0}, "correct parameter high_m: upper limit"),
        ({"high_m": 101}, "high_m must be at least 0 and at most 100 m"),
        ({"low_m": -1.0}, "correct parameter low_m"),
        ({"low_m": "far"}, "low_m must be .*float"),
        ({"count": 0}, "correct parameter count"),
        ({"count": 1.5}, "correct parameter count"),
        ({"kind": "c"}, "kind must be one of a, b"),
        ({"on": 1}, "correct parameter on"),
        ({"names": "x"}, "names must be a list of words"),
        ({"low_m": 9.0}, "low_m must be less than high_m"),
    ],
)
def test_wrong_values_at_start(make_node, values, words):
    with pytest.raises(ConfigError, match=words):
        declare(make_node(**values), Limits)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (DepthNode, ["autostart:=false", "max_dept_m:=3.0"]),
        (ImageSource, ["world_frames:=1", "width:=64", "height:=48", "loup:=true"]),
    ],
)
def test_what_a_node_does_not_have_is_warned_of_with_the_nearest_name(context, capfd, make, words):
    of_ros = ["use_sim_time:=true", "qos_overrides./points.publisher.depth:=3"]
    flags = [flag for word in (*words, *of_ros, "foo:=1") for flag in ("-p", word)]
    make(context=context, cli_args=["--ros-args", *flags]).destroy_node()
    warned = [line for line in capfd.readouterr().err.splitlines() if "WARN" in line]
    near, unknown = sorted(warned, key=lambda line: "foo" in line)
    given = words[-1].partition(":=")[0]
    assert f"got {given}, " in near
    assert f"did you mean {'max_depth_m' if make is DepthNode else 'loop'}?" in near
    assert "got foo, " in unknown and "docs/parameters.md lists them" in unknown


TYPES = {
    "low_m": ParameterType.PARAMETER_DOUBLE,
    "high_m": ParameterType.PARAMETER_DOUBLE,
    "count": ParameterType.PARAMETER_INTEGER,
    "kind": ParameterType.PARAMETER_STRING,
    "on": ParameterType.PARAMETER_BOOL,
    "names": ParameterType.PARAMETER_STRING_ARRAY,
    "words": ParameterType.PARAMETER_STRING_ARRAY,
}


@dataclass(frozen=True)
class Words(Config):
    words: tuple[str, ...] = option((), "words that can be set")


def types_of(node):
    return {name: node.describe_parameter(name).type for name in TYPES}


@pytest.mark.parametrize("given", [{}, {"low_m": 2, "high_m": 7.5, "names": ["x"], "words": ["y", "z"]}])
def test_descriptors_tell_the_types_and_limits_that_hold(make_node, given):
    node = make_node(**given)
    LiveParameters(node, (Limits, Words), lambda new, before: lambda: None)
    assert types_of(node) == TYPES
    assert {name: node.get_parameter(name).type_.value for name in TYPES} == TYPES
    assert not any(node.describe_parameter(name).dynamic_typing for name in TYPES)
    (low,) = node.describe_parameter("low_m").floating_point_range
    assert (low.from_value, low.to_value) == (0.0, math.inf)
    assert node.describe_parameter("names").read_only and not node.describe_parameter("words").read_only


def services(node):
    """Set as `ros2 param set` does: through the messages of the service."""
    return lambda **values: (
        node._parameter_service._set_parameters_atomically_callback(
            SetParametersAtomically.Request(
                parameters=[ParameterMessage(name=name, value=value) for name, value in values.items()]
            ),
            SetParametersAtomically.Response(),
        ).result
    )


INTEGER = ParameterType.PARAMETER_INTEGER


@pytest.mark.parametrize("can_correct", [True, False])
def test_a_whole_number_and_an_empty_list_keep_the_type(make_node, monkeypatch, can_correct):
    monkeypatch.setattr(bridge_parameters, "_CAN_CORRECT_TYPES", can_correct)  # False: as on Humble
    node = make_node(words=["a"])
    live = LiveParameters(node, (Limits, Words), lambda new, before: lambda: None)
    change = services(node)
    assert change(high_m=ParameterValue(type=INTEGER, integer_value=20)).successful
    assert live.current[Limits].high_m == 20.0 and isinstance(live.current[Limits].high_m, float)
    assert change(
        words=ParameterValue(type=ParameterType.PARAMETER_BOOL_ARRAY)
    ).successful  # [] of ros2 param
    assert live.current[Words].words == ()
    assert live.set({"words": ("b", "c")}).successful and live.current[Words].words == ("b", "c")
    assert live.set({"words": (), "high_m": 30}).successful
    assert types_of(node) == TYPES and node.get_parameter("high_m").value == 30.0


@pytest.mark.parametrize(
    "value",
    [
        ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="far"),
        ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True),
        ParameterValue(type=INTEGER, integer_value=101),
        ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=math.inf),
        ParameterValue(),
    ],
)
def test_a_value_of_another_type_or_beyond_the_limits_is_refused(make_node, value):
    node = make_node()
    live = LiveParameters(node, (Limits, Words), lambda new, before: lambda: None)
    result = services(node)(high_m=value)
    assert not result.successful and result.reason
    assert live.current[Limits] == Limits() and types_of(node) == TYPES


def test_a_path_stays_as_it_was_given(make_node):
    node = make_node(path="~/file")
    assert declare(node, Home).path == str(Path("~/file").expanduser())
    assert node.get_parameter("path").value == "~/file"


@dataclass(frozen=True)
class Home(Config):
    path: str = option("", "a path", path=True)


def setter(node):
    return lambda **values: node.set_parameters_atomically([Parameter(n, value=v) for n, v in values.items()])


def test_changes_are_checked_together_and_applied_once(make_node):
    node, applied = make_node(), []

    def prepare(new, before):
        assert before[Limits] != new[Limits]
        return lambda: applied.append(new[Limits])

    live = LiveParameters(node, (Limits,), prepare)
    change = setter(node)
    assert not change(low_m=20.0).successful
    assert applied == []
    assert change(low_m=20.0, high_m=30.0).successful
    assert change(on=True).successful  # as it was
    assert applied == [Limits(low_m=20.0, high_m=30.0)] == [live.current[Limits]]
    assert not change(kind="b").successful
    assert not change(count=0).successful
    assert node.get_parameter("count").value == 3
    assert live.current.values() == {
        "low_m": 20.0,
        "high_m": 30.0,
        "count": 3,
        "kind": "a",
        "on": True,
        "names": (),
    }


@dataclass(frozen=True)
class File(Config):
    path: str = option("", "a file")


def test_nothing_is_applied_when_one_of_several_configurations_cannot_be_prepared(make_node):
    node, applied = make_node(), []

    def prepare(new, before):
        if new[File].path:
            raise DataError("no such file: give another one")
        return lambda: applied.append(new.difference(before))

    live = LiveParameters(node, (Limits, File), prepare)
    result = setter(node)(on=False, path="/nowhere")
    assert (result.successful, result.reason) == (False, "no such file: give another one")
    assert applied == [] and live.current[Limits].on and node.get_parameter("on").value is True
    assert setter(node)(on=False).successful and not live.current[Limits].on
    assert applied == [{"on": False}]


@pytest.mark.parametrize("when", ["prepare", "apply"])
def test_a_bug_refuses_the_change_and_does_not_leave_the_callback(make_node, when):
    node = make_node()

    def fails():
        raise KeyError("forgotten")

    def prepare(new, before):
        return fails() if when == "prepare" else fails

    live = LiveParameters(node, (Limits,), prepare)
    result = setter(node)(on=False)
    assert (result.successful, result.reason) == (False, "KeyError: 'forgotten'")
    assert live.current[Limits].on and node.get_parameter("on").value is True
