"""A camera made of the procedural world (or of files), the depth node and rviz."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from recon3d_ros.config.launch_arguments import describe, given_words, log_level_words, values
from recon3d_ros.config.options import parse_bool
from recon3d_ros.config.parameters import IMAGE_SOURCE
from recon3d_ros.ros.bridge.launching import described, typed, words_of
from recon3d_ros.system.share import share_path

# Arguments that are parameters of the source; one that is not given is left to config/demo.yaml.
SOURCE = ("source", "rate_hz", "camera", "mono", "image_transport", "use_sim_time")
OTHERS = ("namespace", "log_level", "rviz")


def generate_launch_description():
    depth = PythonLaunchDescriptionSource(str(share_path("launch", "depth.launch.py")))
    return described(
        describe(IMAGE_SOURCE, SOURCE),
        [
            OpaqueFunction(function=check_source),  # before a node starts, which launch would leave behind
            OpaqueFunction(function=show_rviz),
            DeclareLaunchArgument("depth_rviz", default_value="true", description="start rviz"),
            IncludeLaunchDescription(depth),
            OpaqueFunction(function=make_source),
        ],
        compared=False,  # depth.launch.py does
    )


def check_source(context):
    values(IMAGE_SOURCE, given_words(context.launch_configurations, SOURCE)[0])


def show_rviz(context):
    """Let the former name of an argument say whether rviz starts, before its default does."""
    given = words_of(context, ("rviz",))["rviz"]
    if given:
        context.launch_configurations["depth_rviz"] = given


def make_source(context):
    """The source, and for rviz the transform from camera_link (x forward) to its optical frames."""
    words = words_of(context, (*SOURCE, *OTHERS))
    given = typed(values(IMAGE_SOURCE, {name: words[name] for name in SOURCE}))
    source = Node(
        package="recon3d_ros",
        executable="image_source",
        name="image_source",
        namespace=words["namespace"],
        parameters=[str(share_path("config", "demo.yaml")), *([given] if given else [])],
        ros_arguments=log_level_words(words["log_level"]),
        output="screen",
        emulate_tty=True,
    )
    if not parse_bool("rviz", words["rviz"]):
        return [source]
    rotation = ["--roll", "-1.570796", "--pitch", "0", "--yaw", "-1.570796"]
    frames = [
        Node(
            package="tf2_ros",
            executable="static_transform_publisher",
            arguments=[*rotation, "--frame-id", "camera_link", "--child-frame-id", frame],
        )
        for frame in ("camera_left_optical_frame", "camera_optical_frame")
    ]
    return [source, *frames]
