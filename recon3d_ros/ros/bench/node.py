"""How long a frame takes from its stamp to a consumer, beside a ready-made cloud on the same way.

The network costs nothing (`CopyingBackend`), so the time beyond the hop of a ready-made cloud is the node's
own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from recon3d_ros.errors import DataError
from recon3d_ros.ros.bench.harness import POINTS, READY, NodeHarness

SIZES_WH = ((640, 480), (1280, 720))
RATES_HZ = (10.0, 30.0)
BLOCKS = 5
_WARM_UP_S = 2.0


class NodeRow(TypedDict):
    """One size and rate.

    Latencies run from the stamp of an image (hop: of a ready-made cloud) to the consumer's callback; `ratio`
    is the median over blocks of the ratio of their medians. `node_cpu_ms` is processor time of the node's
    process, all threads, for each cloud received; `node_cpu_percent` is the same as a share of one core, the
    median over blocks, `_min` and `_max` the least and the largest. `received` of `sent` frames came out.
    """

    width: int
    height: int
    rate_hz: float
    latency_ms_p50: float
    latency_ms_p95: float
    hop_ms_p50: float
    ratio: float
    node_cpu_ms: float
    node_cpu_percent: float
    node_cpu_percent_min: float
    node_cpu_percent_max: float
    received: int
    sent: int


def benchmark_node(
    seconds: float = 4.0,
    sizes_wh: Sequence[tuple[int, int]] = SIZES_WH,
    rates_hz: Sequence[float] = RATES_HZ,
    image_transport: str = "raw",
    model_ms: float = 0.0,
) -> list[NodeRow]:
    """Measure every size and rate, each in five blocks of images between blocks of ready-made clouds.

    Args:
        seconds: Length of a block.
        sizes_wh: Columns and rows.
        rates_hz: Of the camera.
        image_transport: raw or compressed (JPEG).
        model_ms: How long the model takes for a frame, without processor time.

    Raises:
        DataError: No cloud comes, or a process ends.
    """
    rows = []
    for size_wh in sizes_wh:
        with NodeHarness(size_wh, transport=image_transport, model_ms=model_ms) as harness:
            for rate_hz in rates_hz:
                rows.append(_measure(harness, size_wh, rate_hz, max(2, round(seconds * rate_hz))))
    return rows


def _measure(harness: NodeHarness, size_wh: tuple[int, int], rate_hz: float, frames: int) -> NodeRow:
    harness.publish("images", rate_hz, round(_WARM_UP_S * rate_hz))
    harness.collect()
    latencies, hops, ratios, shares = [], [], [], []
    cpu_ms, sent = 0.0, 0
    for _ in range(BLOCKS):
        before_ms = cpu_time_ms(harness.node_pid)
        sent += len(harness.publish("images", rate_hz, frames))
        clouds = harness.collect()[0][POINTS]
        block_ms = cpu_time_ms(harness.node_pid) - before_ms
        cpu_ms += block_ms
        shares.append(100.0 * block_ms / (frames / rate_hz * 1e3))
        harness.publish("clouds", rate_hz, frames)
        ready = harness.collect()[0][READY]
        if not clouds or not ready:
            raise DataError(
                f"expected clouds in every block, got {len(clouds)} of the node and {len(ready)} ready-made "
                f"of {frames}: run it on an idle machine, with room in /dev/shm"
            )
        latencies += (block := _delays_ms(clouds))
        hops += (hop_block := _delays_ms(ready))
        ratios.append(float(np.median(block) / np.median(hop_block)))
    p50, p95 = np.percentile(latencies, (50, 95))
    return NodeRow(
        width=size_wh[0],
        height=size_wh[1],
        rate_hz=rate_hz,
        latency_ms_p50=float(p50),
        latency_ms_p95=float(p95),
        hop_ms_p50=float(np.median(hops)),
        ratio=float(np.median(ratios)),
        node_cpu_ms=cpu_ms / len(latencies),
        node_cpu_percent=float(np.median(shares)),
        node_cpu_percent_min=min(shares),
        node_cpu_percent_max=max(shares),
        received=len(latencies),
        sent=sent,
    )


def _delays_ms(arrivals: Mapping[int, int]) -> list[float]:
    return [(received_ns - stamp_ns) / 1e6 for stamp_ns, received_ns in arrivals.items()]


def cpu_time_ms(pid: int) -> float:
    """Processor time of a process so far, all threads, user and system (proc(5), /proc/PID/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e3
