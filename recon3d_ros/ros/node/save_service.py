"""`~/save`: the next frame of every camera to a folder, for bug reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from recon3d_ros.errors import Recon3dError
from recon3d_ros.geometry import Frame
from recon3d_ros.messages.intake import RawFrame
from recon3d_ros.pipeline import Result
from recon3d_ros.ros.node.channel import CameraChannel
from recon3d_ros.ros.node.saving import save_frame

PATIENCE_S = 10.0


class _Answers:
    """What came of every camera; filled by the worker's thread, read by the executor's."""

    def __init__(self, channels: Sequence[CameraChannel], folder: Path) -> None:
        self.channels, self.folder = channels, folder
        self.deadline = time.monotonic() + PATIENCE_S
        self.future: Future = Future()
        self._lock = Lock()
        self._paths: list[str] = []
        self._failure = ""

    def add(self, path: str, failure: str = "") -> None:
        with self._lock:
            self._paths.append(path)
            self._failure = self._failure or failure
            complete = len(self._paths) == len(self.channels)
        if complete or failure:
            self.finish(self._failure)

    def finish(self, failure: str = "") -> None:
        with self._lock:
            if not self.future.done():
                self.future.set_result((not failure, failure or ", ".join(self._paths)))


class SaveService:
    """Answers when the frames are written, while the executor goes on.

    Args:
        node: who offers the service.
        channels: the cameras of the active node; none while it is not active.
        folder: where to.
        parameters: what else belongs to the frame.
    """

    def __init__(
        self,
        node: Node,
        channels: Callable[[], Sequence[CameraChannel]],
        folder: Callable[[], str],
        parameters: Callable[[], dict[str, Any]],
    ) -> None:
        self._channels, self._folder, self._parameters = channels, folder, parameters
        self._answers: _Answers | None = None
        # A group of its own: while the answer waits for a frame its group executes nothing else.
        node.create_service(Trigger, "~/save", self._on_save, callback_group=ReentrantCallbackGroup())

    async def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        channels = self._channels()
        if self._answers is not None:
            response.message = "a frame is being saved already: wait for its answer"
        elif not channels:
            response.message = "the node is not active, so there are no frames: activate it first"
        else:
            try:
                response.success, response.message = await self._ask(channels)
            except Exception as exc:  # the seam: what leaves a service's callback ends the node
                response.message = f"cannot save a frame ({type(exc).__name__}: {exc}): check save_folder"
        return response

    async def _ask(self, channels: Sequence[CameraChannel]) -> tuple[bool, str]:
        """Ask every camera for its next frame; whether all are written, and where, or why not."""
        answers = _Answers(channels, Path(self._folder()).expanduser())
        self._answers = answers
        try:
            for channel in channels:
                channel.ask(partial(self._save, answers, channel, self._parameters()))
            success, message = await answers.future
            return success, message
        finally:
            self._answers = None
            for channel in channels:
                channel.ask(None)

    def tick(self) -> None:
        """Give up on cameras that send nothing; the executor calls it now and then."""
        answers = self._answers
        if answers is None:
            return
        if not self._channels():
            answers.finish("the node was deactivated before a frame came")
        elif time.monotonic() > answers.deadline:
            topics = " and ".join(topic for channel in answers.channels for topic in channel.image_topics)
            answers.finish(
                f"expected a frame within {PATIENCE_S:.0f} s, got none; see /diagnostics on {topics}"
            )

    @staticmethod
    def _save(
        answers: _Answers,
        channel: CameraChannel,
        parameters: dict[str, Any],
        raw: RawFrame,
        frame: Frame,
        result: Result,
    ) -> None:
        """Write one frame; in the worker's thread, whose buffers the frame and the result are."""
        folder = answers.folder / channel.name if channel.name else answers.folder
        try:
            path = save_frame(folder, frame, result, channel.infos, parameters)
        except Recon3dError as exc:
            answers.add("", str(exc))
        except Exception as exc:  # the frame itself was published: no reason to count it as lost
            answers.add("", f"{type(exc).__name__}: {exc}")
        else:
            answers.add(str(path))
