"""How long a frame takes from its stamp to a consumer, beside a ready-made cloud on the same way.

Camera, depth node and consumer are three processes over DDS. The network costs nothing (`CopyingBackend`),
so the time beyond the hop of a ready-made cloud is the node's own.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict

import numpy as np

from recon3d_ros.errors import DataError
from recon3d_ros.ros.bench import parts as parts
from recon3d_ros.system.interrupts import interrupts_held

SIZES_WH = ((640, 480), (1280, 720))
RATES_HZ = (10.0, 30.0)
BLOCKS = 5
START_S = 60.0
STOP_S = 10.0
# After a block, for what is on its way.
GRACE_S = 0.5
_WARM_UP_S = 2.0


class NodeRow(TypedDict):
    """One size and rate.

    Latencies run from the stamp of an image (hop: of a ready-made cloud) to the consumer's callback; `ratio`
    is the median over blocks of the ratio of their medians. `node_cpu_ms` is processor time of the node's
    process, all threads, for each cloud received. `received` of `sent` frames came out.
    """

    width: int
    height: int
    rate_hz: float
    latency_ms_p50: float
    latency_ms_p95: float
    hop_ms_p50: float
    ratio: float
    node_cpu_ms: float
    received: int
    sent: int


class Rig:
    """Three processes: a camera, a depth node and a consumer; ended when the context is left.

    The environment (DDS domain, profile) is that of this process.

    Args:
        size_wh: Of the images.
        parameters: Of the node, beyond its model.

    Raises:
        DataError: No cloud came out within a minute.
    """

    def __init__(self, size_wh: tuple[int, int], parameters: Mapping[str, Any] = {}) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="recon3d-benchmark-")
        model = parts.write_model(Path(self._folder.name))
        values = {"model": str(model), "backend": "fake", **parameters}
        words = ["--ros-args", "--log-level", "warn"]
        for name, value in values.items():
            words += ["-p", f"{name}:={value}"]
        spawn = get_context("spawn")  # a forked DDS is no DDS
        self._node = spawn.Process(target=parts.run_depth_node, args=(words,), daemon=True)
        self._camera, their_camera = spawn.Pipe()
        self._consumer, their_consumer = spawn.Pipe()
        self._others = [
            spawn.Process(target=parts.run_camera, args=(their_camera, size_wh), daemon=True),
            spawn.Process(target=parts.run_consumer, args=(their_consumer, size_wh), daemon=True),
        ]

    def __enter__(self) -> Rig:
        try:
            with interrupts_held():
                for process in (self._node, *self._others):
                    process.start()
            deadline = time.monotonic() + START_S
            while True:
                self.publish("images", 10.0, 5)
                self.publish("clouds", 10.0, 2)
                came, _ = self.collect()
                if all(came.values()):
                    return self
                if time.monotonic() > deadline:
                    got = (
                        f"{len(came[parts.POINTS])} of the node and {len(came[parts.READY])} ready-made ones"
                    )
                    raise DataError(
                        f"expected clouds within {START_S:.0f} s, got {got}: see the warnings above"
                    )
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def node_pid(self) -> int:
        """The node's process."""
        assert self._node.pid is not None  # it was started
        return self._node.pid

    def publish(self, what: str, rate_hz: float, frames: int) -> list[int]:
        """Publish "images" or "clouds" and return their stamps (ns), when all of them are out."""
        return list(self._ask(self._camera, (what, rate_hz, frames)))

    def collect(self) -> tuple[dict[str, dict[int, int]], dict[str, str]]:
        """Return when the consumer got which stamps since the last call, and the node's diagnostics."""
        time.sleep(GRACE_S)
        came, status = self._ask(self._consumer, "collect")
        return came, status

    def close(self) -> None:
        """End the processes, the node first."""
        for lead in (self._camera, self._consumer):
            try:
                lead.send(None)
            except OSError:
                pass  # it ended by itself
        if self._node.pid is not None and self._node.is_alive():
            self._node.terminate()
        for process in (self._node, *self._others):
            if process.pid is None:
                continue
            process.join(STOP_S)
            if process.is_alive():
                process.kill()
                process.join()
        self._folder.cleanup()

    def _ask(self, lead: Connection, order: object) -> Any:
        """Send an order and wait for its answer, as long as all three live."""
        lead.send(order)
        while not lead.poll(0.2):
            for name, process in zip(("depth node", "camera", "consumer"), (self._node, *self._others)):
                if not process.is_alive():
                    code = process.exitcode
                    raise DataError(f"expected the {name} to live, it ended with {code}: see what it said")
        return lead.recv()


def benchmark_node(
    seconds: float = 4.0,
    sizes_wh: Sequence[tuple[int, int]] = SIZES_WH,
    rates_hz: Sequence[float] = RATES_HZ,
) -> list[NodeRow]:
    """Measure every size and rate, each in five blocks of images between blocks of ready-made clouds.

    Args:
        seconds: Length of a block.
        sizes_wh: Columns and rows.
        rates_hz: Of the camera.

    Raises:
        DataError: No cloud comes, or a process ends.
    """
    rows = []
    for size_wh in sizes_wh:
        with Rig(size_wh) as rig:
            for rate_hz in rates_hz:
                rows.append(_row(rig, size_wh, rate_hz, max(2, round(seconds * rate_hz))))
    return rows


def _row(rig: Rig, size_wh: tuple[int, int], rate_hz: float, frames: int) -> NodeRow:
    rig.publish("images", rate_hz, round(_WARM_UP_S * rate_hz))
    rig.collect()
    latencies, hops, ratios = [], [], []
    cpu_ms, sent = 0.0, 0
    for _ in range(BLOCKS):
        before_ms = cpu_time_ms(rig.node_pid)
        sent += len(rig.publish("images", rate_hz, frames))
        came = rig.collect()[0][parts.POINTS]
        cpu_ms += cpu_time_ms(rig.node_pid) - before_ms
        rig.publish("clouds", rate_hz, frames)
        ready = rig.collect()[0][parts.READY]
        if not came or not ready:
            raise DataError(
                f"expected clouds in every block, got {len(came)} of the node and {len(ready)} ready-made of "
                f"{frames}: run it on an idle machine, with room in /dev/shm"
            )
        latencies += (block := _delays_ms(came))
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
        received=len(latencies),
        sent=sent,
    )


def _delays_ms(came: Mapping[int, int]) -> list[float]:
    return [(received_ns - stamp_ns) / 1e6 for stamp_ns, received_ns in came.items()]


def cpu_time_ms(pid: int) -> float:
    """Processor time of a process so far, all threads, user and system (proc(5), /proc/PID/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e3
