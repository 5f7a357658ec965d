"""A camera, nodes and a consumer as processes over DDS, for the benchmarks; controlled over pipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from recon3d_ros.errors import DataError
from recon3d_ros.system.allocator import keep_memory
from recon3d_ros.system.interrupts import interrupts_held

STOP_S = 10.0


class Part(NamedTuple):
    """What a process does: a function of a module, as the process is spawned, and its arguments."""

    target: Callable[..., None]
    args: tuple[Any, ...] = ()


class Processes:
    """Processes that are ended when the context is left, the nodes first.

    The environment (DDS domain, profile) is that of this process.

    Args:
        nodes: By their names, for errors; each is called with its arguments.
        camera: Called with a pipe before its arguments; replies to every request, ends with None.
        consumer: The same.
    """

    def __init__(self, nodes: Mapping[str, Part], camera: Part, consumer: Part) -> None:
        spawn = get_context("spawn")  # a forked DDS is no DDS
        self._names = (*nodes, "camera", "consumer")
        self._nodes = [spawn.Process(target=n.target, args=n.args, daemon=True) for n in nodes.values()]
        self._camera, their_camera = spawn.Pipe()
        self._consumer, their_consumer = spawn.Pipe()
        self._others = [
            spawn.Process(target=part.target, args=(pipe, *part.args), daemon=True)
            for pipe, part in ((their_camera, camera), (their_consumer, consumer))
        ]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """The processes of the nodes, once they are started."""
        return [node.pid for node in self._nodes if node.pid is not None]

    @property
    def node_pid(self) -> int:
        """The process of the first node."""
        return self.pids[0]

    def start(self) -> None:
        """Start all."""
        with interrupts_held():
            for process in (*self._nodes, *self._others):
                process.start()

    def ask_camera(self, request: object) -> Any:
        """Send the camera a request and wait for the reply.

        Raises:
            DataError: A process ended.
        """
        return self._request(self._camera, request)

    def ask_consumer(self, request: object) -> Any:
        """The same for the consumer."""
        return self._request(self._consumer, request)

    def close(self) -> None:
        """End the processes, the nodes first."""
        for pipe in (self._camera, self._consumer):
            try:
                pipe.send(None)
            except OSError:
                pass  # it ended by itself
        for node in self._nodes:
            if node.pid is not None and node.is_alive():
                node.terminate()
        for process in (*self._nodes, *self._others):
            if process.pid is None:
                continue
            process.join(STOP_S)
            if process.is_alive():
                process.kill()
                process.join()

    def _request(self, pipe: Connection, request: object) -> Any:
        try:
            pipe.send(request)
            while not pipe.poll(0.2):
                self._require_all()
            return pipe.recv()
        except (EOFError, OSError) as exc:  # the one that was asked ended, maybe while it was asked
            self._require_all()
            raise DataError("expected a reply, the process that was asked closes: see its output") from exc

    def _require_all(self) -> None:
        for name, process in zip(self._names, (*self._nodes, *self._others)):
            if not process.is_alive():
                code = process.exitcode
                raise DataError(f"expected the {name} to live, it ended with {code}: see its output")


def serve_camera(pipe: Connection, make: Callable[[Node], Callable[[Any], Any]]) -> None:
    """Be the camera: `make` advertises on a node and returns what replies to each request."""
    keep_memory()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("camera")
    reply = make(node)
    try:
        while (request := pipe.recv()) is not None:
            pipe.send(reply(request))
    except EOFError:
        pass  # the benchmark ended
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def serve_consumer(pipe: Connection, make: Callable[[Node], Callable[[], Any]]) -> None:
    """Be the consumer: `make` subscribes on a node and returns what replies to each request."""
    keep_memory()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("consumer")
    reply = make(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while True:
            executor.spin_once(timeout_sec=0.05)
            if pipe.poll():
                if pipe.recv() is None:
                    return
                pipe.send(reply())
    except EOFError:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
