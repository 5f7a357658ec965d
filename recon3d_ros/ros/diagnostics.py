"""The node's health as diagnostic_msgs on /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from recon3d_ros.ros.health import Level, Report

_LEVELS = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR,
}


def diagnostics_msg(
    report: Report, stamp: Time, name: str, hardware_id: str, labels: Mapping[str, str]
) -> DiagnosticArray:
    """Make the message of one moment.

    Args:
        report: what the node counted.
        stamp: now.
        name: fully qualified name of the node.
        hardware_id: what does the work.
        labels: further values, such as model and backend.
    """
    values = {
        **labels,
        "rate_in_hz": f"{report.rate_in_hz:.2f}",
        "rate_out_hz": f"{report.rate_out_hz:.2f}",
        "frames_in": str(report.received),
        "frames_out": str(report.published),
        "skipped_without_subscribers": str(report.skipped),
        "dropped": str(sum(report.drops.values())),
        **{f"dropped_{cause.value}": str(count) for cause, count in report.drops.items()},
    }
    for key, pair in (("latency_ms", report.latency_ms), ("processing_ms", report.processing_ms)):
        for suffix, value in zip(("p50", "p95"), pair or (float("nan"),) * 2):
            values[f"{key}_{suffix}"] = f"{value:.1f}"
    status = DiagnosticStatus(
        level=_LEVELS[report.level], name=f"{name}: depth", message=report.message, hardware_id=hardware_id
    )
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    msg = DiagnosticArray(status=[status])
    msg.header.stamp = stamp
    return msg
