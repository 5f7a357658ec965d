"""The depth node, and rviz if wanted; stereo.launch.py and mono.launch.py are this with a mode.

An argument that is not given leaves its parameter to params_file, and to the node's default.
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription
from recon3d_ros.config.camera_topics import image_topics
from recon3d_ros.config.launch_arguments import describe, parameter_files, values
from recon3d_ros.config.options import parse_bool
from recon3d_ros.config.parameters import DEPTH_NODE
from recon3d_ros.system.share import share_path

# Arguments that are parameters of the node.
PARAMETERS = (
    "mode",
    "model",
    "rectify",
    "image_transport",
    "approximate_sync",
    "sync_tolerance_ms",
    "scale_sources",
    "camera_height_m",
    "camera_pitch_deg",
    "floor_frame",
    "autostart",
    "use_sim_time",
)
# Arguments that are topics: what they replace, each relative to the namespace.
TOPICS = {
    "left_image": ("left/image_rect", "left/image_raw"),
    "left_info": ("left/camera_info",),
    "right_image": ("right/image_rect", "right/image_raw"),
    "right_info": ("right/camera_info",),
    "image": ("image", "image_raw"),
    "camera_info": ("camera_info",),
    "points": ("points",),
    "scale_range": ("scale/range",),
    "scale_scan": ("scale/scan",),
    "scale_points": ("scale/points",),
    "scale_depth": ("scale/depth/image",),
    "scale_depth_info": ("scale/depth/camera_info",),
}
# Topics in config/recon3d.rviz; make_nodes says what stands in for each.
SHOWN = ("/points", "/depth/preview", "/left/image_rect")


def generate_launch_description():
    parameters = [
        DeclareLaunchArgument(name, default_value="", description=text)
        for name, text in describe(DEPTH_NODE, PARAMETERS).items()
    ]
    topics = [
        DeclareLaunchArgument(name, default_value="", description=f"topic instead of {' or '.join(replaced)}")
        for name, replaced in TOPICS.items()
    ]
    others = [
        DeclareLaunchArgument(
            "namespace", default_value="", description="namespace of the node and its topics"
        ),
        DeclareLaunchArgument(
            "params_file", default_value="", description="parameter file (YAML), see config/"
        ),
        DeclareLaunchArgument(
            "respawn", default_value="true", description="start the node again two seconds after it ended"
        ),
        DeclareLaunchArgument("rviz", default_value="false", description="start rviz"),
        DeclareLaunchArgument(
            "fixed_frame",
            default_value="camera_link",
            description="frame of RViz with z up, connected by tf with the optical frame of the images",
        ),
    ]
    return LaunchDescription([*parameters, *topics, *others, OpaqueFunction(function=make_nodes)])


def typed(given):
    """Keep texts as texts: launch_ros would make a number of the model 1e3."""
    return {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in given.items()
    }


def make_nodes(context):
    """The nodes, now that the values of the arguments are known."""

    def value(name):
        return LaunchConfiguration(name).perform(context)

    given = values(DEPTH_NODE, {name: value(name) for name in PARAMETERS})
    parameters = parameter_files(value("params_file"))
    remappings = [(old, value(name)) for name, replaced in TOPICS.items() for old in replaced if value(name)]
    depth_node = Node(
        package="recon3d_ros",
        executable="depth_node",
        name="depth_node",
        namespace=value("namespace"),
        parameters=[*parameters, typed(given)] if given else parameters,
        remappings=remappings,
        output="screen",
        emulate_tty=True,
        respawn=parse_bool("respawn", value("respawn")),
        respawn_delay=2.0,
    )
    stereo = given.get("mode", "stereo") == "stereo"
    image = value("left_image" if stereo else "image") or image_topics(stereo, given.get("rectify", False))[0]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=value("namespace"),
        arguments=["-d", str(share_path("config", "recon3d.rviz")), "-f", value("fixed_frame")],
        parameters=[{"use_sim_time": given.get("use_sim_time", False)}],
        remappings=list(zip(SHOWN, (value("points") or "points", "depth/preview", image))),
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return [depth_node, rviz]
