"""The cameras of a robot from one YAML, see config/cameras/: one process for all, or one node each."""

from pathlib import Path

from launch.actions import OpaqueFunction

from recon3d_ros.config.camera_list import read_camera_list
from recon3d_ros.config.launch_arguments import parameter_files, values
from recon3d_ros.config.parameters import DEPTH_NODE
from recon3d_ros.errors import ConfigError
from recon3d_ros.ros.bridge.launching import depth_node, described, words_of

ARGUMENTS = {
    "cameras_file": "YAML that lists the cameras, see config/cameras/",
    "namespace": "put before the namespaces of all cameras",
    "params_file": "YAML of parameters, see config/; the list of cameras has the last word",
    "use_sim_time": "true: time from /clock, for bags and simulators",
    "respawn": "start a node again when it ended, after 2 s and longer (default: true)",
    "log_level": "debug, info, warn, error or fatal, of one logger: depth_node:=debug (default: info)",
}


def generate_launch_description():
    return described(ARGUMENTS, [OpaqueFunction(function=make_nodes)])


def make_nodes(context):
    """The nodes, now that the values of the arguments are known."""
    words = words_of(context, ARGUMENTS)
    if not words["cameras_file"]:
        raise ConfigError("multi_camera.launch.py needs cameras_file:=FILE, got none; see config/cameras/")
    files = parameter_files(words["params_file"])
    given = values(DEPTH_NODE, {"use_sim_time": words["use_sim_time"]})
    return [
        entity
        for plan in read_camera_list(Path(words["cameras_file"]).expanduser())
        for entity in depth_node(
            words["respawn"],
            words["log_level"],
            namespace="/".join(part for part in (words["namespace"], plan.namespace) if part),
            parameters=[*files, {**plan.parameters, **given}],
        )
    ]
