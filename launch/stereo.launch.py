"""A stereo pair in, PointCloud2, depth and disparity out."""

from launch.actions import IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from recon3d_ros.errors import ConfigError
from recon3d_ros.system.share import share_path


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    include = IncludeLaunchDescription(depth, launch_arguments=[("mode", "stereo")])
    return LaunchDescription([OpaqueFunction(function=refuse_other_mode), include])


def refuse_other_mode(context):
    if context.launch_configurations.get("mode") == "mono":
        raise ConfigError("stereo.launch.py has the mode stereo, got mode:=mono: use mono.launch.py")
