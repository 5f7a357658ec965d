"""One slot per camera between the executor and the worker: the newest item wins, nothing queues up."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


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
