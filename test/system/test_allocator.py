from __future__ import annotations

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from recon3d_ros.system.allocator import keep_memory

# A page fault costs a page that the system zeroes: how many, when a block of 96 MiB is taken ten times.
CODE = """
import resource, sys, threading
import numpy as np
from recon3d_ros.system.allocator import keep_memory
if sys.argv[1] == "keep" and not keep_memory():
    sys.exit(77)
faults = []
def work():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(96 * 2**20, np.uint8)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
def work_twice():
    work(), work()
if sys.argv[2] == "thread":
    thread = threading.Thread(target=work_twice)
    thread.start()
    thread.join()
else:
    work_twice()
print(faults[1])
"""


def faults(how: str, where: str) -> int:
    done = subprocess.run([sys.executable, "-c", CODE, how, where], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("no glibc")
    return int(done.stdout)


@pytest.mark.parametrize("where", ["main", "thread"])
def test_freed_blocks_are_used_again(where):
    assert faults("keep", where) < 0.1 * faults("leave", where)


def test_other_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    assert not keep_memory()
