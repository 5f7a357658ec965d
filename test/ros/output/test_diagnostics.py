"""Health as a diagnostic message."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from recon3d_ros.errors import ImageError
from recon3d_ros.ros.health.health import Health
from recon3d_ros.ros.health.outcome import Cause, FrameOutcome
from recon3d_ros.ros.output.diagnostics import diagnostic_array, diagnostic_status
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.scale import Scale


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def message_of(health: Health) -> tuple[DiagnosticStatus, dict[str, str]]:
    status = diagnostic_status(health.report(), "/robot/depth: depth", "net", {"model": "net"})
    assert (status.name, status.hardware_id) == ("/robot/depth: depth", "net")
    return status, {pair.key: pair.value for pair in status.values}


def test_all_counts_are_there():
    health = Health(lambda message: None, "/image")
    for _ in range(4):
        health.received()
    health.record(
        FrameOutcome(published=True, latency_ms=20.0, processing_ms=10.0, timings_ms={"estimate": 7.0})
    )
    for _ in range(2):
        health.record(FrameOutcome(cause=Cause.BUSY))
    health.record(FrameOutcome.failed(ImageError("expected pixels, got none")))
    status, values = message_of(health)
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "expected pixels, got none")
    assert (values["model"], values["frames_in"], values["frames_out"]) == ("net", "4", "1")
    assert (values["dropped"], values["dropped_busy"], values["dropped_image"]) == ("3", "2", "1")
    assert all(f"dropped_{cause.value}" in values for cause in Cause)
    assert (values["latency_ms_p50"], values["processing_ms_p95"]) == ("20.0", "10.0")
    assert values["estimate_ms_p99"] == "7.0"
    assert 1 < float(values["memory_mb"]) < 100_000
    assert not {"valid_share", "beyond_max_depth", "confidence_histogram", "image_findings"} & values.keys()


def test_what_was_seen_is_said():
    report = replace(
        Health(lambda message: None).report(),
        valid_share=0.98765,
        beyond_max_depth=0.1234,
        confidence_histogram=(0.0, 0.25, 0.75),
        findings=("one", "two"),
    )
    status = diagnostic_status(report, "/node: front", "net", {})
    values = {pair.key: pair.value for pair in status.values}
    assert (values["valid_share"], values["confidence_histogram"]) == ("0.988", "0.000 0.250 0.750")
    assert values["beyond_max_depth"] == "0.123"
    assert values["image_findings"] == "one; two"
    assert status.name == "/node: front"


def test_every_camera_has_its_status():
    report = Health(lambda message: None).report()
    statuses = [diagnostic_status(report, name, "net", {}) for name in ("/node: left", "/node: rear")]
    msg = diagnostic_array(statuses, Time(sec=7))
    assert [status.name for status in msg.status] == ["/node: left", "/node: rear"]
    assert msg.header.stamp.sec == 7


def test_every_key_is_explained():
    """docs/diagnostics.md has a row for every key the node publishes."""
    health = Health(lambda message: None)
    scale = Scale(2.0, 0.0, 0.1, ("range",), {"range": 1}, 0.0, True, "")
    state = ScaleState.after(None, scale, ("range", "scan"), {})
    health.record(FrameOutcome(published=True, latency_ms=20.0, processing_ms=10.0, scale=state))
    _, values = message_of(health)
    text = (Path(__file__).resolve().parents[3] / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    keys = {re.sub(r"_p\d\d$", "", key) for key in values} - {"model"}
    keys = {re.sub(r"^(dropped|temperature_c|scale_frames_(?:un)?used)_.*", r"\1", key) for key in keys}
    assert {key for key in keys if f"`{key}" not in text} == set()
    assert {cause.value for cause in Cause if f"`{cause.value}`" not in text} == set()


def test_levels():
    clock = Clock()
    health = Health(lambda message: None, "/image", clock=clock)
    assert message_of(health)[0].level == DiagnosticStatus.OK
    assert message_of(health)[1]["latency_ms_p50"] == "nan"
    clock.now = 2.0
    assert message_of(health)[0].level == DiagnosticStatus.WARN
    clock.now = 6.0
    assert message_of(health)[0].level == DiagnosticStatus.ERROR
    health.received()
    assert message_of(health)[0].level == DiagnosticStatus.OK
