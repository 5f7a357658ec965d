"""`odom` and the transform of a camera whose motion the node estimates itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher

from recon3d_ros.config.mapper import MapNodeConfig
from recon3d_ros.geometry.rotations import quaternions_of
from recon3d_ros.odometry.alignment import inverse, logarithm
from recon3d_ros.ros.bridge.conversions import make_header
from recon3d_ros.ros.bridge.runtime import advertise, reliable_qos
from recon3d_ros.ros.bridge.transforms import TransformSource

ODOM, TF = "odom", "/tf"
_LONGEST_S = 1.0  # between two poses that tell a speed
Matrix = NDArray[np.float64]


class OdometryOutput:
    """Publishes where the robot is; `publish` belongs to the worker's thread.

    Covariances are left at 0, which is "not known": the odometry knows no measure of its drift.

    Args:
        node: who publishes.
        config: names of the frames, and whether tf is published.
        transforms: where the camera stands on the robot.

    Raises:
        ConfigError: a qos_overrides parameter is no value of its policy.
    """

    def __init__(self, node: Node, config: MapNodeConfig, transforms: TransformSource) -> None:
        self._node, self._config, self._transforms = node, config, transforms
        self._odom: Publisher = advertise(node, Odometry, ODOM)
        self._tf: Publisher | None = None
        self._tf_message: Any = None
        self._last: tuple[int, Matrix] | None = None
        if config.publish_tf:
            self._advertise_tf()

    def _advertise_tf(self) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            self._node.get_logger().warning(
                "expected tf2_msgs to publish the transform of the camera, got none: install "
                "ros-<distribution>-tf2-msgs with apt (there is no wheel); odom is published without it"
            )
            return
        self._tf_message, self._tf = TFMessage, advertise(self._node, TFMessage, TF, qos=reliable_qos(100))

    def close(self) -> None:
        """Take the topics back."""
        for publisher in (self._odom, self._tf):
            if publisher is not None:
                self._node.destroy_publisher(publisher)

    def publish(self, stamp_ns: int, T_map_camera: Matrix, frame_id: str) -> None:
        """Publish a pose; speeds come from it and the one before.

        Args:
            stamp_ns: Of the image.
            T_map_camera: (4, 4) float64 m.
            frame_id: Optical frame of the camera.

        Raises:
            FrameError: `base_frame` is not connected with the camera.
        """
        child, pose = frame_id, T_map_camera
        if self._config.base_frame:
            child = self._config.base_frame.lstrip("/")
            pose = T_map_camera @ inverse(self._transforms.lookup(child, frame_id, stamp_ns))
        msg = Odometry(header=make_header(stamp_ns, self._config.map_frame.lstrip("/")), child_frame_id=child)
        position, orientation = msg.pose.pose.position, msg.pose.pose.orientation
        _fill(position, orientation, pose)
        before, self._last = self._last, (stamp_ns, pose)
        seconds = 0.0 if before is None else (stamp_ns - before[0]) / 1e9
        if before is not None and 0 < seconds <= _LONGEST_S:
            rates = (logarithm(inverse(before[1]) @ pose) / seconds).tolist()
            turn, speed = msg.twist.twist.angular, msg.twist.twist.linear
            turn.x, turn.y, turn.z, speed.x, speed.y, speed.z = rates
        self._odom.publish(msg)
        if self._tf is not None:
            moved = TransformStamped(header=msg.header, child_frame_id=child)
            _fill(moved.transform.translation, moved.transform.rotation, pose)
            self._tf.publish(self._tf_message(transforms=[moved]))


def _fill(position: Any, orientation: Any, pose: Matrix) -> None:
    position.x, position.y, position.z = pose[:3, 3].tolist()
    x, y, z, w = quaternions_of(pose[None, :3, :3])[0].tolist()
    orientation.x, orientation.y, orientation.z, orientation.w = x, y, z, w
