"""The status of the whole node on /diagnostics: a status for every camera, and why it does not run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from recon3d_ros.ros.bridge.runtime import advertise
from recon3d_ros.ros.health.health import Health, Level, Report
from recon3d_ros.ros.health.qos_watch import QosWatch
from recon3d_ros.ros.output.diagnostics import diagnostic_array, diagnostic_status
from recon3d_ros.system.printable import printable

NOTICE_S = 60.0  # how long a refused change shows
_QOS_PERIOD_S = 1.0


class Watched(Protocol):
    """One camera of a node."""

    name: str
    health: Health


_SEVERITY = (Level.OK, Level.WARN, Level.ERROR)


class NodeStatus:
    """Publishes the diagnostics.

    Args:
        node: of whom.
        only: what the one camera without a name is called.
    """

    def __init__(self, node: Node, only: str = "depth") -> None:
        self._node, self._only = node, only
        self._publisher = advertise(node, DiagnosticArray, "/diagnostics")
        self._watch = QosWatch(node)
        self._mismatches: list[str] = []
        self._looked_s = float("-inf")
        self._fault = ""
        self._notice = ("", 0.0)
        self._loading = ""

    def fault(self, message: str) -> None:
        """Say why the last transition failed; empty when it did not."""
        self._fault = message

    def notice(self, message: str) -> None:
        """Say for a minute what was refused; empty to say it no more."""
        self._notice = (message, time.monotonic())

    def loading(self, what: str) -> None:
        """Say which model is being loaded beside the one that serves; empty when none is."""
        self._loading = what

    def publish(self, state: str, channels: Sequence[Watched], labels: Mapping[str, str]) -> None:
        """Publish one status for every camera.

        Args:
            state: of the life cycle.
            channels: the cameras; none before configure.
            labels: model, backend and the like.
        """
        self._look_at_qos()
        labels = {"state": state, **labels, **({"model_loading": self._loading} if self._loading else {})}
        statuses = [self._status(c.health.report(), state, c.name, labels) for c in channels]
        if not channels:
            statuses = [self._status(Health(lambda message: None).report(), state, "", labels)]
        try:
            self._publisher.publish(diagnostic_array(statuses, self._node.get_clock().now().to_msg()))
        except Exception as exc:  # such as a stuck reader of a keep_all override: no reason to end the node
            if self._node.context.ok():
                text = printable(f"cannot publish /diagnostics ({exc}); check its subscribers")
                self._node.get_logger().warning(text, throttle_duration_sec=5.0)

    def _look_at_qos(self) -> None:
        now = time.monotonic()
        if now - self._looked_s < _QOS_PERIOD_S:
            return
        self._looked_s = now
        problems = self._watch.problems()
        for problem in problems:
            if problem not in self._mismatches:
                self._node.get_logger().warning(printable(problem))
        self._mismatches = problems

    def _status(self, report: Report, state: str, camera: str, labels: Mapping[str, str]) -> DiagnosticStatus:
        report = self._overlaid(report, state)
        name = f"{self._node.get_fully_qualified_name()}: {camera or self._only}"
        return diagnostic_status(report, name, labels.get("model", ""), labels)

    def _overlaid(self, report: Report, state: str) -> Report:
        """The report of a camera, unless the node has something worse to say; of equals the node's."""
        notice, since = self._notice
        candidates = [(Level.ERROR, self._fault)] if self._fault else []
        if notice and time.monotonic() - since < NOTICE_S:
            candidates.append((Level.WARN, notice))
        candidates += [(Level.WARN, problem) for problem in self._mismatches]
        if state == "finalized":
            candidates.append((Level.OK, "finalized: start the node again to use it"))
        elif state != "active":
            candidates.append((Level.OK, f"{state}: waiting for a lifecycle manager"))
        elif self._loading and report.level is Level.OK:
            candidates.append((Level.OK, f"loading {self._loading}, {report.message} meanwhile"))
        else:
            candidates.append((report.level, report.message))
        level, message = max(candidates, key=lambda item: _SEVERITY.index(item[0]))
        return replace(report, level=level, message=message)
