"""Hours of work in a row: does the node's process grow, and what became of every frame?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from recon3d_ros.errors import BackendError
from recon3d_ros.ros.bench.harness import POINTS, NodeHarness

SIZE_WH = (640, 480)
# Frames between two samples of the process.
CHUNK = 300
_WARM_UP_SHARE = 1 / 6  # 10,000 of 60,000
_STATUS_S = 20.0
MAX_GROWTH_MB = 5.0
# Of the node's diagnostics.
_KEYS = {
    "frames_in": "frames_in",
    "frames_out": "frames_out",
    "skipped": "skipped_without_subscribers",
    "dropped": "dropped",
}


class ProcessRow(TypedDict):
    """Memory, threads and files of a node, from `proc(5)`, behind the warm-up.

    `growth_mb` is the slope of the resident memory times the frames, `more_threads` and `more_files` how many
    there were more at the end than at the beginning.
    """

    growth_mb: float
    peak_mb: float
    threads: int
    more_threads: int
    files: int
    more_files: int


class FrameRow(TypedDict):
    """Of `sent` frames the node counted `frames_in`, which are `frames_out`, `skipped` or `dropped`."""

    sent: int
    frames_in: int
    frames_out: int
    skipped: int
    dropped: int


class SoakRow(ProcessRow, FrameRow):
    """One run; `received` frames came out at the consumer."""

    frames: int
    rate_hz: float
    received: int


class ProcessSample(TypedDict):
    """Memory, threads and open files of the process after so many frames."""

    frames: int
    rss_mb: float
    threads: int
    files: int


def benchmark_soak(
    frames: int = 60_000,
    rate_hz: float = 30.0,
    size_wh: tuple[int, int] = SIZE_WH,
    on_sample: Callable[[ProcessSample], object] = lambda sample: None,
    chunk: int = CHUNK,
) -> list[SoakRow]:
    """Send frames at a rate, sample the node's process between them, and account for every frame at the end.

    Args:
        frames: How many pairs the camera sends; 60,000 are 33 minutes at 30 Hz.
        rate_hz: Of the camera.
        size_wh: Of the images.
        on_sample: Called with every sample.
        chunk: Frames between two samples.

    Raises:
        BackendError: The node's process grows, or frames are unaccounted for.
        DataError: No cloud comes, or a process ends.
    """
    with NodeHarness(size_wh) as harness:
        samples, sent, received = [], 0, 0
        before = frame_counts(lambda: harness.collect()[1])
        for first in range(0, frames, chunk):
            sent += len(harness.publish("images", rate_hz, min(chunk, frames - first)))
            arrivals, _ = harness.collect()
            received += len(arrivals[POINTS])
            samples.append(process_sample(harness.node_pid, sent))
            on_sample(samples[-1])
        after = frame_counts(lambda: harness.collect()[1])
    row = SoakRow(
        frames=frames,
        rate_hz=rate_hz,
        **process_row(samples, frames),
        **frame_row(sent, before, after),
        received=received,
    )
    check(row, frames)
    return [row]


def process_row(samples: list[ProcessSample], frames: int) -> ProcessRow:
    """Sum up the samples of a run."""
    warm = [s for s in samples if s["frames"] >= frames * _WARM_UP_SHARE]
    return ProcessRow(
        growth_mb=growth_mb(warm, frames),
        peak_mb=max(s["rss_mb"] for s in samples),
        threads=warm[-1]["threads"],
        more_threads=warm[-1]["threads"] - warm[0]["threads"],
        files=warm[-1]["files"],
        more_files=warm[-1]["files"] - warm[0]["files"],
    )


def frame_row(sent: int, before: Mapping[str, int], after: Mapping[str, int]) -> FrameRow:
    """What became of the frames of a run, by two of `frame_counts`."""
    return FrameRow(
        sent=sent,
        frames_in=after["frames_in"] - before["frames_in"],
        frames_out=after["frames_out"] - before["frames_out"],
        skipped=after["skipped"] - before["skipped"],
        dropped=after["dropped"] - before["dropped"],
    )


def process_sample(pid: int, frames: int) -> ProcessSample:
    """Measure a process: resident memory (MB), threads, open files."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return ProcessSample(
        frames=frames,
        rss_mb=int(values["VmRSS"].split()[0]) / 1024,
        threads=int(values["Threads"]),
        files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
    )


def growth_mb(samples: list[ProcessSample], frames: int) -> float:
    """Slope of a line through the resident memory, times the frames of the run, MB; 0 of few samples.

    Of the two halves the smaller one counts: what leaks does so in both, while a moment at which more images
    than ever were on their way lifts the memory once, and for good (`system.allocator`).
    """
    half = len(samples) // 2
    if half < 3:
        return 0.0
    slopes = (
        np.polyfit([s["frames"] for s in part], [s["rss_mb"] for s in part], 1)[0]
        for part in (samples[:half], samples[half:])
    )
    return float(min(slopes) * frames)


def check(row: Mapping[str, Any], frames: int) -> None:
    """Judge a run; `row` has what `ProcessRow` and `FrameRow` have.

    Raises:
        BackendError: Memory, threads or files grew, or frames are unaccounted for.
    """
    faults = []
    if row["growth_mb"] > MAX_GROWTH_MB:
        faults.append(f"memory grew by {row['growth_mb']:.1f} MB")
    for what, more in (("threads", row["more_threads"]), ("open files", row["more_files"])):
        if more > 0:
            faults.append(f"{more} more {what}")
    accounted = row["frames_out"] + row["skipped"] + row["dropped"]
    if row["frames_in"] != accounted:
        faults.append(f"{row['frames_in']} frames in, {accounted} accounted for")
    if faults:
        problems = "; ".join(faults)
        raise BackendError(
            f"expected a node that stays as it is over {frames} frames, got: {problems}; look into "
            "what it does per frame"
        )


def frame_counts(newest: Callable[[], Mapping[str, str]]) -> dict[str, int]:
    """The node's own counts, once its diagnostics count the last frame."""
    deadline = time.monotonic() + _STATUS_S
    last: dict[str, int] = {}
    while True:
        time.sleep(1.1)  # one period of /diagnostics
        status = newest()
        counts = {name: int(status.get(key, 0)) for name, key in _KEYS.items()}
        # An image without a partner is no frame, so its drop is not one of frames_in.
        counts["dropped"] -= int(status.get("dropped_unmatched", 0))
        waiting = counts["frames_in"] - counts["frames_out"] - counts["skipped"] - counts["dropped"]
        if (counts == last and status and not waiting) or time.monotonic() > deadline:
            return counts
        last = counts
