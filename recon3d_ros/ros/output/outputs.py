"""What one camera's channel publishes, each computed only if somebody subscribes."""

from __future__ import annotations

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from stereo_msgs.msg import DisparityImage

from recon3d_ros.config import NodeConfig, PipelineConfig
from recon3d_ros.errors import FrameError
from recon3d_ros.files import colour_depth
from recon3d_ros.geometry import Cloud, Frame, OrganizedCloud
from recon3d_ros.geometry.level import level_transform
from recon3d_ros.geometry.transform import transform_cloud
from recon3d_ros.pipeline import Pipeline, RequestedOutputs, Result
from recon3d_ros.ros.bridge.conversions import (
    camera_to_info,
    compressed_to_msg,
    depth_to_compressed_msg,
    disparity_to_msg,
)
from recon3d_ros.ros.bridge.runtime import advertise, transported
from recon3d_ros.ros.bridge.transforms import TransformSource
from recon3d_ros.ros.output.cloud_message import CloudMessages, list_to_msg
from recon3d_ros.ros.output.diagnostics import scale_to_msg
from recon3d_ros.ros.output.image_message import ImageMessage, write_depth
from recon3d_ros.ros.scale.report import ScaleState

POINTS, FREE, GROUND, OBSTACLES = "points", "points_free", "points_ground", "points_obstacles"
DEPTH, INFO, PREVIEW = "depth/image", "depth/camera_info", "depth/preview"
# Of DEPTH and PREVIEW, by the names of image_transport.
DEPTH_PNG, PREVIEW_JPEG = "depth/image/compressedDepth", "depth/preview/compressed"
CONFIDENCE, SIGMA, DISPARITY, SCALE = "confidence", "depth/sigma", "disparity", "scale"
TYPES = {
    POINTS: PointCloud2,
    FREE: PointCloud2,
    GROUND: PointCloud2,
    OBSTACLES: PointCloud2,
    DEPTH: Image,
    DEPTH_PNG: CompressedImage,
    INFO: CameraInfo,
    PREVIEW: Image,
    PREVIEW_JPEG: CompressedImage,
    CONFIDENCE: Image,
    SIGMA: Image,
    DISPARITY: DisparityImage,
    SCALE: DiagnosticArray,
}
_NEAREST_M = 0.05  # of the preview's colours where min_depth_m is 0


