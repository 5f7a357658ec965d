"""What is offered in place of a topic that nobody publishes: cameras, the likeliest name first."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from recon3d_ros.ros.doctor.checks import check_publishers
from recon3d_ros.ros.doctor.topic_monitor import TopicMonitor
from recon3d_ros.ros.output.outputs import TYPES

PUBLISHED = {
    "/above/rect": Image,
    "/truth/depth": Image,  # of image_source
    "/rgbd/depth/image_rect_raw": Image,
    "/left/image_rect": Image,
    "/left/camera_info": CameraInfo,
    "/right/image_rect": Image,
    "/right/camera_info": CameraInfo,
}


@pytest.fixture(scope="module")
def node():
    """Sees cameras, and the depth node that listens to them."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = Node("looks", context=context)
    for topic, kind in (PUBLISHED | {f"/{name}": kind for name, kind in TYPES.items()}).items():
        node.create_publisher(kind, topic, 1)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("topic", "kind", "offered"),
    [
        ("/front/right/image_rect", Image, ["/right/image_rect", "/above/rect"]),
        ("/front/left/camera_info", CameraInfo, ["/left/camera_info"]),
        ("/image", Image, ["/above/rect", "/left/image_rect", "/right/image_rect"]),
        ("/foo", Image, ["/above/rect", "/left/image_rect", "/right/image_rect"]),
    ],
)
def test_cameras_are_offered_and_no_outputs(node, topic, kind, offered):
    (finding,) = check_publishers(node, TopicMonitor(node, topic, kind), is_image=kind is Image)
    assert finding.kind == "missing"
    assert finding.message.endswith(f"remap it to one of {', '.join(offered)}")


def test_the_other_side_and_outputs_alone_are_no_remedy(node):
    node.create_publisher(CameraInfo, "/one/depth/camera_info", 1)
    monitor = TopicMonitor(node, "/right/rectified", CameraInfo)
    (finding,) = check_publishers(node, monitor, is_image=False)
    assert finding.message.endswith("remap it to one of /right/camera_info")
