"""What rclpy's life cycle leaves open."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode


def survive_wrong_requests(node: LifecycleNode) -> None:
    """Answer a request for a transition that the state does not have with `success: false`.

    rclpy lets the error of its state machine out of the service's callback, which ends the executor and so
    the process: `ros2 lifecycle set NODE activate` twice would end a robot's depth node.
    """
    service = node._service_change_state
    change_state = service.callback

    def guarded(request: Any, response: Any) -> Any:
        try:
            return change_state(request, response)
        except Exception as exc:
            state = node._state_machine.current_state[1]
            asked = request.transition.label or f"number {request.transition.id}"
            node.get_logger().warning(
                f"expected a transition that the state {state} has, got {asked} ({exc}); "
                "ros2 lifecycle list shows them"
            )
            response.success = False
            return response

    service.callback = guarded
