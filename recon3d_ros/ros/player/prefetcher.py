"""Reads ahead on a thread, so that slow files do not disturb the beat of publishing. Needs no ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 4


class Prefetcher(Generic[T]):
    """Runs through an iterable on a daemon thread (a dead camera may never return from reading).

    Args:
        items: is run through once.
        newest_only: a new item replaces the one that waits, as a live camera wants it; else reading waits
            while `AHEAD` items wait.
    """

    def __init__(self, items: Iterable[T], newest_only: bool = False) -> None:
        self._changed = Condition()
        self._waiting: deque[T] = deque()
        self._newest_only = newest_only
        self._error: BaseException | None = None
        self._ended = self._closed = False
        self._thread = Thread(target=self._run, args=(items,), name="prefetcher", daemon=True)
        self._thread.start()

    def take(self) -> T | None:
        """Return the next item, None when none is there yet.

        Raises:
            StopIteration: the iterable ended and everything was taken.
            Exception: what the iterable raised, once everything before it was taken.
        """
        with self._changed:
            if self._waiting:
                self._changed.notify()
                return self._waiting.popleft()
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopIteration
            return None

    @property
    def ready(self) -> bool:
        """Whether `take` returns an item or raises."""
        with self._changed:
            return bool(self._waiting) or self._ended

    def close(self) -> None:
        """Read no further."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                if not self._offer(item):
                    return
        except Exception as exc:  # handed on to whoever takes
            self._error = exc
        finally:
            with self._changed:
                self._ended = True

    def _offer(self, item: T) -> bool:
        with self._changed:
            if self._newest_only:
                self._waiting.clear()
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < AHEAD)
            self._waiting.append(item)
            return not self._closed
