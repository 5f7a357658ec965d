"""The benchmark of the node, with blocks too short to mean anything: what is counted, and how it ends."""

from __future__ import annotations

import math
import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest

from recon3d_ros.cli import benchmark
from recon3d_ros.cli.main import main
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import DataError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.model_zoo.manifest import load_manifest
from recon3d_ros.ros.bench import node, parts


def test_rows_hold_what_was_sent_and_what_came(monkeypatch):
    for name, value in (("_WARM_UP_S", 0.3), ("GRACE_S", 0.3), ("BLOCKS", 2)):
        monkeypatch.setattr(node, name, value)
    (row,) = node.benchmark_node(0.3, sizes_wh=((96, 64),), rates_hz=(20.0,))
    assert (row["width"], row["height"], row["rate_hz"]) == (96, 64, 20.0)
    assert row["sent"] == node.BLOCKS * 6
    assert 0 < row["received"] <= row["sent"]
    assert 0 < row["latency_ms_p50"] <= row["latency_ms_p95"]
    assert row["hop_ms_p50"] > 0 and row["node_cpu_ms"] > 0 and math.isfinite(row["ratio"])
    assert not multiprocessing.active_children()


def test_a_part_that_dies_is_told_and_nothing_is_left():
    with pytest.raises(DataError, match="depth node to live"):
        with node.Rig((96, 64)) as rig:
            os.kill(rig.node_pid, 9)
            rig._node.join()
            rig.publish("images", 10.0, 20)
    assert not multiprocessing.active_children()


# As a terminal does it: Ctrl-C goes to all processes of the command.
_INTERRUPTED = """
import os, signal, sys, threading, time
from recon3d_ros.ros.bench.node import Rig
if __name__ == "__main__":
    while_starting = threading.Timer(float(sys.argv[1]), os.killpg, (0, signal.SIGINT))
    while_starting.daemon = True
    while_starting.start()
    try:
        with Rig((96, 64)):
            os.killpg(0, signal.SIGINT)
            time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("seconds", ["0.3", "0.8", "1000"])
def test_ctrl_c_ends_all_parts_in_order(tmp_path, seconds):
    script = tmp_path / "interrupted.py"
    script.write_text(_INTERRUPTED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script, seconds],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr, done.stderr


def test_the_network_that_costs_nothing_answers_anew_every_frame(tmp_path, monkeypatch):
    monkeypatch.setitem(parts.BACKENDS, "fake", "recon3d_ros.ros.bench.parts:CopyingBackend")
    path = parts.write_model(tmp_path)
    assert load_manifest(path).is_stereo
    estimator = Estimator.open(ModelConfig(model=str(path), backend="fake"))
    rig = StereoRig.simple(50, 34, fx=40.0, baseline_m=0.1)
    image = np.random.default_rng(0).integers(0, 256, (34, 50, 3), np.uint8)
    frame = Frame(0, image, rig.left, image, rig)
    disparities = [estimator.estimate(frame).disparity for _ in range(2)]
    assert disparities[0].shape == (34, 50) and not np.array_equal(*disparities)
    np.testing.assert_array_equal(estimator._backend._copies["left"][0], image)


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
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE")
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE")
    before = dict(os.environ)
    assert main(["benchmark", "soak", "--frames", "20"]) == 0
    assert seen["ROS_DOMAIN_ID"] != before["ROS_DOMAIN_ID"]
    assert seen["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert seen["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("fastdds.xml")
    assert dict(os.environ) == before
