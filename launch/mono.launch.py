"""One camera in, PointCloud2 and depth out; scale_sources:= names what tells metres besides the model."""

from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from recon3d_ros.system.share import share_path


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    return LaunchDescription([IncludeLaunchDescription(depth, launch_arguments=[("mode", "mono")])])
