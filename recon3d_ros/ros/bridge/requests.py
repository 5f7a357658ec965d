"""Requests that the services of rclpy itself do not bear are refused, instead of ending the node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node

from recon3d_ros.errors import ConfigError
from recon3d_ros.system.printable import printable

WRONG_REQUESTS_S = 5.0  # least time between two log lines about one service


def survive_wrong_requests(node: Node) -> None:
    """Refuse the requests that rclpy's own services do not bear, instead of ending with them.

    rclpy lets the errors of its parameters and of its state machine out of the services' callbacks, which
    ends the executor and so the process: a parameter of an unknown type, or `ros2 lifecycle set NODE
    activate` twice, would end a robot's node. To be called before the node has services of its own.
    """
    for service in node.services:
        service.callback = _surviving(node, service.callback)


def _surviving(node: Node, callback: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    quiet_until_s = 0.0

    def surviving(request: Any, response: Any) -> Any:
        nonlocal quiet_until_s
        try:
            _require_transition(node, request)
            return callback(request, response)
        except Exception as exc:
            reason, now_s = _reason(node, request, exc), time.monotonic()
            if now_s >= quiet_until_s:  # of each service: rclpy's throttle would let one silence the others
                quiet_until_s = now_s + WRONG_REQUESTS_S
                node.get_logger().warning(printable(reason))
            return _refuse(request, response, printable(reason))

    return surviving


def _require_transition(node: Any, request: Any) -> None:
    """Refuse what rcl would refuse with a line of its own for each, in the words of the request.

    Raises:
        ConfigError: the state has no such transition.
    """
    if not hasattr(request, "transition"):  # of ChangeState, which only nodes with a life cycle serve
        return
    asked = request.transition
    known = [(number, label) for number, label, *_ in node._state_machine.available_transitions]
    if not any(asked.label == label if asked.label else asked.id == number for number, label in known):
        raise ConfigError(f"it has {', '.join(label for _, label in known) or 'none'}")


def _reason(node: Any, request: Any, exc: Exception) -> str:
    if hasattr(request, "transition"):
        state = node._state_machine.current_state[1]
        asked = request.transition.label or f"number {request.transition.id}"
        return (
            f"expected a transition that the state {state} has, got {asked!r:.80} ({exc!s:.200}); "
            "ros2 lifecycle list shows them"
        )
    kind = type(request).__name__.removesuffix("_Request")
    return f"expected a valid request {kind}, got one that rclpy refuses ({exc!s:.200}); correct who sent it"


def _refuse(request: Any, response: Any, reason: str) -> Any:
    """Say no in the response, of parameters with the reason; those set before the wrong one stay set."""
    refused = SetParametersResult(successful=False, reason=reason)
    if hasattr(request, "transition"):
        response.success = False
    elif isinstance(request, SetParametersAtomically.Request):
        response.result = refused
    elif isinstance(request, SetParameters.Request):
        response.results.extend([refused] * (len(request.parameters) - len(response.results)))
    return response
