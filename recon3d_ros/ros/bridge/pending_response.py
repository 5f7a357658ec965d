"""The response of a service that another thread completes."""

from __future__ import annotations

from threading import Lock

from rclpy.task import Future


class PendingResponse:
    """What a service of std_srvs says, success and message, when it is known; the first response counts.

    Attributes:
        future: Of (success, message), for the callback of the service to await.
    """

    def __init__(self) -> None:
        self.future: Future = Future()
        self._response_lock = Lock()

    def finish(self, success: bool, message: str) -> None:
        """Respond, unless there is a response already; any thread."""
        with self._response_lock:
            if not self.future.done():
                self.future.set_result((success, message))
