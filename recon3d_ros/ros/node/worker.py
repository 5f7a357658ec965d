"""The one thread that owns the model: takes the newest items, handles them, survives whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Generic, Protocol, TypeVar

from recon3d_ros.ros.node.mailbox import Mailbox

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Handler(Protocol[T_contra]):
    """What a worker runs; opened, used and closed in the worker's thread only (CUDA contexts need that)."""

    @property
    def batch(self) -> int:
        """How many items it likes to have at once."""

    def handle(self, items: Sequence[tuple[int, T_contra]]) -> None:
        """Deal with (slot, item) pairs; whatever it raises is reported and the next ones come."""

    def close(self) -> None:
        """Release what the handler holds."""


class Worker(Generic[T]):
    """A thread around one `Handler`.

    Args:
        mailbox: where items come from; closing it ends the thread.
        open_handler: makes the handler, in the thread.
        report: called in the thread with every exception of `handle`.

    Attributes:
        handler: what `open_handler` made; None before that.
        failure: what it raised instead.
    """

    def __init__(
        self,
        mailbox: Mailbox[T],
        open_handler: Callable[[], Handler[T]],
        report: Callable[[Exception], None],
    ) -> None:
        self.mailbox = mailbox
        self.handler: Handler[T] | None = None
        self.failure: Exception | None = None
        self._open_handler = open_handler
        self._report = report
        self._opened = Event()
        self._predecessor: Worker[T] | None = None
        # A daemon: a model that loads for minutes must not hold up an interrupted start.
        self._thread = Thread(target=self._run, name="worker", daemon=True)

    def start(self, wait: bool = True) -> None:
        """Start the thread and wait until the handler is open; raises what opening raised.

        Args:
            wait: False to come back at once; `opened` then tells.
        """
        self._thread.start()
        if not wait:
            return
        self._opened.wait()
        if self.failure is not None:
            raise self.failure

    @property
    def opened(self) -> bool:
        """Whether opening the handler has come to an end, good or bad."""
        return self._opened.is_set()

    def replace(self, predecessor: Worker[T]) -> None:
        """Take over what waits for another worker; begin with it when that one's current items are done."""
        self._predecessor = predecessor
        for slot, item in predecessor.mailbox.close():
            self.mailbox.put(item, slot)

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Let the current items end, close the handler; return False if that took too long."""
        self.mailbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            handler = self.handler = self._open_handler()
        except Exception as exc:  # crosses to the thread that called start()
            self.failure = exc
            return
        finally:
            self._opened.set()
        try:
            while items := self.mailbox.take(handler.batch):
                if self._predecessor is not None:
                    self._predecessor._thread.join()
                    self._predecessor = None
                try:
                    handler.handle(items)
                except Exception as exc:  # the seam: one bad frame must not end the node
                    self._report(exc)
                del items  # an image must not live on while the worker waits for the next one
        finally:
            handler.close()
