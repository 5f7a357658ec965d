"""Which messages the log is spared."""

from __future__ import annotations

_OF_A_KIND = 3


class Throttle:
    """Lets a message through at most once per `period_s`, three of a kind, and `most` altogether.

    A kind is what is alike although the texts, which may be a sender's, differ.
    """

    def __init__(self, period_s: float, most: int = 20) -> None:
        self._period_s, self._most = period_s, most
        self._last: dict[tuple[str, str], float] = {}

    def is_due(self, message: str, now: float, kind: str = "") -> bool:
        """Whether it may be said now; if so it counts as said. Without a kind it is one of its own."""
        self._last = {one: said for one, said in self._last.items() if now - said < self._period_s}
        alike = sum(bool(kind) and kind == one for one, _ in self._last)
        if (kind, message) in self._last or alike >= _OF_A_KIND or len(self._last) >= self._most:
            return False
        self._last[kind, message] = now
        return True


class ChangeThrottle:
    """Lets through what changed: within `period_s` not the same twice running, and `most` of a topic."""

    def __init__(self, period_s: float, most: int = 10) -> None:
        self._period_s, self._most = period_s, most
        self._said: dict[str, list[tuple[str, float]]] = {}

    def is_due(self, topic: str, message: str, now: float) -> bool:
        """Whether it may be said now; if so it counts as said."""
        recent = [(text, at) for text, at in self._said.get(topic, ()) if now - at < self._period_s]
        due = len(recent) < self._most and message not in (text for text, _ in recent[-1:])
        self._said[topic] = [*recent, (message, now)] if due else recent
        return due
