"""A camera made of the procedural world (or of files), the depth node and rviz."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription
from recon3d_ros.config.launch_arguments import describe, values
from recon3d_ros.config.parameters import IMAGE_SOURCE
from recon3d_ros.system.share import share_path

# Arguments that are parameters of the source; one that is not given is left to config/demo.yaml.
SOURCE = ("source", "rate_hz", "camera", "mono", "image_transport", "use_sim_time")


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    arguments = [
        DeclareLaunchArgument(name, default_value="", description=text)
        for name, text in describe(IMAGE_SOURCE, SOURCE).items()
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
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in values(IMAGE_SOURCE, {name: value(name) for name in SOURCE}).items()
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
