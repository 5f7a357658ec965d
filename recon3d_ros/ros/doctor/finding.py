"""One thing that `recon3d doctor` finds wrong."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.ros.health.health import Level


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        level: WARN, or ERROR when the node gives no depth, or wrong depth.
        kind: one word for scripts; docs/diagnostics.md lists them.
        topic: where it was seen; empty for the computer as a whole.
        message: what was expected, what came and what to do.
    """

    level: Level
    kind: str
    topic: str
    message: str


def warn(kind: str, topic: str, message: str) -> Finding:
    """Something to look after."""
    return Finding(Level.WARN, kind, topic, message)


def error(kind: str, topic: str, message: str) -> Finding:
    """Something that keeps the node from answering, or from answering rightly."""
    return Finding(Level.ERROR, kind, topic, message)
