"""Health as a diagnostic message."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from recon3d_ros.errors import ImageError
from recon3d_ros.ros.diagnostics import diagnostics_msg
from recon3d_ros.ros.health import Cause, Health


def message_of(health: Health) -> tuple[DiagnosticStatus, dict[str, str]]:
    msg = diagnostics_msg(health.report(), Time(sec=3), "/robot/depth", "net", {"model": "net"})
    assert msg.header.stamp.sec == 3
    (status,) = msg.status
    assert (status.name, status.hardware_id) == ("/robot/depth: depth", "net")
    return status, {pair.key: pair.value for pair in status.values}


def test_all_counts_are_there():
    health = Health(lambda message: None, "/image")
    for _ in range(4):
        health.count_received()
    health.count_published(latency_ms=20.0, processing_ms=10.0)
    health.count_dropped(Cause.BUSY, count=2)
    health.count_error(ImageError("expected pixels, got none"))
    status, values = message_of(health)
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "expected pixels, got none")
    assert (values["model"], values["frames_in"], values["frames_out"]) == ("net", "4", "1")
    assert (values["dropped"], values["dropped_busy"], values["dropped_image"]) == ("3", "2", "1")
    assert all(f"dropped_{cause.value}" in values for cause in Cause)
    assert (values["latency_ms_p50"], values["processing_ms_p95"]) == ("20.0", "10.0")


def test_levels():
    health = Health(lambda message: None, "/image")
    assert message_of(health)[0].level == DiagnosticStatus.WARN  # no input
    assert message_of(health)[1]["latency_ms_p50"] == "nan"
    health.count_received()
    assert message_of(health)[0].level == DiagnosticStatus.OK
    health.count_error(ImageError("bad"))
    assert message_of(health)[0].level == DiagnosticStatus.ERROR
