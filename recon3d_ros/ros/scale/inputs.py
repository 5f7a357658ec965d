"""The topics of one camera that give its model's scale: what they know of an image, or why nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan, PointCloud2, Range

from recon3d_ros.config.camera_topics import transport_topic
from recon3d_ros.config.scale_inputs import ScalePlan
from recon3d_ros.errors import DataError, FrameError, Recon3dError
from recon3d_ros.geometry import Frame, PinholeCamera
from recon3d_ros.messages.camera_info import info_to_camera
from recon3d_ros.messages.depth import depth_from_compressed
from recon3d_ros.ros.bridge.conversions import depth_from_msg, stamp_to_ns
from recon3d_ros.ros.bridge.runtime import subscribe, transported
from recon3d_ros.ros.bridge.transforms import TransformSource
from recon3d_ros.ros.scale.messages import cloud_to_points, range_to_anchors, scan_to_points
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.scale import Anchors, Mount, Observation, Scale, from_depth_image, from_points

NS_PER_MS = 1_000_000
DEPTH_INFO = "scale/depth/camera_info"


class Topic(NamedTuple):
    """Where a source comes from, and how many messages wait for the image they belong to."""

    name: str
    msg_type: type
    kept: int


# A model may take half a second: what is measured meanwhile must not push out what belongs to the image.
TOPICS = {
    "range": Topic("scale/range", Range, 64),
    "scan": Topic("scale/scan", LaserScan, 32),
    "points": Topic("scale/points", PointCloud2, 16),
    "depth_image": Topic("scale/depth/image", Image, 16),
}


class Observed(NamedTuple):
    """What the sources know of one image, and why the others know nothing, one sentence each."""

    observations: tuple[Observation, ...]
    unused: Mapping[str, str]


NOTHING_OBSERVED = Observed((), {})


class ScaleInputs:
    """Callbacks keep messages; `observe`, in the worker's thread, looks for those that belong to an image.

    Subscriptions exist between `open` and `close`, which the channel calls with those of its images.

    Args:
        node: who subscribes.
        prefix: of the camera's topics, such as "front/".
        plan: the sources at start.
        transforms: where frames are looked up; whoever makes a plan that needs it has started it.
    """

    def __init__(
        self, node: Node, prefix: str, plan: ScalePlan, transforms: TransformSource | None = None
    ) -> None:
        self._node, self._prefix, self._transforms = node, prefix, transforms
        self._lock = Lock()
        self._subscriptions: list[Subscription] = []
        self._depth_info: CameraInfo | None = None
        self._is_open = False
        self._plan = plan
        self._state: ScaleState | None = None
        self._use(plan)

    def configure(self, plan: ScalePlan) -> None:
        """Take other sources from the next image on; subscriptions follow.

        Raises:
            ConfigError: a QoS override is no value of its policy; the sources stay as they were.
        """
        if not plan.config.is_on:
            self._state = None  # the count begins anew when the scale is asked for again
        if _subscribed(plan) == _subscribed(self._plan):
            self._plan = plan
            return
        before, was_open = self._plan, self._is_open
        self.close()
        self._use(plan)
        if not was_open:
            return
        try:
            self.open()
        except BaseException:
            self.close()
            self._use(before)
            self.open()
            raise

    def open(self) -> None:
        """Subscribe to what the plan names.

        Raises:
            ConfigError: a QoS override is no value of its policy.
        """
        self._is_open = True
        group = MutuallyExclusiveCallbackGroup()
        topics = [(self._type(name), TOPICS[name].name, self._keep(name)) for name in self._plan.sensors]
        if "depth_image" in self._plan.sensors:
            topics.append((CameraInfo, DEPTH_INFO, self._keep_info))
        for msg_type, topic, callback in topics:
            name = self._prefix + topic
            if msg_type is CompressedImage:
                name = transported(self._node, name, self._plan.inputs.scale_depth_transport)
            self._subscriptions.append(subscribe(self._node, msg_type, name, callback, callback_group=group))

    def close(self) -> None:
        """Subscribe to nothing, keep nothing."""
        self._is_open = False
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        self.forget()

    def forget(self) -> None:
        """Drop all messages: time has jumped, and stamps mean other moments now."""
        with self._lock:
            for messages in self._kept.values():
                messages.clear()

    def observe(self, frame: Frame) -> Observed:
        """Return what is known of the depth of a frame; a source that fails costs no frame.

        Args:
            frame: rectified image.
        """
        plan = self._plan  # read once: another thread may replace it
        asked: list[tuple[str, Callable[[], Observation]]] = [
            (source, partial(self._anchors, plan, source, frame)) for source in plan.sensors
        ]
        if plan.floor_frame:
            asked.append(("floor", partial(self._mount, plan, frame)))
        found: list[Observation] = []
        unused: dict[str, str] = {}
        for source, query in asked:
            try:
                found.append(query())
            except Recon3dError as exc:
                unused[source] = str(exc)
            except Exception as exc:  # the seam: whatever a strange message causes, depth goes on without it
                unused[source] = f"{type(exc).__name__}: {exc}"
        return Observed(tuple(found), unused)

    def count(self, scale: Scale, asked: Sequence[str], observed: Observed) -> ScaleState:
        """Count a frame for its sources; for the worker's thread.

        Args:
            scale: of the frame.
            asked: the sources of the scale.
            observed: what they knew of the frame.
        """
        self._state = ScaleState.after(self._state, scale, asked, observed.unused)
        return self._state

    def _use(self, plan: ScalePlan) -> None:
        with self._lock:
            self._kept: dict[str, deque[tuple[int, Any]]] = {
                source: deque(maxlen=TOPICS[source].kept) for source in plan.sensors
            }
        self._plan = plan

    def _keep(self, source: str) -> Callable[[Any], None]:
        def keep(msg: Any) -> None:
            with self._lock:
                if source in self._kept:  # a last message may come after its subscription is gone
                    self._kept[source].append((stamp_to_ns(msg.header.stamp), msg))

        return keep

    def _keep_info(self, msg: CameraInfo) -> None:
        self._depth_info = msg

    def _anchors(self, plan: ScalePlan, source: str, frame: Frame) -> Anchors:
        topic = self._topic(TOPICS[source].name)
        msg = self._nearest(source, topic, frame.stamp_ns, plan.inputs.scale_tolerance_ms)
        pose = plan.poses.get(source)
        if pose is None:
            pose = self._lookup(frame.frame_id, msg.header.frame_id, frame.stamp_ns)
        anchors = self._read(source, msg, frame.camera, pose)
        if not len(anchors):
            raise DataError(
                f"expected distances inside the image on {topic}, got {anchors.dropped} that are invalid "
                "or outside the image; check the direction of the sensor and its pose"
            )
        return anchors

    def _type(self, source: str) -> type:
        packed = source == "depth_image" and self._plan.inputs.scale_depth_transport != "raw"
        return CompressedImage if packed else TOPICS[source].msg_type

    def _topic(self, name: str) -> str:
        topic = str(self._node.resolve_topic_name(self._prefix + name))
        is_depth = name == TOPICS["depth_image"].name
        return transport_topic(topic, self._plan.inputs.scale_depth_transport) if is_depth else topic

    def _nearest(self, source: str, topic: str, stamp_ns: int, tolerance_ms: float) -> Any:
        with self._lock:
            kept = list(self._kept.get(source, ()))
        if not kept:
            raise DataError(
                f"expected messages on {topic}, got none; start their publisher or remap the topic"
            )
        found_ns, msg = min(kept, key=lambda item: abs(item[0] - stamp_ns))
        gap_ms = abs(found_ns - stamp_ns) / NS_PER_MS
        if gap_ms > tolerance_ms:
            raise DataError(
                f"expected a message on {topic} at most {tolerance_ms:g} ms from the image, got "
                f"{gap_ms:.0f} ms; synchronize the clocks, or raise scale_tolerance_ms"
            )
        return msg

    def _lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> NDArray[np.float64]:
        if self._transforms is None:
            raise FrameError(
                f"expected a source of transforms from {source_frame!r} to {target_frame!r}, got none; "
                "give scale_poses or run the node with tf2."
            )
        return self._transforms.lookup(target_frame, source_frame, stamp_ns)

    def _mount(self, plan: ScalePlan, frame: Frame) -> Mount:
        """How the camera hangs: the z axis of the floor's frame points up (REP 103)."""
        pose = self._lookup(plan.floor_frame, frame.frame_id, frame.stamp_ns)
        return Mount(plan.config.camera_height_m or float(pose[2, 3]), -pose[2, :3])

    def _read(self, source: str, msg: Any, camera: PinholeCamera, pose: NDArray[np.float64]) -> Anchors:
        if source == "range":
            return range_to_anchors(msg, camera, pose)
        if source == "depth_image":
            if self._depth_info is None:
                topic = self._topic(DEPTH_INFO)
                raise DataError(f"expected camera_info on {topic}, got none; publish it or remap the topic")
            depth_camera = info_to_camera(self._depth_info, rectified=True).as_rectified()
            read = depth_from_compressed if isinstance(msg, CompressedImage) else depth_from_msg
            return from_depth_image(source, read(msg), camera, depth_camera, pose)
        points = scan_to_points(msg) if source == "scan" else cloud_to_points(msg)
        return from_points(source, points @ pose[:3, :3].T + pose[:3, 3], camera)


def _subscribed(plan: ScalePlan) -> tuple[Any, ...]:
    return plan.sensors, plan.inputs.scale_depth_transport
