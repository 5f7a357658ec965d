"""The one thread that owns the model: takes the newest item, handles it, survives whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, Protocol, TypeVar

from recon3d_ros.ros.mailbox import Mailbox

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Handler(Protocol[T_contra]):
    """What a worker runs; opened, used and closed in the worker's thread only (CUDA contexts need that)."""

    def handle(self, item: T_contra) -> None:
        """Deal with one item; whatever it raises is reported and the next item comes."""

    def close(self) -> None:
        """Release what the handler holds."""


class Worker(Generic[T]):
    """A thread around one `Handler`.

    Args:
        mailbox: where items come from; closing it ends the thread.
        open_handler: makes the handler, in the thread.
        report: called in the thread with every exception of `handle`.
    """

    def __init__(
        self,
        mailbox: Mailbox[T],
        open_handler: Callable[[], Handler[T]],
        report: Callable[[Exception], None],
    ) -> None:
        self._mailbox = mailbox
        self._open_handler = open_handler
        self._report = report
        self._opened = Event()
        self._failure: Exception | None = None
        # A daemon: a model that loads for minutes must not hold up an interrupted start.
        self._thread = Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until the handler is open; raises what opening raised."""
        self._thread.start()
        self._opened.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Let the current item end, close the handler; return False if that took too long."""
        self._mailbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            handler = self._open_handler()
        except Exception as exc:  # crosses to the thread that called start()
            self._failure = exc
            return
        finally:
            self._opened.set()
        try:
            while (item := self._mailbox.take()) is not None:
                try:
                    handler.handle(item)
                except Exception as exc:  # the seam: one bad frame must not end the node
                    self._report(exc)
                del item  # an image must not live on while the worker waits for the next one
        finally:
            handler.close()
