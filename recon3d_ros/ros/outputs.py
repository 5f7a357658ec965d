"""What the depth node publishes, each computed only if somebody subscribes."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from stereo_msgs.msg import DisparityImage

from recon3d_ros.config import PipelineConfig
from recon3d_ros.geometry import Frame
from recon3d_ros.pipeline import Result
from recon3d_ros.ros.cloud_message import CloudMessages
from recon3d_ros.ros.conversions import camera_to_info, depth_to_msg, disparity_to_msg
from recon3d_ros.ros.runtime import advertise


class Outputs:
    """The publishers of one node; `prepare` and `publish` belong to the worker's thread.

    Args:
        node: who publishes.
        stereo: whether there is a disparity.
    """

    def __init__(self, node: Node, stereo: bool) -> None:
        self._points = advertise(node, PointCloud2, "points")
        self._depth = advertise(node, Image, "depth/image")
        self._depth_info = advertise(node, CameraInfo, "depth/camera_info")
        self._disparity = advertise(node, DisparityImage, "disparity") if stereo else None
        self._clouds = CloudMessages()
        self._cloud: PointCloud2 | None = None

    def wanted(self) -> bool:
        """Whether anybody subscribes to anything."""
        publishers = [self._points, self._depth, self._depth_info, self._disparity]
        # get_subscription_count: matched events are newer than Humble.
        return any(p is not None and p.get_subscription_count() > 0 for p in publishers)

    def prepare(self, frame: Frame, frame_id: str) -> np.ndarray | None:
        """Return where the cloud of this frame shall be packed, None when nobody subscribes to clouds.

        Returns:
            (H, W, 4) float32 view of the next message.
        """
        self._cloud = None
        if self._points.get_subscription_count() == 0:
            return None
        self._cloud, points = self._clouds.take(frame.camera.image_shape_hw, frame.stamp_ns, frame_id)
        return points

    def publish(self, frame: Frame, frame_id: str, result: Result, config: PipelineConfig) -> None:
        """Publish what is wanted; the cloud is the one that `prepare` made room for."""
        if self._cloud is not None:
            self._points.publish(self._cloud)
        stamped = (frame.stamp_ns, frame_id)
        if self._depth.get_subscription_count() > 0:
            self._depth.publish(depth_to_msg(result.depth_map.depth, *stamped))
        if self._depth_info.get_subscription_count() > 0:
            self._depth_info.publish(camera_to_info(result.depth_map.camera, *stamped))
        disparity, rig = result.depth_map.disparity, frame.rig
        if self._disparity is None or disparity is None or rig is None:
            return
        if self._disparity.get_subscription_count() > 0:
            limits_m = (config.min_depth_m, config.max_depth_m)
            self._disparity.publish(disparity_to_msg(disparity, rig, limits_m, config.border_px, *stamped))
