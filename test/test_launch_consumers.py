"""The launch files of consumers: what they make of config/consumers.yaml and config/nav2_voxel_layer.yaml."""

from __future__ import annotations

import ast
import json
import tempfile
from pathlib import Path

import pytest
import yaml

from recon3d_ros.errors import Recon3dError

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "launch" / "consumers"
FILES = sorted(FOLDER.glob("*.launch.py"))
CONSUMERS = yaml.safe_load((ROOT / "config" / "consumers.yaml").read_text())
LAYER_FILE = ROOT / "config" / "nav2_voxel_layer.yaml"


def test_the_launch_files_are_there():
    assert [path.name for path in FILES] == ["consumer.launch.py", "nav2.launch.py"]


@pytest.fixture
def with_layer():
    """The function of nav2.launch.py that needs no launch, with the constants it reads."""
    tree = ast.parse((FOLDER / "nav2.launch.py").read_text())
    kept = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) or (isinstance(node, ast.FunctionDef) and node.name == "with_layer")
    ]
    names: dict = {}
    exec(compile(ast.Module(kept, []), "nav2.launch.py", "exec"), names)
    return names["with_layer"]


def costmap(**parameters):
    return {"local_costmap": {"local_costmap": {"ros__parameters": parameters}}, "amcl": {"kept": True}}


@pytest.mark.parametrize(
    ("plugins", "wanted"),
    [
        (["voxel_layer", "inflation_layer"], ["voxel_layer", "recon3d_layer", "inflation_layer"]),
        (["static_layer"], ["static_layer", "recon3d_layer"]),
        (["recon3d_layer", "inflation_layer"], ["recon3d_layer", "inflation_layer"]),
    ],
)
def test_the_layer_stands_before_the_inflation(with_layer, plugins, wanted):
    layers = yaml.safe_load(LAYER_FILE.read_text())
    merged = with_layer(costmap(plugins=plugins, width=3), layers, "")
    ours = merged["local_costmap"]["local_costmap"]["ros__parameters"]
    assert ours["plugins"] == wanted and ours["width"] == 3 and merged["amcl"] == {"kept": True}
    assert ours["recon3d_layer"]["free"]["topic"] == "/points_free"


@pytest.mark.parametrize("namespace", ["robot/front", "/robot/front/"])
def test_the_topics_move_into_the_namespace(with_layer, namespace):
    merged = with_layer({}, yaml.safe_load(LAYER_FILE.read_text()), namespace)
    ours = merged["local_costmap"]["local_costmap"]["ros__parameters"]
    assert ours["plugins"] == ["recon3d_layer", "inflation_layer"]
    layer = ours["recon3d_layer"]
    topics = [layer[source]["topic"] for source in layer["observation_sources"].split()]
    assert topics == ["/robot/front/points", "/robot/front/points", "/robot/front/points_free"]


@pytest.fixture
def made():
    """Make the nodes of a consumer without starting a process: (nodes, context)."""
    pytest.importorskip("launch.actions", reason="launch is in no wheel; a ROS 2 workspace has it")
    pytest.importorskip("launch_ros", reason="launch_ros is in no wheel; a ROS 2 workspace has it")
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch_ros.actions import Node

    from launch import LaunchContext

    def visit(**arguments: str):
        context = LaunchContext()
        context.launch_configurations.update(arguments)
        source = PythonLaunchDescriptionSource(str(FOLDER / "consumer.launch.py"))
        description = source.get_launch_description(context)
        nodes, waiting = [], list(description.entities)
        while waiting:
            entity = waiting.pop(0)
            if isinstance(entity, Node):
                entity._perform_substitutions(context)
                nodes.append(entity)
                continue
            waiting = [*(entity.visit(context) or ()), *waiting]
        return nodes, context

    return visit


def parameters_of(node):
    (path, _), *_ = node._Node__expanded_parameter_arguments
    (parameters,) = yaml.safe_load(Path(path).read_text()).values()
    return parameters["ros__parameters"]


