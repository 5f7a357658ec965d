"""Writes tf and odometry into a bag, for the tests."""

from __future__ import annotations

import numpy as np

from recon3d_ros.geometry.rotations import quaternions_of

TYPES = {
    "/tf": "tf2_msgs/msg/TFMessage",
    "/tf_static": "tf2_msgs/msg/TFMessage",
    "/odom": "nav_msgs/msg/Odometry",
}


def write_transforms(bag, stamp_ns, *edges, topic="/tf"):
    """(parent, child, T_parent_child) each, in one message, recorded a little late."""
    types = bag._store.types
    transforms = []
    for parent, child, matrix in edges:
        place = types["geometry_msgs/msg/Vector3"](*matrix[:3, 3])
        made = types["geometry_msgs/msg/Transform"](place, _turn(types, matrix))
        header = bag._header(stamp_ns, parent)
        transforms.append(types["geometry_msgs/msg/TransformStamped"](header, child, made))
    bag.write(topic, stamp_ns + 2_000_000, types["tf2_msgs/msg/TFMessage"](transforms))


def write_odometry(bag, stamp_ns, parent, child, matrix):
    """The same of one edge, as nav_msgs/Odometry on /odom."""
    types = bag._store.types
    pose = types["geometry_msgs/msg/Pose"](
        types["geometry_msgs/msg/Point"](*matrix[:3, 3]), _turn(types, matrix)
    )
    still = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    none = np.zeros(36)
    bag.write(
        "/odom",
        stamp_ns + 2_000_000,
        types["nav_msgs/msg/Odometry"](
            bag._header(stamp_ns, parent),
            child,
            types["geometry_msgs/msg/PoseWithCovariance"](pose, none),
            types["geometry_msgs/msg/TwistWithCovariance"](
                types["geometry_msgs/msg/Twist"](still, still), none
            ),
        ),
    )


def _turn(types, matrix):
    return types["geometry_msgs/msg/Quaternion"](*quaternions_of(matrix[None, :3, :3])[0])
