"""The cameras of a robot from one YAML, see config/cameras/: one process for all, or one node each."""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from recon3d_ros.config.camera_list import read_camera_list
from recon3d_ros.config.launch_arguments import parameter_files, values
from recon3d_ros.config.options import parse_bool
from recon3d_ros.config.parameters import DEPTH_NODE

ARGUMENTS = {
    "cameras_file": (None, "YAML that lists the cameras, see config/cameras/"),
    "namespace": ("", "put before the namespaces of all cameras"),
    "params_file": ("", "YAML of parameters, see config/; the list of cameras has the last word"),
    "use_sim_time": ("", "true: time from /clock, for bags and simulators"),
    "respawn": ("true", "start a node that ended again, after 2 s"),
}


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=make_nodes)])


def make_nodes(context):
    """The nodes, now that the values of the arguments are known."""

    def value(name):
        return LaunchConfiguration(name).perform(context)

    files = parameter_files(value("params_file"))
    given = values(DEPTH_NODE, {"use_sim_time": value("use_sim_time")})
    return [
        Node(
            package="recon3d_ros",
            executable="depth_node",
            name="depth_node",
            namespace="/".join(part for part in (value("namespace"), plan.namespace) if part),
            parameters=[*files, {**plan.parameters, **given}],
            output="screen",
            emulate_tty=True,
            respawn=parse_bool("respawn", value("respawn")),
            respawn_delay=2.0,
        )
        for plan in read_camera_list(Path(value("cameras_file")).expanduser())
    ]
