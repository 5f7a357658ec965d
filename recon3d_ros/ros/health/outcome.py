"""What becomes of one frame: the one thing that the node's health hears of it. Needs no ROS."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import (
    BackendError,
    CalibrationError,
    FrameError,
    ImageError,
    ModelError,
    NoParallaxError,
    ParallaxError,
    PoseError,
)
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.ros.scale.report import ScaleState

BINS = 10
# About so many pixels on a grid give a share to a percent; all of them would cost as much as the filters.
_GRID_PIXELS = 5000


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
    POSE = "pose"  # of a camera that moves: it jumped, or was lost
    NO_DEPTH = "no_depth"  # for a map, or from the motion of a camera
    INTERNAL = "internal"


def cause_of(error: Exception) -> Cause:
    """Map an exception to the cause it is counted under."""
    if isinstance(error, CalibrationError):
        return Cause.CAMERA_INFO
    if isinstance(error, ImageError):
        return Cause.IMAGE
    if isinstance(error, (ModelError, BackendError)):
        return Cause.MODEL
    if isinstance(error, ParallaxError):
        return Cause.NO_DEPTH
    if isinstance(error, PoseError):
        return Cause.POSE
    if isinstance(error, FrameError):
        return Cause.NO_TRANSFORM
    return Cause.INTERNAL


class DepthStatistics(NamedTuple):
    """What a depth map looks like, from a grid of its pixels.

    Attributes:
        valid_share: share of pixels with a depth.
        confidences: (10,) int64, number of confidences in equal bins from 0 to 1; None of a model without.
        beyond_max_depth: `Result.beyond_max_depth`.
    """

    valid_share: float
    confidences: NDArray[np.int64] | None
    beyond_max_depth: float = 0.0

    @classmethod
    def of(cls, depth_map: DepthMap, beyond_max_depth: float = 0.0) -> DepthStatistics:
        """Look at a depth map; nothing of it is kept."""
        step = max(1, math.isqrt(depth_map.depth.size // _GRID_PIXELS))
        depth = depth_map.depth[::step, ::step]
        valid_share = float(np.mean(np.isfinite(depth) & (depth > 0)))
        if depth_map.confidence is None:
            return cls(valid_share, None, beyond_max_depth)
        confidence = depth_map.confidence[::step, ::step]
        known = np.clip(confidence[np.isfinite(confidence)], 0.0, 1.0)
        bins = np.minimum((known * BINS).astype(np.int64), BINS - 1)
        return cls(valid_share, np.bincount(bins, minlength=BINS), beyond_max_depth)


@dataclass(frozen=True, eq=False)
class FrameOutcome:
    """What became of a complete frame (one image, or a pair): published, dropped, or skipped if neither.

    Attributes:
        published: it went out.
        cause: why it was dropped.
        message: what to do about it; only then it is a fault, which the state shows and the log gets.
        kind: what is alike in the log whatever the message says; empty = the message itself.
        blameless: nobody is to do anything: the state shows the message as a warning however long it lasts,
            and the log gets it when it begins.
        error: the exception that ended it.
        latency_ms: acquisition to publication, by the node's clock.
        processing_ms: the worker's time.
        timings_ms: time of each stage.
        depth: of its depth map.
        scale: with it; None where nothing is asked to give it, and of frames that did not come so far.
        doubts: what is unlikely about its calibration or scale, and what to do, one sentence each.
        frame: the rectified images, if they are worth a look: dark, blurred, blocked, swapped and so on.
    """

    published: bool = False
    cause: Cause | None = None
    message: str = ""
    kind: str = ""
    blameless: bool = False
    error: Exception | None = None
    latency_ms: float = 0.0
    processing_ms: float = 0.0
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    depth: DepthStatistics | None = None
    scale: ScaleState | None = None
    doubts: tuple[str, ...] = ()
    frame: Frame | None = None

    @classmethod
    def failed(cls, error: Exception, scale: ScaleState | None = None) -> FrameOutcome:
        """Of a frame that an exception ended; its type names the cause."""
        cause = cause_of(error)
        text = str(error) if cause is not Cause.INTERNAL else f"{type(error).__name__}: {error}"
        blameless = isinstance(error, NoParallaxError)
        return cls(
            cause=cause, message=text, kind=_kind_of(error), blameless=blameless, error=error, scale=scale
        )


def guarded(
    callback: Callable[[Any], None], record: Callable[[FrameOutcome], object]
) -> Callable[[Any], None]:
    """The seam of all callbacks of messages: whatever one makes them raise is counted and reported."""

    @wraps(callback)
    def call(msg: Any) -> None:
        try:
            callback(msg)
        except Exception as exc:
            record(FrameOutcome.failed(exc))

    return call


def _kind_of(error: Exception) -> str:
    """Where it was raised: the text may be a sender's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return f"{type(error).__name__}:{error}"
    code = trace.tb_frame.f_code
    return f"{type(error).__name__}: {code.co_filename}:{trace.tb_lineno}"


SKIPPED = FrameOutcome()  # nobody wanted it
