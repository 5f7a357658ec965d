"""One slot between the executor and the worker: the newest item wins, nothing queues up."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A slot for one item, safe between threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Place an item; return whether one that nobody had taken was replaced."""
        with self._changed:
            replaced = self._item is not None
            if not self._closed:
                self._item = item
                self._changed.notify()
            return replaced

    def take(self) -> T | None:
        """Wait for an item and take it; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Discard what waits and release whoever waits."""
        with self._changed:
            self._closed, self._item = True, None
            self._changed.notify_all()
