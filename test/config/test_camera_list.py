"""The YAML that lists the cameras of a robot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from recon3d_ros.config.camera_list import REFUSED, NodePlan, read_camera_list
from recon3d_ros.config.parameters import DEPTH_NODE, parameters
from recon3d_ros.errors import ConfigError, DataError

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "cameras" / "two_pairs.yaml"


def read(tmp_path, text):
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    return read_camera_list(path)


def test_the_shipped_list_is_one_node_for_all():
    (plan,) = read_camera_list(SHIPPED)
    assert plan == NodePlan("", {"max_depth_m": 10.0, "cameras": ["front", "rear"]})


def test_a_node_each_with_parameters_of_its_own(tmp_path):
    plans = read(
        tmp_path,
        "{one_process: false, parameters: {mode: mono, border_px: 2}, cameras: {a: , b: {border_px: 5}}}",
    )
    assert plans == [
        NodePlan("a", {"mode": "mono", "border_px": 2}),
        NodePlan("b", {"mode": "mono", "border_px": 5}),
    ]


def another_value(spec):
    """A valid value of an option that is not its default."""
    samples = {
        "scale_sources": ["floor", "range"],
        "scale_poses": ["range 0 0 0 0 0 0"],
        "engine_sizes": ["640x480"],
        "cameras": ["front"],
        "object_box": "10,20,30,40",
    }
    if spec.name in samples:
        return samples[spec.name]
    if spec.choices:
        return next(choice for choice in spec.choices if choice != spec.default)
    if spec.type is bool:
        return not spec.default
    if spec.type is str:
        return "word"
    assert spec.type in (int, float), f"add a sample of {spec.name}"
    step = 1 if spec.type is int else 0.01
    return spec.default + step if spec.maximum is None or spec.default < spec.maximum else spec.minimum


@pytest.mark.parametrize("name", parameters(DEPTH_NODE))
@pytest.mark.parametrize("one_process", [True, False])
def test_every_parameter_of_the_node_is_taken_or_refused_with_the_reason(tmp_path, name, one_process):
    value = another_value(parameters(DEPTH_NODE)[name])
    text = yaml.safe_dump({"one_process": one_process, "parameters": {name: value}, "cameras": {"front": {}}})
    if name in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[name]):
            read(tmp_path, text)
        return
    (plan,) = read(tmp_path, text)
    assert plan.parameters[name] == value


def test_values_are_checked_as_each_node_gets_them(tmp_path):
    """What is common and what is a camera's own make one set: alone either would contradict a default."""
    text = "{one_process: false, parameters: {max_depth_m: 60.0}, cameras: {a: , b: {min_depth_m: 30.0}}}"
    plans = read(tmp_path, text)
    assert plans[1] == NodePlan("b", {"max_depth_m": 60.0, "min_depth_m": 30.0})


def test_what_rclpy_itself_reads_is_passed_on(tmp_path):
    given = {"use_sim_time": True, "qos_overrides./points.publisher.depth": 5}
    (plan,) = read(tmp_path, yaml.safe_dump({"parameters": given, "cameras": {"front": {}}}))
    assert given.items() <= plan.parameters.items()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{cameras: {}}", "at least one camera"),
        ("[front, rear]", "mapping cameras:"),
        ("{cameras: {front: {}}, camera: x}", "camera, which means nothing"),
        ("{cameras: {front: {}}, parameters: {max_depth: 3.0}}", "max_depth, which is no parameter"),
        ("{cameras: {front: {}}, parameters: {max_depth_m: -3.0}}", "max_depth_m must be at least 0"),
        ("{cameras: {front: {}}, parameters: {cameras: [rear]}}", "cameras, which is no parameter to be set"),
        ("{cameras: {front: {}}, parameters: {scale_source: [floor]}}", "did you mean scale_sources?"),
        ("{cameras: {front: {}}, parameters: {scale_sources: [sonar]}}", "scale_sources must be of fixed"),
        (
            "{one_process: false, parameters: {min_depth_m: 5.0}, cameras: {a: , b: {max_depth_m: 4.0}}}",
            "parameters of b in",
        ),
        ("{cameras: {/front: {}}}", "no leading or trailing slash"),
        ("{cameras: {front: {border_px: 2}}}", "set one_process: false"),
        ("{one_process: false, cameras: {front: [1]}}", "parameters by name below cameras: front"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"no_list\.yaml"):
        read_camera_list(tmp_path / "no_list.yaml")


def test_a_pipe_and_a_parameter_twice(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "twice").write_text("cameras: {front: }\nparameters: {model: a, model: b}\n")
    for name, why in (("pipe", "regular file"), ("twice", "line 2: the key model twice")):
        with pytest.raises(DataError, match=why):
            read_camera_list(tmp_path / name)
