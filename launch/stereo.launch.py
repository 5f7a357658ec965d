"""A stereo pair in, PointCloud2, depth and disparity out."""

from launch.actions import IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from recon3d_ros.errors import ConfigError
from recon3d_ros.system.share import share_path


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    include = IncludeLaunchDescription(depth, launch_arguments=[("depth_mode", "stereo")])
    first, last = OpaqueFunction(function=refuse_other_mode), OpaqueFunction(function=forget_mode)
    return LaunchDescription([first, include, last])


def refuse_other_mode(context):
    if "mono" in map(context.launch_configurations.get, ("depth_mode", "mode")):
        raise ConfigError("stereo.launch.py has the mode stereo, got mono: use mono.launch.py")


def forget_mode(context):
    """Let what is launched afterwards have a mode of its own."""
    context.launch_configurations.pop("depth_mode", None)