@pytest.mark.parametrize("name", CONSUMERS)
def test_the_nodes_of_a_consumer(made, name):
    nodes, _ = made(consumer=name, depth_namespace="front", consumer_frame="somewhere")
    asked = CONSUMERS[name]
    assert [node.node_executable for node in nodes] == [node["executable"] for node in asked["nodes"]]
    for node in nodes:
        topics = {key: row["topic"] for key, row in asked["inputs"].items()}
        assert dict(node.expanded_remapping_rules) == topics
        assert node.expanded_node_namespace == "/front"
        text = yaml.safe_dump(parameters_of(node))
        assert "somewhere" in text and "use_sim_time: false" in text


@pytest.mark.parametrize("name", CONSUMERS)
def test_a_single_camera_has_its_image_for_the_consumer(made, name):
    nodes, _ = made(consumer=name, depth_mode="mono")
    for node in nodes:
        topics = set(dict(node.expanded_remapping_rules).values())
        assert "left/image_rect" not in topics
        assert ("image" in topics) is (name == "rtabmap")


def test_another_image(made):
    nodes, _ = made(consumer="rtabmap", image_topic="image", use_sim_time="true")
    for node in nodes:
        assert dict(node.expanded_remapping_rules)["rgb/image"] == "image"
        assert parameters_of(node)["use_sim_time"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"depth_mode": "monocular"}, "depth_mode must be stereo or mono, got 'monocular'"),
        ({"use_sim_time": "often"}, "use_sim_time must be true or false"),
        ({"log_level": "verbose"}, "log_level must be one of"),
        (
            {"consumer_params_file": "~/no/such.yaml"},
            "at ~/no/such.yaml, found none: check consumer_params_file",
        ),
    ],
)
def test_a_wrong_argument_is_one_sentence(made, arguments, words):
    with pytest.raises(Recon3dError, match=words):
        made(consumer="octomap", **arguments)


def test_a_level_for_the_logs(made):
    (node,), _ = made(consumer="octomap", log_level="debug")
    words = [part.text for parts in node.cmd for part in parts if hasattr(part, "text")]
    assert words[words.index("--log-level") + 1] == "debug"


def test_what_is_launched_afterwards_finds_none_of_our_defaults(made):
    _, context = made(consumer="octomap", consumer_frame="map")
    assert dict(context.launch_configurations) == {"consumer": "octomap", "consumer_frame": "map"}


NAVIGATION = """
import json
from pathlib import Path
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

def generate_launch_description():
    arguments = [DeclareLaunchArgument(name, default_value="") for name in ("namespace", "params_file")]
    return LaunchDescription([*arguments, OpaqueFunction(function=note)])

def note(context):
    given = context.launch_configurations
    parameters = Path(given["params_file"]).read_text()
    text = json.dumps({**given, "parameters": parameters})
    Path(__file__).with_name("given.json").write_text(text)
"""


@pytest.fixture
def nav2(tmp_path, monkeypatch):
    """A stand-in for nav2_bringup, whose launch file notes what it is given: its share folder."""
    share = tmp_path / "share" / "nav2_bringup"
    packages = tmp_path / "share/ament_index/resource_index/packages"
    for folder in (share / "launch", share / "params", packages, tmp_path / "temporary"):
        folder.mkdir(parents=True)
    (packages / "nav2_bringup").touch()
    (share / "params" / "nav2_params.yaml").write_text(yaml.safe_dump(costmap(plugins=["inflation_layer"])))
    (share / "launch" / "navigation_launch.py").write_text(NAVIGATION)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return share


def run_nav2(**arguments: str):
    """Run nav2.launch.py to its end, as `ros2 launch` does; return the settings that come after it."""
    pytest.importorskip("launch.actions", reason="launch is in no wheel; a ROS 2 workspace has it")
    pytest.importorskip("launch_ros", reason="launch_ros is in no wheel; a ROS 2 workspace has it")
    from launch.actions import IncludeLaunchDescription, OpaqueFunction
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchDescription, LaunchService

    after: dict = {}
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(FOLDER / "nav2.launch.py")), launch_arguments=arguments.items()
    )
    note = OpaqueFunction(function=lambda context: after.update(context.launch_configurations))
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([include, note]))
    assert service.run() == 0
    return after


