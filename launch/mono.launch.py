"""One camera in, PointCloud2 and depth out; scale_sources:= names what tells metres besides the model."""

from launch.actions import IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from recon3d_ros.errors import ConfigError
from recon3d_ros.system.share import share_path


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    include = IncludeLaunchDescription(depth, launch_arguments=[("mode", "mono")])
    return LaunchDescription([OpaqueFunction(function=refuse_other_mode), include])


def refuse_other_mode(context):
    if context.launch_configurations.get("mode") == "stereo":
        raise ConfigError("mono.launch.py has the mode mono, got mode:=stereo: use stereo.launch.py")
