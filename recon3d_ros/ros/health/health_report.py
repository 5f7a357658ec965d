"""The words in which the node speaks of its health: causes of drops, levels, and the report of a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from recon3d_ros.errors import BackendError, CalibrationError, FrameError, ImageError, ModelError
from recon3d_ros.ros.scale.report import ScaleState


class Cause(str, Enum):
    """Why a frame (or for UNMATCHED one image) gave no output."""

    BUSY = "busy"  # a newer frame came before the worker was free: normal when the model is slower
    UNMATCHED = "unmatched"
    TOO_OLD = "too_old"
    CAMERA_INFO = "camera_info"
    IMAGE = "image"
    MODEL = "model"
    NO_TRANSFORM = "no_transform"
    NO_SCALE = "no_scale"
    INTERNAL = "internal"


def cause_of(error: Exception) -> Cause:
    """Map an exception to the cause it is counted under."""
    if isinstance(error, CalibrationError):
        return Cause.CAMERA_INFO
    if isinstance(error, ImageError):
        return Cause.IMAGE
    if isinstance(error, (ModelError, BackendError)):
        return Cause.MODEL
    if isinstance(error, FrameError):
        return Cause.NO_TRANSFORM
    return Cause.INTERNAL


class Level(Enum):
    """State of one camera; the values are those of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


class Percentiles(NamedTuple):
    """Nearest-rank percentiles of the last values."""

    p50: float
    p95: float
    p99: float


def percentiles(values: Sequence[float]) -> Percentiles | None:
    """Nearest-rank percentiles; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return Percentiles(*(ordered[round(share * last)] for share in (0.5, 0.95, 0.99)))


@dataclass(frozen=True)
class Report:
    """A moment's state.

    Attributes:
        level: OK; WARN after a fault, 1 s without images, with a finding in the images, or when a frame takes
            longer than 5 s; ERROR when faults leave no output at all, or after 5 s without images.
        message: one sentence; the last actionable message unless OK.
        rate_in_hz: complete frames (mono images, stereo pairs) per second over the last 5 s.
        rate_out_hz: frames published per second over the last 5 s.
        received: complete frames since the start.
        published: frames published since the start.
        skipped: frames ignored because nobody subscribed.
        drops: number per cause since the start.
        latency_ms: of acquisition to publication, by the node's clock; None before the first.
        processing_ms: of the worker's time for one frame; None before the first.
        stages_ms: of each stage of the pipeline, by its name.
        valid_share: mean share of pixels with a depth in the last frames; None before the first.
        confidence_histogram: shares of ten equal bins from 0 to 1 in the last frames; None without a model
            that says its confidence.
        findings: what is wrong in the images, one sentence each; None before the first look at them.
        scale: of a mono model; None when nothing is asked to tell it, or before the first frame.
    """

    level: Level
    message: str
    rate_in_hz: float
    rate_out_hz: float
    received: int
    published: int
    skipped: int
    drops: dict[Cause, int]
    latency_ms: Percentiles | None
    processing_ms: Percentiles | None
    stages_ms: dict[str, Percentiles] = field(default_factory=dict)
    valid_share: float | None = None
    confidence_histogram: tuple[float, ...] | None = None
    findings: tuple[str, ...] | None = None
    scale: ScaleState | None = None
