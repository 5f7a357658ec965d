from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from recon3d_ros.training.allocator import keep_memory
if sys.argv[1] == "keep" and not keep_memory():
    sys.exit(77)
def work():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(48 * 2**20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
work()
print(work())
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("no glibc")
    return int(done.stdout)


def test_freed_buffers_are_used_again():
    assert faults("keep") < 0.1 * faults("leave")
