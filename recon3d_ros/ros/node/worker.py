"""The one thread that owns the model: takes the newest items, handles them, survives whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, Event, Thread
from typing import Generic, Protocol, TypeVar

from recon3d_ros.backends.inference_limit import end_inference_of

FINISH_S = 10.0  # an inference may take so long when another model takes over

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Mailbox(Generic[T]):
    """Slots for one item each, safe between threads.

    Args:
        slots: how many.
    """

    def __init__(self, slots: int = 1) -> None:
        self._changed = Condition()
        self._items: list[T | None] = [None] * slots
        self._next = 0
        self._closed = False

    def put(self, item: T, slot: int = 0) -> bool:
        """Place an item; return whether one that nobody had taken was replaced."""
        with self._changed:
            replaced = self._items[slot] is not None
            if not self._closed:
                self._items[slot] = item
                self._changed.notify()
            return replaced

    def take(self, limit: int = 1) -> list[tuple[int, T]]:
        """Wait for an item and take it, with up to `limit` - 1 others that are there.

        The search begins behind the slot that was served last, so a camera waits for at most one item of
        each other camera, however fast those are.

        Returns:
            (slot, item) pairs; empty once the mailbox is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(item is not None for item in self._items))
            if self._closed:  # what waits belongs to whoever closed it
                return []
            taken: list[tuple[int, T]] = []
            count, first = len(self._items), self._next
            for slot in ((first + step) % count for step in range(count)):
                item = self._items[slot]
                if item is not None and len(taken) < limit:
                    taken.append((slot, item))
                    self._items[slot] = None
                    self._next = (slot + 1) % count
            return taken

    def clear(self) -> list[tuple[int, T]]:
        """Take back what waits."""
        with self._changed:
            return self._emptied()

    def close(self) -> list[tuple[int, T]]:
        """Release whoever waits; return what waited."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            return self._emptied()

    def _emptied(self) -> list[tuple[int, T]]:
        waiting = [(slot, item) for slot, item in enumerate(self._items) if item is not None]
        self._items = [None] * len(self._items)
        return waiting


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
            wait: False to come back at once; `opened` then says whether it is open.
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

    def interrupt(self) -> None:
        """End an inference that runs in the thread; the items that it is for are reported as failed."""
        end_inference_of(self._thread)

    def _finish(self) -> None:
        """Wait until the thread has ended, which a model without an end must not hold up."""
        self._thread.join(FINISH_S)
        if self._thread.is_alive():
            self.interrupt()
        self._thread.join()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Let the current items end, close the handler; return False if that took too long."""
        self.mailbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                self.interrupt()
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
                    self._predecessor._finish()
                    self._predecessor = None
                try:
                    handler.handle(items)
                except Exception as exc:  # the seam: one bad frame must not end the node
                    self._report(exc)
                del items  # an image must not live on while the worker waits for the next one
        finally:
            handler.close()
