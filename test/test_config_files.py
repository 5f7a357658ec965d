"""What config/ says: keys that exist, values that differ from the defaults, topics that are ours."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from recon3d_ros.config import options
from recon3d_ros.config.parameters import NODES

CONFIG = Path(__file__).resolve().parents[1] / "config"
OURS = {"/points", "/depth/preview", "/left/image_rect", "/confidence"}
OF_THE_MAP = {"/map/mesh": "Marker", "/map/grid": "Map"}  # reliable, and in the namespace of the map node
# Held by test/ros/test_consumers.py and test/model_zoo.
OF_OTHERS = {
    "consumers.yaml",
    "nav2_voxel_layer.yaml",
    "nav2_labels_layer.yaml",
    "nav2_map_layer.yaml",
    "model_templates.yaml",
}
SEGMENT = 128 << 20
XML_NAMES = {"": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}


def parameter_files():
    return sorted(path for path in CONFIG.glob("*.yaml") if path.name not in OF_OTHERS)


def test_there_are_parameter_files():
    assert {path.name for path in parameter_files()} >= {"mono.yaml", "demo.yaml"}


@pytest.mark.parametrize("path", parameter_files(), ids=lambda path: path.name)
def test_every_parameter_is_declared_and_differs_from_its_default(path):
    document = yaml.safe_load(path.read_text())
    assert document.keys() == {"/**"}  # whatever the namespace
    for node, content in document["/**"].items():
        assert content.keys() == {"ros__parameters"}
        given = dict(content["ros__parameters"])
        for config in NODES[node]:
            known = {spec.name: spec for spec in options(config)}
            values = {name: given.pop(name) for name in list(given) if name in known}
            config(**values)  # in its limits, and no two contradict each other
            for name, value in values.items():
                spec = known[name]
                assert type(value) is spec.type, f"{name} is a {spec.type.__name__}"  # rcl is strict
                assert value != spec.default, f"{name} is the default already"
        assert not given, f"no parameters of {node}: {', '.join(given)}"


def test_the_profile_is_what_its_comment_says():
    path = CONFIG / "fastdds.xml"
    root = ET.parse(path).getroot()
    transports = {
        item.findtext("transport_id", namespaces=XML_NAMES): item.findtext("type", namespaces=XML_NAMES)
        for item in root.iterfind("transport_descriptors/transport_descriptor", XML_NAMES)
    }
    assert sorted(transports.values()) == ["SHM", "UDPv4"]
    sizes = [int(item.text) for item in root.iterfind(".//segment_size", XML_NAMES)]
    assert sizes == [SEGMENT] and f"({SEGMENT} bytes)" in path.read_text()
    (participant,) = root.iterfind("participant", XML_NAMES)
    assert participant.get("is_default_profile") == "true"  # ROS asks for no profile by name
    used = {item.text for item in participant.iterfind(".//userTransports/transport_id", XML_NAMES)}
    assert used == set(transports)


def test_rviz_shows_our_topics():
    displays = yaml.safe_load((CONFIG / "recon3d.rviz").read_text())["Visualization Manager"]["Displays"]
    kinds = {item["Topic"]["Value"]: item["Class"].rpartition("/")[2] for item in displays if "Topic" in item}
    assert set(kinds) == OURS | set(OF_THE_MAP) and OF_THE_MAP.items() <= kinds.items()
    shown = {item["Name"]: item for item in displays if "Topic" in item and item["Topic"]["Value"] in OURS}
    cloud, labels = shown["Cloud"], shown["Labels"]
    assert (cloud["Topic"]["Value"], cloud["Color Transformer"]) == ("/points", "RGB8")
    assert (labels["Topic"]["Value"], labels["Channel Name"], labels["Enabled"]) == (
        "/points",
        "label",
        False,
    )
    # a subscriber that asks for reliable would not hear best-effort publishers
    assert {item["Topic"]["Reliability Policy"] for item in shown.values()} == {"Best Effort"}


def test_rviz_and_nav2_take_the_map():
    pytest.importorskip("rclpy")
    from recon3d_ros.config.mapper import MapNodeConfig
    from recon3d_ros.ros.mapper.map_outputs import GRID, MESH, TYPES

    displays = yaml.safe_load((CONFIG / "mapping.rviz").read_text())["Visualization Manager"]["Displays"]
    shown = {item["Topic"]["Value"].removeprefix("/"): item["Topic"] for item in displays if "Topic" in item}
    assert shown.keys() == TYPES.keys()
    durable = {name: topic["Durability Policy"] == "Transient Local" for name, topic in shown.items()}
    assert durable == {name: name != MESH for name in TYPES}
    layers = yaml.safe_load((CONFIG / "nav2_map_layer.yaml").read_text())
    costmap = layers["global_costmap"]["global_costmap"]["ros__parameters"]
    assert costmap["static_layer"]["map_topic"] == f"/{GRID}"
    assert costmap["static_layer"]["map_subscribe_transient_local"] is True
    assert costmap["global_frame"] == MapNodeConfig().map_frame


def test_foxglove_shows_our_topics():
    pytest.importorskip("rclpy")
    from recon3d_ros.ros.output.outputs import TYPES

    panels = json.loads((CONFIG / "foxglove.json").read_text())["configById"]
    clouds = set(panels["3D!cloud"]["topics"]) - set(OF_THE_MAP)
    assert set(OF_THE_MAP) <= set(panels["3D!cloud"]["topics"])
    images = {panel["imageMode"]["imageTopic"] for name, panel in panels.items() if name.startswith("Image!")}
    outputs = {f"/{name}" for name in TYPES}
    assert clouds <= outputs and images - outputs == {"/left/image_rect"}
    assert panels["3D!cloud"]["topics"]["/points"]["visible"]


def test_the_launch_file_remaps_what_rviz_shows():
    text = (CONFIG.parent / "launch" / "depth.launch.py").read_text()
    listed = re.search(r"^SHOWN = \((.*)\)$", text, re.MULTILINE)
    assert set(re.findall(r'"([^"]+)"', listed[1])) == OURS | set(OF_THE_MAP)
