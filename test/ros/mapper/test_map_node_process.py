"""The map node as a process of its own: killed while it saves, stopped, started wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from std_srvs.srv import Trigger

from recon3d_ros.config.mapping import MappingConfig
from recon3d_ros.errors import ConfigError, MissingDependencyError
from recon3d_ros.mapping.live_map import LiveMap
from recon3d_ros.mapping.map_folder import load_map, newest_map

pytest.importorskip("skimage")
ROOT = Path(__file__).resolve().parents[3]
WALK = [(-1.6 + 0.03 * i, 0.01 * i, -0.2 + 0.03 * i) for i in range(6)]


def start(*parameters: str, namespace: str = "/process") -> subprocess.Popen:
    words = ["--ros-args", "-r", f"__ns:={namespace}"]
    words += [word for each in parameters for word in ("-p", each)]
    code = "import sys; from recon3d_ros.ros.mapper.map_node import main; sys.exit(main(sys.argv))"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        (("poses:=odometry", "voxel_m:=-1.0"), ConfigError.exit_code, "voxel_m must be at least 0.005"),
        (("poses:=gps",), ConfigError.exit_code, "poses must be one of tf, odometry"),
        pytest.param(
            ("poses:=tf",),
            MissingDependencyError.exit_code,
            "or set poses to odometry and leave base_frame empty",
            marks=pytest.mark.skipif(find_spec("tf2_ros") is not None, reason="tf2_ros is installed here"),
        ),
    ],
)
def test_a_wrong_start_is_one_sentence(parameters, code, words):
    process = start(*parameters)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    (line,) = (line for line in said.splitlines() if "[FATAL]" in line)
    assert words in line and "Traceback" not in said


def test_killed_while_saving_the_earlier_map_stays_whole(make_map_bench, tmp_path):
    """The draft is there when the kill comes; what is there under its name is complete."""
    bench = make_map_bench("/process_probe", outputs=())  # its probe plays the camera of the process
    process = start(
        "mode:=mono", "poses:=odometry", f"map_folder:={tmp_path}", namespace="/process_probe/own"
    )
    try:
        saved = run_until_saved(bench, process)
        assert saved.message == str(tmp_path / "map_0001")
        client = bench.probe.create_client(Trigger, "/process_probe/own/map_node/save_map")
        assert client.wait_for_service(30)
        client.call_async(Trigger.Request())
        drafted = lambda: [name for name in os.listdir(tmp_path) if name.startswith(".map_draft")]  # noqa: E731
        bench.wait(drafted, "it does not save")
        process.kill()
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate(timeout=30)
    newest = newest_map(tmp_path)  # map_0002 only if it was faster than the kill
    assert newest.name in ("map_0001", "map_0002")
    live = LiveMap(MappingConfig())
    assert load_map(tmp_path / "map_0001", live, "odom").name == "map_0001"
    assert load_map(tmp_path, live, "odom") == newest and len(live.fusion.store) > 100


def run_until_saved(bench, process):
    """Feed the process until it has a map, and have it saved."""
    client = bench.probe.create_client(Trigger, "/process_probe/own/map_node/save_map")
    assert client.wait_for_service(60), process.poll()
    deadline, step = time.monotonic() + 60, 0
    while time.monotonic() < deadline:
        bench.stamp_ns += 100_000_000
        bench.send_arrays(*bench.room.view(bench.room.pose(*WALK[min(step, 5)])), prefix="own/")
        time.sleep(0.2)
        step += 1
        if step < 6:
            continue
        future = client.call_async(Trigger.Request())
        bench.wait(future.done, "no answer")
        if future.result().success:
            return future.result()
    raise AssertionError("no map to save")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_a_clean_end(number):
    process = start("poses:=odometry")
    for line in process.stderr:
        if "a map of" in line:
            process.send_signal(number)
            break
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in said
