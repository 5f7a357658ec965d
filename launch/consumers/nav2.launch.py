"""Nav2 with a layer of config/nav2_voxel_layer.yaml or nav2_labels_layer.yaml in its local costmap."""

import tempfile
from pathlib import Path

import yaml
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnShutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import PushRosNamespace
from launch_ros.substitutions import FindPackageShare

from recon3d_ros.config.launch_arguments import given_words
from recon3d_ros.config.options import parse_bool
from recon3d_ros.files.yaml_document import read_yaml
from recon3d_ros.ros.bridge.launching import forgotten, warn
from recon3d_ros.system.share import share_path

LAYER = "recon3d_layer"
NODE = "local_costmap"


def generate_launch_description():
    nav2 = FindPackageShare("nav2_bringup")
    return forgotten(
        ("params_file", "depth_namespace", "nav2_namespace", "layer", "use_sim_time"),
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([nav2, "params", "nav2_params.yaml"]),
                description="your Nav2 parameter file",
            ),
            DeclareLaunchArgument(
                "depth_namespace",
                default_value="",
                description="namespace of the depth node, whose cloud is /<namespace>/points",
            ),
            DeclareLaunchArgument(
                "nav2_namespace", default_value="", description="namespace of the servers of Nav2"
            ),
            DeclareLaunchArgument(
                "layer",
                default_value="voxel",
                choices=["voxel", "labels"],
                description="voxel = from all points; labels = from points_obstacles and points_ground, for "
                "a depth node with point_labels",
            ),
            DeclareLaunchArgument(
                "use_sim_time", default_value="false", description="use the time of /clock"
            ),
            OpaqueFunction(function=include_nav2, args=[nav2]),
        ],
    )


def include_nav2(context, nav2):
    """Nav2's own launch file, with a copy of the parameters that has the layer."""
    # The former name, which Nav2's own launch files have, too.
    words, warning = given_words(
        context.launch_configurations, ["namespace"], {"namespace": "depth_namespace"}
    )
    warn(warning)
    parameters = read_yaml(Path(LaunchConfiguration("params_file").perform(context)).expanduser())
    layers = read_yaml(
        share_path("config", f"nav2_{LaunchConfiguration('layer').perform(context)}_layer.yaml")
    )
    merged = with_layer(parameters, layers, words["namespace"])
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", prefix="nav2_recon3d_", delete=False) as file:
        yaml.safe_dump(merged, file)
    namespace = LaunchConfiguration("nav2_namespace").perform(context)
    sim_time = parse_bool("use_sim_time", LaunchConfiguration("use_sim_time").perform(context))
    # navigation_launch.py puts the parameters below `namespace`, and leaves the namespace to who includes it.
    arguments = {
        "params_file": file.name,
        "namespace": namespace,
        "use_sim_time": str(sim_time),  # True or False, as Nav2 takes it
    }
    launch_file = PythonLaunchDescriptionSource(
        PathJoinSubstitution([nav2, "launch", "navigation_launch.py"])
    )
    servers = [
        *([PushRosNamespace(namespace)] if namespace else []),
        IncludeLaunchDescription(launch_file, launch_arguments=arguments.items()),
    ]

    def remove_copy(event, context):
        Path(file.name).unlink(missing_ok=True)

    # A group, as the arguments of an included file are those of whatever is launched after it.
    return [RegisterEventHandler(OnShutdown(on_shutdown=remove_copy)), GroupAction(servers)]


def with_layer(parameters, layers, namespace):
    """Put our layer in front of the inflation, which has to be last; topics into the namespace."""
    ours = layers[NODE][NODE]["ros__parameters"]
    theirs = parameters.setdefault(NODE, {}).setdefault(NODE, {}).setdefault("ros__parameters", {})
    layer = ours[LAYER]
    for source in layer["observation_sources"].split():
        topic = layer[source]["topic"].lstrip("/")
        layer[source]["topic"] = "/".join(["", *filter(None, namespace.split("/")), topic])
    plugins = [name for name in theirs.get("plugins", ours["plugins"]) if name != LAYER]
    last = next((i for i, name in enumerate(plugins) if "inflation" in name), len(plugins))
    theirs["plugins"] = [*plugins[:last], LAYER, *plugins[last:]]
    theirs[LAYER] = layer
    return parameters
