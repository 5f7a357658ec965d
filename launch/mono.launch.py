"""One camera in, PointCloud2 and depth out; scale_sources:= names what tells metres besides the model."""

from launch.actions import IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from recon3d_ros.errors import ConfigError
from recon3d_ros.system.share import share_path


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    include = IncludeLaunchDescription(depth, launch_arguments=[("depth_mode", "mono")])
    first, last = OpaqueFunction(function=refuse_other_mode), OpaqueFunction(function=forget_mode)
    return LaunchDescription([first, include, last])


def refuse_other_mode(context):
    if "stereo" in map(context.launch_configurations.get, ("depth_mode", "mode")):
        raise ConfigError("mono.launch.py has the mode mono, got stereo: use stereo.launch.py")


def forget_mode(context):
    """Let what is launched afterwards have a mode of its own."""
    context.launch_configurations.pop("depth_mode", None)
