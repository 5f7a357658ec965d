"""The depth node, and rviz if wanted; stereo.launch.py and mono.launch.py are this with a mode.

An argument that is not given leaves its parameter to depth_params_file, and to the node's default.
"""

from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from recon3d_ros.config.camera_topics import image_topics
from recon3d_ros.config.launch_arguments import describe, parameter_files, values
from recon3d_ros.config.parameters import DEPTH_NODE
from recon3d_ros.ros.bridge.launching import can_show_rviz, depth_node, described, typed, words_of
from recon3d_ros.system.share import share_path

# Arguments that are parameters of the node.
PARAMETERS = (
    "mode",
    "model",
    "depth_from",
    "motion_frame",
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
OTHERS = {
    "namespace": "namespace of the node and its topics",
    "params_file": "parameter file (YAML), see config/",
    "respawn": "start the node again when it ended, after 2 s and longer (default: true)",
    "log_level": "debug, info, warn, error or fatal, of one logger: depth_node:=debug (default: info)",
    "rviz": "start rviz (default: false)",
    "fixed_frame": "frame of RViz with z up, connected by tf with the optical frame of the images (default: "
    "camera_link)",
}
# Topics in config/recon3d.rviz; make_nodes says what stands in for each.
SHOWN = ("/points", "/depth/preview", "/left/image_rect", "/confidence", "/map/mesh", "/map/grid")


def generate_launch_description():
    topics = {name: f"topic instead of {' or '.join(replaced)}" for name, replaced in TOPICS.items()}
    arguments = {**describe(DEPTH_NODE, PARAMETERS), **topics, **OTHERS}
    return described(arguments, [OpaqueFunction(function=make_nodes)])


def make_nodes(context):
    """The nodes, now that the values of the arguments are known."""
    words = words_of(context, (*PARAMETERS, *TOPICS, *OTHERS))
    given = values(DEPTH_NODE, {name: words[name] for name in PARAMETERS})
    parameters = parameter_files(words["params_file"])
    remappings = [(old, words[name]) for name, replaced in TOPICS.items() for old in replaced if words[name]]
    nodes = depth_node(
        words["respawn"],
        words["log_level"],
        namespace=words["namespace"],
        parameters=[*parameters, typed(given)] if given else parameters,
        remappings=remappings,
    )
    if not can_show_rviz(words["rviz"]):
        return nodes
    stereo = given.get("mode", "stereo") == "stereo"
    frame = words["fixed_frame"] or "camera_link"
    image = words["left_image" if stereo else "image"] or image_topics(stereo, given.get("rectify", False))[0]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=words["namespace"],
        arguments=[
            "-d",
            str(share_path("config", "recon3d.rviz")),
            "-f",
            frame,
        ],
        parameters=[{"use_sim_time": given.get("use_sim_time", False)}],
        remappings=list(
            zip(SHOWN, (words["points"] or "points", "depth/preview", image, *(t[1:] for t in SHOWN[3:])))
        ),
    )
    return [*nodes, rviz]
