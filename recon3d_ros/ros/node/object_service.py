"""`~/complete_object`: the object in a box of the next frame, completed by a network, on a topic of its own.

What it says is guessed: it is published as `points_object` with the field `guessed`, and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from recon3d_ros.config import NodeConfig
from recon3d_ros.errors import Recon3dError
from recon3d_ros.estimation.completion import ObjectCompleter, guessed_cloud, object_points
from recon3d_ros.geometry import Frame
from recon3d_ros.pipeline import Result
from recon3d_ros.ros.bridge.pending_response import PendingResponse
from recon3d_ros.ros.bridge.runtime import advertise
from recon3d_ros.ros.node.channel import CameraChannel
from recon3d_ros.ros.output.cloud_message import list_to_msg

TOPIC = "points_object"
PATIENCE_S = 10.0
_THREADS = 1  # the model of depth has the others


class _Request(PendingResponse):
    """One call of the service; the worker's thread completes it, the executor responds."""

    def __init__(self, channel: CameraChannel) -> None:
        super().__init__()
        self.channel = channel
        self.deadline = time.monotonic() + PATIENCE_S


class ObjectService:
    """Responds when the object is published, while the executor goes on.

    Args:
        node: who offers the service.
        channels: the cameras of the active node, of which the first one is looked at; none while not active.
        config: which model and which box.
    """

    def __init__(
        self, node: Node, channels: Callable[[], Sequence[CameraChannel]], config: Callable[[], NodeConfig]
    ) -> None:
        self._channels, self._config = channels, config
        self._request: _Request | None = None
        self._completer: tuple[str, ObjectCompleter] | None = None  # of the worker's thread
        # The last object stays for whoever subscribes after the call.
        kept = QoSProfile(
            depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self._publisher: Publisher = advertise(node, PointCloud2, TOPIC, qos=kept)
        # A group of its own: while the response waits for a frame its group executes nothing else.
        node.create_service(
            Trigger, "~/complete_object", self._on_call, callback_group=ReentrantCallbackGroup()
        )

    async def _on_call(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        channels, config = self._channels(), self._config()
        if self._request is not None:
            response.message = "an object is already being completed: call again when it is done"
        elif not channels:
            response.message = "the node is not active, so there are no frames: activate it first"
        elif not config.completion_model or config.object_box_px is None:
            response.message = (
                "expected completion_model and object_box to say which model and which box, got "
                f"{config.completion_model!r} and {config.object_box!r}: set both parameters"
            )
        else:
            try:
                response.success, response.message = await self._complete_next(channels[0], config)
            except Exception as exc:  # the seam: what leaves a service's callback ends the node
                response.message = f"cannot complete an object ({type(exc).__name__}: {exc})"
        return response

    async def _complete_next(self, channel: CameraChannel, config: NodeConfig) -> tuple[bool, str]:
        request = self._request = _Request(channel)
        try:
            channel.request_result(partial(self._complete, request, config), owner=self)
            success, message = await request.future
            return success, message
        finally:
            self._request = None
            channel.request_result(None, owner=self)

    def tick(self) -> None:
        """Give up on a camera that sends nothing; the executor calls it now and then."""
        request = self._request
        if request is None:
            return
        if not self._channels():
            request.finish(False, "the node was deactivated before a frame arrived")
        elif time.monotonic() > request.deadline:
            topics = " and ".join(request.channel.image_topics)
            request.finish(
                False,
                f"expected a frame on {topics} within {PATIENCE_S:.0f} s, got none that can be processed; "
                "see /diagnostics",
            )

    def _complete(self, request: _Request, config: NodeConfig, frame: Frame, result: Result) -> None:
        """Complete the object of one frame and publish it; in the worker's thread."""
        try:
            message = self._publish_object(config, frame, result)
        except Recon3dError as exc:
            request.finish(False, str(exc))
        except Exception as exc:  # the frame itself was published: no reason to count it as lost
            request.finish(False, f"{type(exc).__name__}: {exc}")
        else:
            request.finish(True, message)

    def _publish_object(self, config: NodeConfig, frame: Frame, result: Result) -> str:
        box = config.object_box_px
        assert box is not None  # the call has seen it
        depth_map = result.depth_map
        seen = object_points(depth_map.depth, depth_map.camera, box)
        completed = self._opened(config.completion_model).complete(seen)
        cloud = guessed_cloud(completed, seen)
        self._publisher.publish(list_to_msg(cloud.data, cloud.fields, frame.stamp_ns, frame.frame_id))
        return f"{len(seen)} points seen, {len(completed)} guessed, on {self._publisher.topic_name}"

    def _opened(self, model: str) -> ObjectCompleter:
        """The model, opened with the first call; another one when the parameter has changed."""
        if self._completer is None or self._completer[0] != model:
            opened = ObjectCompleter.open(model, threads=_THREADS)
            if self._completer is not None:
                self._completer[1].close()
            self._completer = model, opened
        return self._completer[1]
