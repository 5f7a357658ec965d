"""A camera made of the procedural world (or of files), the depth node and rviz."""

import yaml
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from recon3d_ros.system.share import share_path

# Arguments that are parameters of the source; one that is not given is left to config/demo.yaml.
SOURCE = {
    "source": "world, world_indoor, world_outdoor, a folder, a video, or the index of a webcam",
    "rate_hz": "images per second",
    "camera": "camera_info YAML of the images",
    "mono": "true: publish only the left camera of a pair (with mode:=mono)",
    "image_transport": "raw or compressed",
    "use_sim_time": "true: use the time of /clock",
}
TEXT = ("source", "camera", "image_transport")


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    arguments = [
        DeclareLaunchArgument(name, default_value="", description=text) for name, text in SOURCE.items()
    ]
    return LaunchDescription(
        [
            DeclareLaunchArgument("rviz", default_value="true", description="start rviz"),
            *arguments,
            IncludeLaunchDescription(depth),
            OpaqueFunction(function=make_source),
        ]
    )


def make_source(context):
    """The source, and for rviz the transform from camera_link (x forward) to its optical frames."""

    def value(name):
        return LaunchConfiguration(name).perform(context)

    given = {
        name: value(name) if name in TEXT else yaml.safe_load(value(name)) for name in SOURCE if value(name)
    }
    source = Node(
        package="recon3d_ros",
        executable="image_source",
        name="image_source",
        namespace=value("namespace"),
        parameters=[str(share_path("config", "demo.yaml")), *([given] if given else [])],
        output="screen",
        emulate_tty=True,
    )
    rotation = ["--roll", "-1.570796", "--pitch", "0", "--yaw", "-1.570796"]
    frames = [
        Node(
            package="tf2_ros",
            executable="static_transform_publisher",
            arguments=[*rotation, "--frame-id", "camera_link", "--child-frame-id", frame],
            condition=IfCondition(LaunchConfiguration("rviz")),
        )
        for frame in ("camera_left_optical_frame", "camera_optical_frame")
    ]
    return [source, *frames]
