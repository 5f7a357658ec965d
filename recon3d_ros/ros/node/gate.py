"""A callback group that can be shut."""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup


class Gate(MutuallyExclusiveCallbackGroup):
    """A callback group that can be shut: subscriptions stay, their newest messages wait in the middleware.

    Every message costs a turn of the executor, whatever the callback does; behind a shut gate it costs none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_open = True

    def can_execute(self, entity: Any) -> bool:
        """Whether the executor may wait for the entity, as rclpy asks it."""
        return self.is_open and bool(super().can_execute(entity))
