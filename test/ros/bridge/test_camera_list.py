"""The YAML that lists the cameras of a robot."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon3d_ros.errors import ConfigError, DataError
from recon3d_ros.ros.bridge.camera_list import NodePlan, read_camera_list

SHIPPED = Path(__file__).resolve().parents[3] / "config" / "cameras" / "two_pairs.yaml"


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{cameras: {}}", "at least one camera"),
        ("[front, rear]", "mapping cameras:"),
        ("{cameras: {front: {}}, camera: x}", "camera, which means nothing"),
        ("{cameras: {front: {}}, parameters: {max_depth: 3.0}}", "max_depth, which is no parameter"),
        ("{cameras: {front: {}}, parameters: {max_depth_m: -3.0}}", "max_depth_m must be at least 0"),
        ("{cameras: {front: {}}, parameters: {cameras: [rear]}}", "cameras, which is no parameter to be set"),
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
