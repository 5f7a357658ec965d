"""`~/save_map`, `~/load_map`, `~/reset` and `~/pause`: done by the worker between two frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from recon3d_ros.config.mapper import MapNodeConfig
from recon3d_ros.config.mapping import GridConfig
from recon3d_ros.config.parameters import ParameterSet
from recon3d_ros.errors import ConfigError, Recon3dError
from recon3d_ros.mapping.map_folder import load_map, save_map
from recon3d_ros.ros.bridge.pending_response import PendingResponse
from recon3d_ros.ros.mapper.map_worker import MapWorker
from recon3d_ros.system.printable import printable

_LONG = 500  # of a response, which may have a path
NOT_CONFIGURED = "the node is not configured, so there is no map: configure it first"


class MapServices:
    """Responds when the worker has done it, while the executor goes on.

    Args:
        node: who offers the services.
        worker: None while there is no map.
        parameters: of the node.
        hand_over: has the worker call something between two frames.
    """

    def __init__(
        self,
        node: Node,
        worker: Callable[[], MapWorker | None],
        parameters: Callable[[], ParameterSet],
        hand_over: Callable[[Callable[[], None]], None],
    ) -> None:
        self._node, self._worker, self._parameters, self._hand_over = node, worker, parameters, hand_over
        # A group of its own: while a response waits for the worker its group executes nothing else.
        group = ReentrantCallbackGroup()
        for name, act in (("save_map", self._save), ("load_map", self._load), ("reset", self._reset)):
            node.create_service(Trigger, f"~/{name}", self._trigger(act), callback_group=group)
        node.create_service(SetBool, "~/pause", self._on_pause, callback_group=group)
        self._waiting: set[PendingResponse] = set()

    def give_up(self) -> None:
        """Respond to who waits for a worker that ended."""
        for response in list(self._waiting):
            response.finish(False, "the node was stopped before it was done")

    def _trigger(self, act: Callable[[MapWorker], str]) -> Callable[..., object]:
        async def on_call(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.success, response.message = await self._done(act)
            return response

        return on_call

    async def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success, response.message = await self._done(lambda worker: _pause(worker, request.data))
        return response

    async def _done(self, act: Callable[[MapWorker], str]) -> tuple[bool, str]:
        """Have the worker act; whether that succeeded, and what is to be said."""
        worker = self._worker()
        if worker is None:
            return False, NOT_CONFIGURED
        pending = PendingResponse()
        self._waiting.add(pending)

        def turn() -> None:
            try:
                success, message = True, act(worker)
            except Exception as exc:  # the seam: what leaves a service's callback ends the node
                known = isinstance(exc, Recon3dError)
                success, message = False, str(exc) if known else f"{type(exc).__name__}: {exc}"
            pending.finish(success, printable(message, _LONG))

        try:
            self._hand_over(turn)
            success, message = await pending.future
            return success, message
        finally:
            self._waiting.discard(pending)

    def _save(self, worker: MapWorker) -> str:
        config = self._parameters()[MapNodeConfig]
        parent = Path(config.map_folder).expanduser()
        saved = save_map(parent, worker.live, self._parameters()[GridConfig], config.map_frame)
        return f"{saved.folder}" + (f" without a grid: {saved.without_grid}" if saved.without_grid else "")

    def _load(self, worker: MapWorker) -> str:
        config = self._parameters()[MapNodeConfig]
        if config.poses == "odometry":
            raise ConfigError(
                "expected poses tf to go on with a saved map, got odometry, which begins anywhere: localize "
                "the robot in the frame of the map"
            )
        folder = load_map(Path(config.map_folder).expanduser(), worker.live, config.map_frame)
        worker.loaded()
        return f"{folder}"

    def _reset(self, worker: MapWorker) -> str:
        worker.reset()
        return "the map is empty"


def _pause(worker: MapWorker, on: bool) -> str:
    worker.paused = on
    return "nothing is fused" if on else "depth is fused again"
