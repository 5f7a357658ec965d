"""One consumer of the depth node, started as config/consumers.yaml says: RTAB-Map, OctoMap, nvblox, ..."""

import yaml
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from recon3d_ros.config.launch_arguments import given_words, log_level_words, parameter_files
from recon3d_ros.config.options import parse_bool
from recon3d_ros.errors import ConfigError
from recon3d_ros.ros.bridge.launching import forgotten, warn
from recon3d_ros.system.share import share_path

ARGUMENTS = {
    "namespace": "namespace of the depth node, and of the consumer",
    "frame": "main frame of the consumer (robot, map or scan), see config/consumers.yaml",
    "image": "rectified image topic instead of left/image_rect, or of image with depth_mode:=mono",
    "depth_mode": "stereo or mono, the mode of the depth node (default: stereo)",
    "params_file": "parameter file (YAML) that overrides config/consumers.yaml",
    "use_sim_time": "true: use the time of /clock",
    "log_level": "debug, info, warn, error or fatal (default: info)",
}


# By the keys above: names that no launch file which includes this one has for something else.
OWN_NAMES = {
    "namespace": "depth_namespace",
    "frame": "consumer_frame",
    "image": "image_topic",
    "params_file": "consumer_params_file",
}


def read_consumers():
    return yaml.safe_load(share_path("config", "consumers.yaml").read_text(encoding="utf-8"))


def generate_launch_description():
    consumer = DeclareLaunchArgument(
        "consumer", description="consumer to start", choices=sorted(read_consumers())
    )
    arguments = [
        DeclareLaunchArgument(OWN_NAMES.get(name, name), default_value="", description=text)
        for name, text in ARGUMENTS.items()
    ]
    names = ["consumer", *(argument.name for argument in arguments)]
    return forgotten(names, [consumer, *arguments, OpaqueFunction(function=make_nodes)])


def topic_of(asked, is_mono, image):
    """The topic of an input; the image of the camera has another name for a single camera."""
    if "mono" not in asked:
        return asked["topic"]
    return image or asked["mono" if is_mono else "topic"]


def make_nodes(context):
    """The nodes of the consumer, now that the values of the arguments are known."""
    words, warning = given_words(context.launch_configurations, ARGUMENTS, OWN_NAMES)
    warn(warning)
    if words["depth_mode"] not in ("", "stereo", "mono"):
        raise ConfigError(f"depth_mode must be stereo or mono, got {words['depth_mode']!r}")
    consumer = read_consumers()[LaunchConfiguration("consumer").perform(context)]
    sim_time = parse_bool("use_sim_time", words["use_sim_time"] or "false")
    parameters = {**consumer["parameters"], "use_sim_time": sim_time}
    if words["frame"]:
        parameters[consumer["frame"]] = words["frame"]
    remappings = [
        (name, topic_of(asked, words["depth_mode"] == "mono", words["image"]))
        for name, asked in consumer["inputs"].items()
    ]
    return [
        Node(
            **node,
            namespace=words["namespace"],
            parameters=[parameters, *parameter_files(words["params_file"], OWN_NAMES["params_file"])],
            remappings=remappings,
            ros_arguments=log_level_words(words["log_level"]),
            output="screen",
        )
        for node in consumer["nodes"]
    ]