class Outputs:
    """The publishers of one camera; `prepare`, `requested` and `publish` belong to the worker's thread.

    Args:
        node: who publishes.
        stereo: whether there is a disparity, else there is a scale.
        config: depth_encoding, target_frame and labels_frame at start.
        prefix: namespace of the camera, put before every topic; empty for the only one.
        transforms: where `target_frame` and `labels_frame` are looked up.

    Raises:
        MissingDependencyError: see `configure`.
        ConfigError: a qos_overrides parameter is no value of its policy.
    """

    def __init__(
        self,
        node: Node,
        stereo: bool,
        config: NodeConfig | None = None,
        prefix: str = "",
        transforms: TransformSource | None = None,
    ) -> None:
        self._node, self._camera, self._transforms = node, prefix or "depth", transforms
        self.configure(config or NodeConfig())
        self._publishers: dict[str, Publisher] = {}
        for name, msg_type in TYPES.items():
            if name != (SCALE if stereo else DISPARITY):
                self._publishers[name] = advertise(node, msg_type, _topic(node, prefix, name))
        self._clouds = CloudMessages()
        self._images = {name: ImageMessage() for name in (DEPTH, PREVIEW, CONFIDENCE, SIGMA)}
        self._cloud: PointCloud2 | None = None
        self._limits = PipelineConfig()
        self._warned: set[str] = set()
        self.requested = RequestedOutputs(cloud=False, free=False, labelled=False)

    def configure(self, config: NodeConfig) -> None:
        """Change depth_encoding and the names of frames from the next frame on; not for the worker's thread.

        Raises:
            MissingDependencyError: what would look target_frame up is not installed; nothing changes.
        """
        if (config.target_frame or config.labels_frame) and self._transforms is not None:
            self._transforms.start()
        self._config = config

    def subscriber_count(self) -> int:
        """How many subscriptions there are to all outputs."""
        return sum(publisher.get_subscription_count() for publisher in self._publishers.values())

    def wanted(self) -> bool:
        """Whether anybody subscribes to anything."""
        # get_subscription_count: matched events are newer than Humble.
        return any(publisher.get_subscription_count() > 0 for publisher in self._publishers.values())

    def close(self) -> None:
        """Take the topics back; the worker is done with them."""
        while self._publishers:
            self._node.destroy_publisher(self._publishers.popitem()[1])

    def prepare(self, frame: Frame, pipeline: Pipeline) -> np.ndarray | None:
        """See who subscribes, into `requested`, and make room for the cloud of this frame.

        Returns:
            (H, W, F) float32 view of the next message; None when nobody subscribes to clouds, or when the
            pipeline makes unorganized ones, whose size is known only afterwards.
        """
        self._limits = pipeline.config
        self.requested = RequestedOutputs(
            cloud=self._has_subscribers(POINTS),
            free=self._has_subscribers(FREE),
            labelled=self._has_subscribers(GROUND) or self._has_subscribers(OBSTACLES),
        )
        if self.requested.labelled and pipeline.labeller is None:
            name = GROUND if self._has_subscribers(GROUND) else OBSTACLES
            self._warn_once(name, "set point_labels, which is empty, to a model that labels points")
        if self.requested.free and not pipeline.config.free_space_frames:
            self._warn_once(
                FREE,
                "set free_space_frames, which is 0, to the number of frames that make a pixel free space",
            )
        self._cloud = None
        layout = pipeline.cloud_layout(frame) if self.requested.cloud else None
        if layout is None:
            return None
        shape_hw, fields = layout
        self._cloud, points = self._clouds.take(shape_hw, frame.stamp_ns, frame.frame_id, fields)
        return points

    def level_transform(self, frame: Frame) -> NDArray[np.float64] | None:
        """(4, 4) T_level_optical of a frame, from `labels_frame`; None without one: the floor has to tell.

        Raises:
            FrameError: It is not known.
        """
        ground_frame = self._config.labels_frame
        if not ground_frame or self._transforms is None:
            return None
        transform = self._transforms.lookup(ground_frame, frame.frame_id, frame.stamp_ns)
        return level_transform(transform[2, :3], float(transform[2, 3]))

    def publish(self, frame: Frame, result: Result) -> None:
        """Publish what is wanted; with a target_frame copies of the clouds of `result`, moved into it.

        Raises:
            FrameError: the clouds stayed behind for want of a transform; images went out all the same.
        """
        config = self._config  # read once: another thread may replace it
        try:
            self._publish_clouds(frame, result, config.target_frame)
        finally:
            self._publish_images(frame, result, config.depth_encoding)

    def publish_scale(self, frame: Frame, state: ScaleState) -> None:
        """Publish the scale of a frame, trusted or not, if somebody wants it."""
        if self._has_subscribers(SCALE):
            name = f"{self._node.get_fully_qualified_name()}: {self._camera}"
            self._publishers[SCALE].publish(scale_to_msg(state, name, frame.stamp_ns, frame.frame_id))

    def _has_subscribers(self, name: str) -> bool:
        publisher = self._publishers.get(name)
        return publisher is not None and publisher.get_subscription_count() > 0

    def _warn_once(self, name: str, remedy: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            self._node.get_logger().warning(
                f"expected data to publish on {self._publishers[name].topic_name}, got none; {remedy}"
            )

    def _publish_clouds(self, frame: Frame, result: Result, target_frame: str) -> None:
        clouds = {
            POINTS: result.cloud if self.requested.cloud else None,
            FREE: result.free_points if self.requested.free else None,
            GROUND: result.ground if self._has_subscribers(GROUND) else None,
            OBSTACLES: result.obstacles if self._has_subscribers(OBSTACLES) else None,
        }
        wanted = {name: cloud for name, cloud in clouds.items() if cloud is not None}
        if not wanted:
            return
        transform = None
        if target_frame and target_frame != frame.frame_id:
            if self._transforms is None:
                raise FrameError(
                    f"expected a source of transforms for target_frame {target_frame!r}, got none; "
                    "leave target_frame empty or run the node with tf2."
                )
            transform = self._transforms.lookup(target_frame, frame.frame_id, frame.stamp_ns)
        for name, cloud in wanted.items():
            if transform is None:
                msg = self._cloud_message(cloud, frame.stamp_ns)
            else:
                msg = self._transformed_message(cloud, transform, target_frame, frame.stamp_ns)
            self._publishers[name].publish(msg)

    def _cloud_message(self, cloud: Cloud, stamp_ns: int) -> PointCloud2:
        """The message of a cloud; an organized one was packed into the message that `prepare` took."""
        if cloud.organized and self._cloud is not None:
            return self._cloud  # all others are lists
        return list_to_msg(cloud.data, cloud.fields, stamp_ns, cloud.frame_id)

    def _transformed_message(
        self, cloud: Cloud, transform: NDArray[np.float64], target_frame: str, stamp_ns: int
    ) -> PointCloud2:
        """The message of a cloud in another frame; the cloud, which `~/save` may want, stays as it is."""
        if not isinstance(cloud, OrganizedCloud):
            moved = transform_cloud(cloud, transform, target_frame)
            return list_to_msg(moved.data, moved.fields, stamp_ns, target_frame)
        msg, points = self._clouds.take(cloud.shape_hw, stamp_ns, target_frame, cloud.fields)
        transform_cloud(cloud, transform, target_frame, points)
        return msg

    def _publish_images(self, frame: Frame, result: Result, depth_encoding: str) -> None:
        found, stamped = result.depth_map, (frame.stamp_ns, frame.frame_id)
        shape_hw = found.depth.shape
        raw, packed = self._has_subscribers(DEPTH), self._has_subscribers(DEPTH_PNG)
        if raw or packed:
            msg, pixels = self._images[DEPTH].take(shape_hw, depth_encoding, *stamped)
            write_depth(found.depth, pixels)
            if raw:
                self._publishers[DEPTH].publish(msg)
            if packed:
                self._publishers[DEPTH_PNG].publish(depth_to_compressed_msg(pixels, *stamped))
        if self._has_subscribers(INFO):
            self._publishers[INFO].publish(camera_to_info(found.camera, *stamped))
        self._publish_preview(found.depth, stamped)
        self._publish_plane(CONFIDENCE, found.confidence, stamped)
        self._publish_plane(SIGMA, found.sigma_m, stamped)
        if self._has_subscribers(DISPARITY) and found.disparity is not None and frame.rig is not None:
            limits_m = (self._limits.min_depth_m, self._limits.max_depth_m)
            self._publishers[DISPARITY].publish(
                disparity_to_msg(found.disparity, frame.rig, limits_m, self._limits.border_px, *stamped)
            )

    def _publish_preview(self, depth: np.ndarray, stamped: tuple[int, str]) -> None:
        raw, packed = self._has_subscribers(PREVIEW), self._has_subscribers(PREVIEW_JPEG)
        if not (raw or packed):
            return
        nearest_m = max(self._limits.min_depth_m, _NEAREST_M)
        picture = colour_depth(depth, nearest_m, self._limits.max_depth_m)
        if raw:
            msg, pixels = self._images[PREVIEW].take(depth.shape, "rgb8", *stamped)
            pixels[:] = picture
            self._publishers[PREVIEW].publish(msg)
        if packed:
            self._publishers[PREVIEW_JPEG].publish(compressed_to_msg(picture, *stamped))

    def _publish_plane(self, name: str, plane: np.ndarray | None, stamped: tuple[int, str]) -> None:
        """What a model says of its depth, if somebody wants it."""
        if not self._has_subscribers(name):
            return
        if plane is None:
            what = "confidence" if name == CONFIDENCE else "sigma"
            self._warn_once(name, f"use a model with a {what} output (recon3d models lists them)")
            return
        msg, pixels = self._images[name].take(plane.shape, "32FC1", *stamped)
        np.copyto(pixels, plane)
        self._publishers[name].publish(msg)


def _topic(node: Node, prefix: str, name: str) -> str:
    """The topic of an output; remapping an image moves its compressed topic, as in image_transport."""
    topic = f"{prefix}/{name}" if prefix else name
    if name not in (DEPTH_PNG, PREVIEW_JPEG):
        return topic
    base, _, transport = topic.rpartition("/")
    return transported(node, base, transport)
