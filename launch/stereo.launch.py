"""A stereo pair in, PointCloud2, depth and disparity out."""

from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from recon3d_ros.system.share import share_path


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    return LaunchDescription([IncludeLaunchDescription(depth, launch_arguments=[("mode", "stereo")])])
