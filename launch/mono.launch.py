"""One camera in, PointCloud2 and depth out; model:= names a mono model, scale_sources:= what tells metres."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from recon3d_ros.share import share_path


def generate_launch_description():
    # Required: the default model is a stereo model.
    model = DeclareLaunchArgument(
        "model", description="name of a mono model, or path of its manifest (.yaml)"
    )
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    arguments = [("mode", "mono")]
    return LaunchDescription([model, IncludeLaunchDescription(depth, launch_arguments=arguments)])
