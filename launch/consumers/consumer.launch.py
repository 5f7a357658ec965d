"""One consumer of the depth node, started as config/consumers.yaml says: RTAB-Map, OctoMap, nvblox, ..."""

import yaml
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from recon3d_ros.config.launch_arguments import parameter_files
from recon3d_ros.config.options import parse_bool
from recon3d_ros.system.share import share_path

ARGUMENTS = {
    "namespace": "namespace of the depth node, and of the consumer",
    "frame": "main frame of the consumer (robot, map or scan), see config/consumers.yaml",
    "image": "rectified image topic instead of left/image_rect",
    "params_file": "parameter file (YAML) that overrides config/consumers.yaml",
    "use_sim_time": "true: use the time of /clock",
}


def read_consumers():
    return yaml.safe_load(share_path("config", "consumers.yaml").read_text(encoding="utf-8"))


def generate_launch_description():
    consumer = DeclareLaunchArgument(
        "consumer", description="consumer to start", choices=sorted(read_consumers())
    )
    arguments = [
        DeclareLaunchArgument(name, default_value="", description=text) for name, text in ARGUMENTS.items()
    ]
    return LaunchDescription([consumer, *arguments, OpaqueFunction(function=make_nodes)])


def make_nodes(context):
    """The nodes of the consumer, now that the values of the arguments are known."""

    def value(name):
        return LaunchConfiguration(name).perform(context)

    consumer = read_consumers()[value("consumer")]
    sim_time = parse_bool("use_sim_time", value("use_sim_time") or "false")
    parameters = {**consumer["parameters"], "use_sim_time": sim_time}
    if value("frame"):
        parameters[consumer["frame"]] = value("frame")
    remappings = [(name, asked["topic"]) for name, asked in consumer["inputs"].items()]
    if value("image"):
        remappings = [
            (name, value("image") if topic == "left/image_rect" else topic) for name, topic in remappings
        ]
    return [
        Node(
            **node,
            namespace=value("namespace"),
            parameters=[parameters, *parameter_files(value("params_file"))],
            remappings=remappings,
            output="screen",
        )
        for node in consumer["nodes"]
    ]
