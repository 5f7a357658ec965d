"""The executables of `ros2 run`, as their console scripts start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

import pytest

from recon3d_ros import __version__
from recon3d_ros.cli import executables
from recon3d_ros.errors import MissingDependencyError

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("depth_node", "map_node", "image_source")


def start(name: str, *words: str, prelude: str = "", flags: tuple[str, ...] = ()) -> subprocess.Popen:
    code = (
        f"import sys; sys.argv[0] = '/opt/{name}'\n{prelude}\n"
        f"from recon3d_ros.cli.executables import {name}; sys.exit({name}())"
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, *flags, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.parametrize("name", NAMES)
def test_setup_names_them(name):
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    (line,) = (line for line in setup.splitlines() if f'"{name} = ' in line)
    value = line.split(" = ")[1].split('"')[0].replace("{NAME}", "recon3d_ros")
    assert EntryPoint(name, value, "console_scripts").load() is getattr(executables, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_it_loads_is_a_clean_end(name, number):
    pytest.importorskip("rclpy")
    process = start(name, flags=("-X", "importtime"))
    seen = []
    for line in process.stderr:  # what is imported, as it comes
        seen.append(line)
        if line.split()[-1].startswith("numpy."):  # rclpy, OpenCV and the node follow
            process.send_signal(number)
            break
    seen += process.stderr.readlines()
    assert process.wait(timeout=60) == 0
    process.stdout.close()
    process.stderr.close()
    assert not [line for line in seen if not line.startswith("import time:")]
    assert not any(line.split()[-1] == "recon3d_ros.ros.bridge.runtime" for line in seen)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_library_is_one_sentence(name):
    process = start(name, prelude="sys.modules['sensor_msgs.msg'] = None")
    _, said = process.communicate(timeout=60)
    assert process.returncode == MissingDependencyError.exit_code
    assert said.count("\n") == 1 and said.startswith(f"{name}: error: expected")
    assert "sensor_msgs" in said if find_spec("rclpy") else "source /opt/ros" in said


def test_the_version_is_there_at_once():
    pytest.importorskip("rclpy")
    said, _ = start("depth_node", "--version").communicate(timeout=60)
    assert said.strip() == f"recon3d_ros {__version__}"


def test_a_stop_behind_the_end_leaves_the_exit_code():
    """Python gives signals back to the system before it ends its own threads and libraries."""
    prelude = (
        "import os, sys, types\n"
        "node = types.ModuleType('node'); node.main = lambda: 3\n"
        "sys.modules['recon3d_ros.ros.node.depth_node'] = node\n"
        "class Late:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid()):\n"
        "        for number in (1, 2, 15):\n"
        "            kill(pid, number)\n"
        "sys.late = Late()"
    )
    process = start("depth_node", prelude=prelude)
    assert process.communicate(timeout=60) == ("", "") and process.returncode == 3
