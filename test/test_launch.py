"""The launch files: their arguments are parameters that exist, and `launch` can make something of them."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
import yaml

from recon3d_ros.config.launch_arguments import OWN_NAMES
from recon3d_ros.config.parameters import DEPTH_NODE, IMAGE_SOURCE, MAP_NODE, parameters
from recon3d_ros.errors import Recon3dError

LAUNCH = Path(__file__).resolve().parents[1] / "launch"
NAMES = ("depth", "stereo", "mono", "demo", "multi_camera", "mapping")
FILES = sorted(LAUNCH.glob("*.launch.py"))
PARAMETERS = {
    ("depth.launch.py", "PARAMETERS"): DEPTH_NODE,
    ("demo.launch.py", "SOURCE"): IMAGE_SOURCE,
    ("mapping.launch.py", "SHARED"): MAP_NODE,
}


def is_started_again(context) -> bool:
    """Whether something waits for the end of a process."""
    from launch.event_handlers import OnProcessExit

    return any(isinstance(handler, OnProcessExit) for handler in context._event_handlers)


def constant(file: str, name: str):
    """The value of a constant of a launch file, which cannot be imported without launch."""
    for node in ast.parse((LAUNCH / file).read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"no {name} in {file}")


def test_the_launch_files_are_there():
    names = {path.name for path in FILES}
    assert names == {f"{name}.launch.py" for name in NAMES}


@pytest.mark.parametrize("file, name", PARAMETERS)
def test_arguments_for_parameters_name_parameters(file, name):
    assert set(constant(file, name)) <= {*parameters(PARAMETERS[file, name]), "use_sim_time"}


@pytest.fixture
def with_rviz(tmp_path, monkeypatch):
    """Have ament know rviz2, which nothing starts here."""
    packages = tmp_path / "share/ament_index/resource_index/packages"
    packages.mkdir(parents=True)
    (packages / "rviz2").touch()
    monkeypatch.setenv(
        "AMENT_PREFIX_PATH", os.pathsep.join([str(tmp_path), os.environ.get("AMENT_PREFIX_PATH", "")])
    )


@pytest.fixture
def launched():
    """Make the launch description of a file and visit it without starting a process."""
    pytest.importorskip("launch.actions", reason="launch is in no wheel; a ROS 2 workspace has it")
    pytest.importorskip("launch_ros", reason="launch_ros is in no wheel; a ROS 2 workspace has it")
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch_ros.actions import Node

    from launch import LaunchContext

    def visit(path: Path, **arguments: str):
        context = LaunchContext()
        context.launch_configurations.update(arguments)
        description = PythonLaunchDescriptionSource(str(path)).get_launch_description(context)
        nodes, waiting = [], list(description.entities)
        while waiting:
            entity = waiting.pop(0)
            if isinstance(entity, Node):
                if entity.condition is None or entity.condition.evaluate(context):
                    nodes.append(entity)
                continue
            waiting = [*(entity.visit(context) or ()), *waiting]
        return nodes, context

    return visit


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_is_described(launched, path):
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext

    description = PythonLaunchDescriptionSource(str(path)).get_launch_description(LaunchContext())
    arguments = {argument.name: argument.description for argument in description.get_launch_arguments()}
    common = {"depth_namespace", "depth_params_file", "use_sim_time", "depth_respawn", "log_level"}
    one_camera = {"depth_model", "depth_rectify", "depth_image_transport", "depth_autostart", "depth_rviz"}
    assert common | (set() if path.name.startswith("multi_camera") else one_camera) <= set(arguments)
    assert not set(OWN_NAMES) & set(arguments)
    assert all(arguments.values())


@pytest.mark.parametrize(
    "name, arguments, executables",
    [
        ("stereo", {}, ["depth_node"]),
        ("mono", {"depth_model": "fake_mono"}, ["depth_node"]),
        ("stereo", {"depth_rviz": "true"}, ["depth_node", "rviz2"]),
        ("mapping", {}, ["depth_node", "map_node"]),
        ("mapping", {"map_depth": "False"}, ["map_node"]),
        ("mapping", {"map_rviz": "true", "map_depth": "false"}, ["map_node", "rviz2"]),
        ("demo", {"depth_rviz": "false"}, ["depth_node", "image_source"]),
        ("demo", {}, ["depth_node", "rviz2", "image_source", *["static_transform_publisher"] * 2]),
    ],
)
def test_the_nodes_of_a_launch(launched, with_rviz, name, arguments, executables):
    nodes, _ = launched(LAUNCH / f"{name}.launch.py", **arguments)
    assert [node.node_executable for node in nodes] == executables


@pytest.mark.parametrize(
    "name, arguments, image, points",
    [
        ("stereo", {}, "left/image_rect", "points"),
        ("stereo", {"depth_rectify": "true"}, "left/image_raw", "points"),
        ("stereo", {"left_image": "/zed/left", "points_topic": "/cloud"}, "/zed/left", "/cloud"),
        ("mono", {"depth_model": "fake_mono"}, "image", "points"),
        ("mono", {"depth_model": "fake_mono", "depth_rectify": "true"}, "image_raw", "points"),
    ],
)
def test_rviz_shows_what_the_node_takes_and_gives(launched, with_rviz, name, arguments, image, points):
    nodes, context = launched(
        LAUNCH / f"{name}.launch.py", depth_rviz="true", depth_namespace="front", **arguments
    )
    (rviz,) = (node for node in nodes if node.node_executable == "rviz2")
    rviz._perform_substitutions(context)
    shown = dict(rviz.expanded_remapping_rules)
    assert shown == {"/points": points, "/depth/preview": "depth/preview", "/left/image_rect": image}


def test_simulated_time_reaches_everybody(launched, with_rviz):
    nodes, context = launched(LAUNCH / "demo.launch.py", use_sim_time="true")
    told = set()
    for node in nodes:
        node._perform_substitutions(context)
        files = [path for path, _ in node._Node__expanded_parameter_arguments or ()]
        if any("use_sim_time: true" in Path(path).read_text() for path in files):
            told.add(node.node_executable)
    assert told == {"depth_node", "rviz2", "image_source"}


@pytest.mark.parametrize(("word", "value"), [("True", True), ("TRUE", True), ("1", True), ("False", False)])
def test_a_switch_is_read_as_people_write_it(launched, word, value):
    (node,), context = launched(
        LAUNCH / "stereo.launch.py", use_sim_time=word, depth_respawn=word, depth_rectify=word
    )
    assert is_started_again(context) is value
    given = parameters_of(node, context)
    assert given["use_sim_time"] is value and given["rectify"] is value


def test_texts_stay_texts(launched):
    (node,), context = launched(LAUNCH / "stereo.launch.py", depth_model="1e3", floor_frame="true")
    given = parameters_of(node, context)
    assert (given["model"], given["floor_frame"]) == ("1e3", "true")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("stereo", {"depth_params_file": "/no/such.yaml"}, "expected a parameter file at /no/such.yaml"),
        ("stereo", {"depth_respawn": "often"}, "depth_respawn must be true or false"),
        ("stereo", {"depth_rectify": "maybe"}, "correct depth_rectify:=maybe"),
        ("stereo", {"log_level": "verbose"}, "log_level must be one of"),
        ("stereo", {"camera_height_m": "high"}, "camera_height_m must be of type float"),
        ("stereo", {"mode": "mono"}, "use mono.launch.py"),
        ("mono", {"mode": "stereo"}, "use stereo.launch.py"),
        ("mapping", {"map_depth": "perhaps"}, "map_depth must be true or false"),
        ("mapping", {"map_params_file": "/no/such.yaml"}, "/no/such.yaml, found none: check map_params_file"),
        ("mapping", {"map_voxel_m": "2.0"}, "correct map_voxel_m:=2.0"),
    ],
)
def test_a_wrong_argument_is_one_sentence(launched, name, arguments, words):
    with pytest.raises(Recon3dError, match=words):
        launched(LAUNCH / f"{name}.launch.py", **arguments)


@pytest.mark.parametrize("sources", ["floor,range", "[floor, range]", "floor, range"])
def test_what_tells_the_scale_is_a_list(launched, sources):
    arguments = {"scale_sources": sources, "camera_height_m": "0.3", "scale_range": "/sonar"}
    (node,), context = launched(LAUNCH / "mono.launch.py", depth_model="fake_mono", **arguments)
    given = parameters_of(node, context)
    assert list(given["scale_sources"]) == ["floor", "range"] and given["camera_height_m"] == 0.3
    assert ("scale/range", "/sonar") in [tuple(rule) for rule in node.expanded_remapping_rules]


def test_a_mono_launch_leaves_the_model_to_the_node(launched):
    (node,), context = launched(LAUNCH / "mono.launch.py")
    given = parameters_of(node, context)
    assert given["mode"] == "mono" and "model" not in given


def test_the_map_node_has_the_topics_and_parameters_of_the_depth_node(launched, with_rviz):
    arguments = {"left_image": "/zed/left", "depth_namespace": "front", "depth_rectify": "true"}
    own = {"map_poses": "odometry", "map_voxel_m": "0.1", "map_cameras": "", "map_rviz": "true"}
    nodes, context = launched(LAUNCH / "mapping.launch.py", **arguments, **own)
    depth, mapper, rviz = nodes
    given = parameters_of(mapper, context)
    assert (given["poses"], given["voxel_m"], given["rectify"]) == ("odometry", 0.1, True)
    assert parameters_of(depth, context)["rectify"] is True
    for node in (depth, mapper):
        assert node.expanded_node_namespace == "/front"
        assert ("left/image_raw", "/zed/left") in [tuple(rule) for rule in node.expanded_remapping_rules]
    rviz._perform_substitutions(context)
    assert dict(rviz.expanded_remapping_rules)["/map/mesh"] == "map/mesh"


def test_several_cameras_make_one_map(launched):
    (node,), context = launched(
        LAUNCH / "mapping.launch.py", map_depth="false", map_cameras="front,rear", depth_mode="mono"
    )
    given = parameters_of(node, context)
    assert list(given["cameras"]) == ["front", "rear"] and given["mode"] == "mono"


def parameters_of(node, context):
    """The parameters of a node by the files that launch writes or names."""
    node._perform_substitutions(context)
    found: dict = {}
    for path, _ in node._Node__expanded_parameter_arguments or ():
        # FullLoader: launch writes lists as !!python/tuple, whose tag rcl's parser passes over
        for content in yaml.load(Path(path).read_text(), yaml.FullLoader).values():
            found |= content.get("depth_node", content)["ros__parameters"]
    return found


def test_one_process_serves_the_cameras_of_a_list(launched):
    file = LAUNCH.parent / "config" / "cameras" / "two_pairs.yaml"
    nodes, context = launched(
        LAUNCH / "multi_camera.launch.py", cameras_file=str(file), depth_namespace="robot"
    )
    (node,) = nodes
    given = parameters_of(node, context)
    assert list(given["cameras"]) == ["front", "rear"] and given["max_depth_m"] == 10.0
    assert node.expanded_node_namespace == "/robot"


@pytest.mark.parametrize("name", ["stereo", "demo", "multi_camera"])
def test_what_is_launched_afterwards_keeps_its_environment(launched, name):
    arguments = {"cameras_file": str(LAUNCH.parent / "config" / "cameras" / "two_pairs.yaml")}
    before = dict(os.environ)
    _, context = launched(LAUNCH / f"{name}.launch.py", **(arguments if name == "multi_camera" else {}))
    assert dict(context.environment) == before


def test_or_a_node_each(launched, tmp_path):
    file = tmp_path / "cameras.yaml"
    file.write_text("{one_process: false, parameters: {border_px: 2}, cameras: {a: {}, b/c: {border_px: 5}}}")
    nodes, context = launched(
        LAUNCH / "multi_camera.launch.py", cameras_file=str(file), use_sim_time="true", depth_respawn="false"
    )
    given = [parameters_of(node, context) for node in nodes]
    assert [node.expanded_node_namespace for node in nodes] == ["/a", "/b/c"]
    assert [each["border_px"] for each in given] == [2, 5] and all(each["use_sim_time"] for each in given)


@pytest.mark.parametrize("respawn", ["true", "false"])
def test_a_node_that_ended_is_started_again(launched, respawn):
    file = LAUNCH.parent / "config" / "cameras" / "two_pairs.yaml"
    for name, arguments in (("stereo", {}), ("multi_camera", {"cameras_file": str(file)})):
        _, context = launched(LAUNCH / f"{name}.launch.py", depth_respawn=respawn, **arguments)
        assert is_started_again(context) is (respawn == "true")


def test_former_names_are_taken_with_a_warning(launched, launch_log):
    arguments = {"model": "1e3", "namespace": "front", "points": "cloud", "respawn": "false"}
    (node,), context = launched(LAUNCH / "stereo.launch.py", **arguments)
    given = parameters_of(node, context)
    assert given["model"] == "1e3" and node.expanded_node_namespace == "/front"
    assert not is_started_again(context)
    assert ("points", "cloud") in [tuple(rule) for rule in node.expanded_remapping_rules]
    assert "depth_model:=1e3 instead of model" in " ".join(
        launch_log
    ) and "depth_namespace:=front" in " ".join(launch_log)


def test_the_own_name_has_the_last_word(launched, launch_log):
    (node,), context = launched(LAUNCH / "stereo.launch.py", model="robot.urdf", depth_model="fake_stereo")
    assert parameters_of(node, context)["model"] == "fake_stereo"
    assert "instead of" not in " ".join(launch_log)


@pytest.mark.parametrize("name", ["stereo", "demo", "multi_camera"])
def test_what_is_launched_afterwards_finds_none_of_our_values(launched, name):
    arguments = {"cameras_file": str(LAUNCH.parent / "config" / "cameras" / "two_pairs.yaml")}
    arguments = arguments if name == "multi_camera" else {"depth_model": "fake_stereo"}
    _, context = launched(LAUNCH / f"{name}.launch.py", **arguments)
    left = {key for key in context.launch_configurations if not key.startswith("recon3d_")}
    assert left - ({"depth_rviz"} if name == "demo" else set()) == set(arguments)  # which shows rviz


def test_a_level_for_the_logs(launched):
    nodes, context = launched(LAUNCH / "demo.launch.py", depth_rviz="false", log_level="debug")
    for node in nodes:
        node._perform_substitutions(context)
        words = [part.text for parts in node.cmd for part in parts if hasattr(part, "text")]
        assert words[words.index("--log-level") + 1] == "debug"


@pytest.mark.parametrize("prefixes", [os.devnull, ""])
def test_without_rviz_the_log_says_what_to_install(launched, monkeypatch, launch_log, prefixes):
    monkeypatch.setenv("AMENT_PREFIX_PATH", prefixes)
    nodes, _ = launched(LAUNCH / "stereo.launch.py", depth_rviz="true")
    assert [node.node_executable for node in nodes] == ["depth_node"]
    assert "install ros-<distribution>-rviz2" in launch_log[0]
