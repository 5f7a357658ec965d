"""The depth node and the map node, and rviz if wanted; with map_depth:=false the map node alone.

An argument that is not given leaves its parameter to map_params_file, and to the node's default.
"""

from launch.actions import IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node

from recon3d_ros.config.launch_arguments import describe, parameter_files, values
from recon3d_ros.config.options import parse_bool
from recon3d_ros.config.parameters import DEPTH_NODE, MAP_NODE
from recon3d_ros.ros.bridge.launching import can_show_rviz, described, our_node, typed, words_of
from recon3d_ros.system.share import share_path

# Arguments that are parameters of the map node alone (argument: parameter), and those that are of both nodes.
PARAMETERS = {
    "map_poses": "poses",
    "map_frame": "map_frame",
    "map_base_frame": "base_frame",
    "map_cameras": "cameras",
    "map_voxel_m": "voxel_m",
    "map_radius_m": "map_radius_m",
    "map_folder": "map_folder",
}
SHARED = ("mode", "rectify", "image_transport", "autostart", "use_sim_time")
# Arguments that are topics, as those of the depth node.
TOPICS = {
    "left_image": ("left/image_rect", "left/image_raw"),
    "left_info": ("left/camera_info",),
    "image": ("image", "image_raw"),
    "camera_info": ("camera_info",),
}
OTHERS = {
    "map_params_file": "parameter file (YAML) of the map node, see config/mapping.yaml",
    "map_depth": "start the depth node, too (default: true); false = it runs, or the camera has depth",
    "map_rviz": "start rviz with the map (default: false)",
}
OF_DEPTH = ("namespace", "respawn", "log_level")


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    wanted = PythonExpression(
        ["'", LaunchConfiguration("map_depth"), "'.lower() not in ('false', '0', 'no')"]
    )
    parameters = dict(zip(PARAMETERS, describe(MAP_NODE, PARAMETERS.values()).values()))
    return described(
        {**parameters, **OTHERS},
        [
            OpaqueFunction(function=check),  # before a node starts, which launch would leave behind
            IncludeLaunchDescription(depth, condition=IfCondition(wanted)),
            OpaqueFunction(function=make_nodes),
        ],
        compared=False,  # depth.launch.py does
    )


def given_to(context):
    """The parameters of the map node that arguments give, and all words."""
    words = words_of(context, (*PARAMETERS, *SHARED, *TOPICS, *OTHERS, *OF_DEPTH))
    own = {parameter: argument for argument, parameter in PARAMETERS.items()}
    shared = values(MAP_NODE, {name: words[name] for name in SHARED})
    return shared | values(MAP_NODE, {name: words[argument] for name, argument in own.items()}, own), words


def check(context):
    _, words = given_to(context)
    parse_bool("map_depth", words["map_depth"] or "true")
    parameter_files(words["map_params_file"], "map_params_file")
    values(DEPTH_NODE, {name: words[name] for name in SHARED})


def make_nodes(context):
    """The map node and rviz, now that the values of the arguments are known."""
    given, words = given_to(context)
    files = parameter_files(words["map_params_file"], "map_params_file")
    nodes = our_node(
        "map_node",
        words["respawn"],
        words["log_level"],
        namespace=words["namespace"],
        parameters=[*files, typed(given)] if given else files,
        remappings=[
            (old, words[name]) for name, replaced in TOPICS.items() for old in replaced if words[name]
        ],
    )
    if not can_show_rviz(words["map_rviz"], "map_rviz"):
        return nodes
    shown = ("/map/mesh", "/map/points", "/map/grid", "/map/distance")
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=words["namespace"],
        arguments=["-d", str(share_path("config", "mapping.rviz")), "-f", words["map_frame"] or "odom"],
        parameters=[{"use_sim_time": given.get("use_sim_time", False)}],
        remappings=[(topic, topic.removeprefix("/")) for topic in shown],
    )
    return [*nodes, rviz]
