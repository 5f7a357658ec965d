"""A process whose standard streams are closed gives their numbers to no file of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import os, subprocess, sys
from recon3d_ros.system.streams import open_standard_streams
open_standard_streams()
with open(sys.argv[1], "wb") as file:
    os.write(1, b"a library's line"), os.write(2, b"a library's line")
    print("a line of ours"), print("another", file=sys.stderr), sys.stderr.flush(), sys.stdout.flush()
    subprocess.run(["sh", "-c", "echo a child; echo another >&2"], check=True)
    file.write(b"%d" % file.fileno())
"""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_file_stays_clean(tmp_path, closed):
    def close():
        for descriptor in closed:
            os.close(descriptor)

    subprocess.run([sys.executable, "-c", CODE, str(tmp_path / "file")], preexec_fn=close, check=True)
    assert int((tmp_path / "file").read_bytes()) > 2


def test_open_streams_stay(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "file")], capture_output=True, text=True, check=True
    )
    assert "a library's line" in done.stdout and "a line of ours" in done.stdout and "a child" in done.stdout
    assert "a library's line" in done.stderr and "another" in done.stderr
