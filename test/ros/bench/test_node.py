"""The benchmark of the node, with blocks too short to mean anything: what is counted, and how it ends."""

from __future__ import annotations

import math
import multiprocessing
import os

from recon3d_ros.cli import benchmark
from recon3d_ros.cli.main import main
from recon3d_ros.ros.bench import harness, node
from recon3d_ros.ros.bridge.dds import PROFILE_VARIABLES


def test_rows_hold_what_was_sent_and_what_came(monkeypatch):
    for module, name, value in ((node, "_WARM_UP_S", 0.3), (harness, "GRACE_S", 0.3), (node, "BLOCKS", 2)):
        monkeypatch.setattr(module, name, value)
    (row,) = node.benchmark_node(0.3, sizes_wh=((96, 64),), rates_hz=(20.0,))
    assert (row["width"], row["height"], row["rate_hz"]) == (96, 64, 20.0)
    assert row["sent"] == node.BLOCKS * 6
    assert 0 < row["received"] <= row["sent"]
    assert 0 < row["latency_ms_p50"] <= row["latency_ms_p95"]
    assert row["hop_ms_p50"] > 0 and row["node_cpu_ms"] > 0 and math.isfinite(row["ratio"])
    assert row["node_cpu_percent_min"] <= row["node_cpu_percent"] <= row["node_cpu_percent_max"]
    assert not multiprocessing.active_children()


def test_a_slow_model_and_jpeg_images(monkeypatch):
    for module, name, value in ((node, "_WARM_UP_S", 0.3), (harness, "GRACE_S", 0.5), (node, "BLOCKS", 1)):
        monkeypatch.setattr(module, name, value)
    (row,) = node.benchmark_node(
        1.0, sizes_wh=((96, 64),), rates_hz=(20.0,), image_transport="compressed", model_ms=200.0
    )
    assert 0 < row["received"] <= 9 and row["sent"] == 20  # 5 Hz, and what waits at the end
    assert row["latency_ms_p50"] > 200.0


def test_flags_belong_to_benchmarks(capsys):
    assert main(["benchmark", "node", "--frames", "5"]) == 2
    assert main(["benchmark", "soak", "--frames", "0"]) == 2
    assert "--frames above 0" in capsys.readouterr().err


def test_processes_get_a_domain_and_the_profile_for_big_messages(tmp_path, monkeypatch):
    seen = {}

    def measure(frames):
        seen.update(os.environ)
        return [{"frames": frames}]

    monkeypatch.setattr(benchmark.lazy, "load", lambda _: measure)
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)  # which ones are set depends on the version of Fast DDS
    before = dict(os.environ)
    assert main(["benchmark", "soak", "--frames", "20"]) == 0
    assert seen["ROS_DOMAIN_ID"] != before["ROS_DOMAIN_ID"]
    assert seen["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert seen["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("fastdds.xml")
    assert dict(os.environ) == before
