"""The three processes of the benchmarks: how they end."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys

import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.ros.bench.harness import NodeHarness


def test_a_process_that_dies_is_reported_and_nothing_is_left():
    with pytest.raises(DataError, match="depth node to live"):
        with NodeHarness((96, 64)) as harness:
            os.kill(harness.node_pid, 9)
            harness._nodes[0].join()
            harness.publish("images", 10.0, 20)
    assert not multiprocessing.active_children()


# As a terminal does it: Ctrl-C goes to all processes of the command.
_INTERRUPTED = """
import os, signal, sys, threading, time
from recon3d_ros.ros.bench.harness import NodeHarness
if __name__ == "__main__":
    while_starting = threading.Timer(float(sys.argv[1]), os.killpg, (0, signal.SIGINT))
    while_starting.daemon = True
    while_starting.start()
    try:
        with NodeHarness((96, 64)):
            os.killpg(0, signal.SIGINT)
            time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(
    "seconds",
    ["0.3", pytest.param("0.8", marks=pytest.mark.slow), pytest.param("1000", marks=pytest.mark.slow)],
)
def test_ctrl_c_ends_all_processes_in_order(tmp_path, seconds):
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