def test_nav2_starts_with_a_copy_of_the_parameters(nav2):
    after = run_nav2(depth_namespace="front")
    given = json.loads((nav2 / "launch" / "given.json").read_text())
    parameters = yaml.safe_load(given["parameters"])
    ours = parameters["local_costmap"]["local_costmap"]["ros__parameters"]
    assert ours["plugins"] == ["recon3d_layer", "inflation_layer"] and parameters["amcl"] == {"kept": True}
    assert ours["recon3d_layer"]["free"]["topic"] == "/front/points_free"
    original = nav2 / "params" / "nav2_params.yaml"
    assert yaml.safe_load(original.read_text()) == costmap(plugins=["inflation_layer"])
    assert given["params_file"] != str(original) and set(after) == {"depth_namespace"}
    assert not list(Path(tempfile.gettempdir()).iterdir())  # the copy goes with the launch


@pytest.mark.parametrize(("word", "ros_namespace"), [("", None), ("robot", "/robot")])
def test_nav2_has_a_namespace_of_its_own(nav2, word, ros_namespace):
    after = run_nav2(depth_namespace="front", nav2_namespace=word)
    given = json.loads((nav2 / "launch" / "given.json").read_text())
    assert given["namespace"] == word and given.get("ros_namespace") == ros_namespace
    assert after["depth_namespace"] == "front" and "ros_namespace" not in after


@pytest.mark.parametrize(("word", "value"), [("1", "True"), ("TRUE", "True"), ("false", "False")])
def test_nav2_gets_the_time_as_it_takes_it(nav2, word, value):
    run_nav2(use_sim_time=word)
    assert json.loads((nav2 / "launch" / "given.json").read_text())["use_sim_time"] == value


def test_the_parameters_of_nav2_may_be_in_the_home_folder(nav2, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(costmap(plugins=["static_layer"])))
    after = run_nav2(params_file="~/mine.yaml")
    given = json.loads((nav2 / "launch" / "given.json").read_text())
    assert "static_layer" in given["parameters"] and after == {"params_file": "~/mine.yaml"}


def test_nav2_describes_its_arguments():
    pytest.importorskip("launch.actions", reason="launch is in no wheel; a ROS 2 workspace has it")
    pytest.importorskip("launch_ros", reason="launch_ros is in no wheel; a ROS 2 workspace has it")
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext

    source = PythonLaunchDescriptionSource(str(FOLDER / "nav2.launch.py"))
    arguments = source.get_launch_description(LaunchContext()).get_launch_arguments()
    assert {argument.name for argument in arguments} == {
        "params_file",
        "depth_namespace",
        "nav2_namespace",
        "layer",
        "use_sim_time",
    }
    assert all(argument.description for argument in arguments)


def test_former_names_are_taken_with_a_warning(made, nav2, launch_log):
    (node,), _ = made(consumer="octomap", namespace="front", frame="somewhere")
    assert node.expanded_node_namespace == "/front" and "somewhere" in yaml.safe_dump(parameters_of(node))
    run_nav2(namespace="rear")
    parameters = json.loads((nav2 / "launch" / "given.json").read_text())["parameters"]
    assert "/rear/points_free" in parameters
    for words in ("consumer_frame:=somewhere instead of frame", "depth_namespace:=rear instead of namespace"):
        assert words in " ".join(launch_log)


def test_the_layer_of_labels_marks_obstacles_alone(with_layer):
    merged = with_layer(
        costmap(), yaml.safe_load((ROOT / "config" / "nav2_labels_layer.yaml").read_text()), "r"
    )
    layer = merged["local_costmap"]["local_costmap"]["ros__parameters"]["recon3d_layer"]
    sources = {name: layer[name] for name in layer["observation_sources"].split()}
    assert {source["topic"]: source["marking"] for source in sources.values()} == {
        "/r/points_obstacles": True,
        "/r/points_ground": False,
    }
