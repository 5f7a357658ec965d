"""The health of one camera or several as diagnostic_msgs on /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from recon3d_ros.ros.bridge.conversions import make_header
from recon3d_ros.ros.health.health import Level, Percentiles, Report
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.system.machine import resident_mb, temperatures_c
from recon3d_ros.system.printable import printable

_LEVELS = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR,
}
_VALUE = 1000  # several findings may stand in one value
_UNKNOWN = Percentiles(float("nan"), float("nan"), float("nan"))


def diagnostic_array(statuses: Sequence[DiagnosticStatus], stamp: Time) -> DiagnosticArray:
    """Put the statuses of all cameras of a node into one message."""
    msg = DiagnosticArray(status=list(statuses))
    msg.header.stamp = stamp
    return msg


def diagnostic_status(
    report: Report, name: str, hardware_id: str, labels: Mapping[str, str]
) -> DiagnosticStatus:
    """Make the status of one camera. docs/diagnostics.md says what each key means.

    Args:
        report: what was counted for the camera.
        name: node and camera, for example "/depth_node: front".
        hardware_id: what does the work.
        labels: further values, such as model, backend and precision.
    """
    values = {
        **labels,
        **_counts(report),
        **_times(report),
        **_depth_values(report),
        **_scale(report),
        **_machine(),
    }
    status = DiagnosticStatus(
        level=_LEVELS[report.level],
        name=printable(name),
        message=printable(report.message),
        hardware_id=printable(hardware_id),
    )
    status.values = _key_values(values)
    return status


def scale_to_msg(state: ScaleState, name: str, stamp_ns: int, frame_id: str) -> DiagnosticArray:
    """Make the message of the topic `scale`: OK = measured in this frame, WARN = older, ERROR = not trusted.

    Args:
        state: of the camera.
        name: node and camera, as in `diagnostic_status`.
        stamp_ns: of the image.
        frame_id: its optical frame.
    """
    level = DiagnosticStatus.OK if state.scale.sources else DiagnosticStatus.WARN
    if not state.scale.trusted:
        level = DiagnosticStatus.ERROR
    message = printable(state.reason or "measured by its sources")
    status = DiagnosticStatus(level=level, name=printable(name), message=message)
    status.values = _key_values(state.values())
    return DiagnosticArray(header=make_header(stamp_ns, frame_id), status=[status])


def _key_values(values: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=printable(value, _VALUE)) for key, value in values.items()]


def _counts(report: Report) -> dict[str, str]:
    return {
        "rate_in_hz": f"{report.rate_in_hz:.2f}",
        "rate_out_hz": f"{report.rate_out_hz:.2f}",
        "frames_in": str(report.received),
        "frames_out": str(report.published),
        "skipped_without_subscribers": str(report.skipped),
        "dropped": str(sum(report.drops.values())),
        **{f"dropped_{cause.value}": str(count) for cause, count in report.drops.items()},
    }


def _times(report: Report) -> dict[str, str]:
    series = {
        "latency": report.latency_ms or _UNKNOWN,
        "processing": report.processing_ms or _UNKNOWN,
        **report.stages_ms,
    }
    return {
        f"{stage}_ms_{name}": f"{value:.1f}"
        for stage, values in series.items()
        for name, value in values._asdict().items()
    }


def _depth_values(report: Report) -> dict[str, str]:
    values = {}
    if report.valid_share is not None:
        values["valid_share"] = f"{report.valid_share:.3f}"
    if report.beyond_max_depth is not None:
        values["beyond_max_depth"] = f"{report.beyond_max_depth:.3f}"
    if report.confidence_histogram is not None:
        values["confidence_histogram"] = " ".join(f"{share:.3f}" for share in report.confidence_histogram)
    if report.findings is not None:
        values["image_findings"] = "; ".join(report.findings) or "none"
    if report.doubts is not None:
        values["calibration_doubts"] = "; ".join(report.doubts) or "none"
    return values


def _scale(report: Report) -> dict[str, str]:
    return {} if report.scale is None else report.scale.values()


def _machine() -> dict[str, str]:
    resident = resident_mb()
    values = {} if resident is None else {"memory_mb": f"{resident:.0f}"}
    values.update({f"temperature_c_{zone}": f"{value:.1f}" for zone, value in temperatures_c().items()})
    return values
