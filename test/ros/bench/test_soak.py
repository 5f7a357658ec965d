"""The soak: a short run of the same code by default, minutes of it where RECON3D_SOAK_FRAMES says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from recon3d_ros.errors import BackendError
from recon3d_ros.ros.bench.soak import benchmark_soak, check, growth_mb, process_sample

FRAMES = int(os.environ.get("RECON3D_SOAK_FRAMES", "90"))


@pytest.mark.timeout(120 + FRAMES / 10)
def test_the_node_does_not_grow_and_accounts_for_every_frame():
    samples = []
    long = FRAMES > 1000
    size_wh = (640, 480) if long else (96, 64)
    # A short run is over before the allocator has settled, so its slope says nothing: looked at, not judged.
    (row,) = benchmark_soak(FRAMES, 30.0, size_wh, samples.append, chunk=300 if long else FRAMES)
    assert samples[-1]["frames"] == row["sent"] == FRAMES
    assert row["frames_in"] == row["frames_out"] + row["skipped"] + row["dropped"]
    assert 0 < row["received"] <= row["frames_out"]
    assert row["frames_in"] <= row["sent"]
    assert row["frames_in"] >= 0.9 * row["sent"]  # best effort over shared memory loses next to nothing


def test_growth_is_the_slope_over_the_run():
    samples = [{"frames": n, "rss_mb": 100 + n / 1000, "threads": 1, "files": 1} for n in range(0, 5000, 500)]
    assert growth_mb(samples, 60_000) == pytest.approx(60.0)
    assert growth_mb(samples[:5], 60_000) == 0.0


def test_a_step_is_no_growth_and_a_leak_is_one_with_steps_in_it():
    def samples(leak_mb):
        return [
            {"frames": n, "rss_mb": 100 + 20 * (n > 9000) + leak_mb * n / 27_000, "threads": 1, "files": 1}
            for n in range(300, 27_300, 300)
        ]

    assert growth_mb(samples(0.0), 27_000) == pytest.approx(0.0, abs=1e-6)
    assert growth_mb(samples(10.0), 27_000) == pytest.approx(10.0)


def test_whatever_grows_is_named():
    row = dict.fromkeys(("frames_out", "skipped", "dropped", "more_threads", "more_files"), 0)
    row |= {"frames_in": 5, "frames_out": 4, "dropped": 1, "growth_mb": 0.0}
    check(row, 9)
    for change, said in (
        ({"growth_mb": 6.0}, "memory grew by 6.0 MB"),
        ({"more_threads": 2}, "2 more threads"),
        ({"more_files": 1}, "1 more open files"),
        ({"frames_in": 6}, "6 frames in, 5 accounted for"),
    ):
        with pytest.raises(BackendError, match=said):
            check(row | change, 9)


# Opens one file more when told to, and does nothing else: this process's own files come and go with the DDS
# threads of the tests before.
_OPENS_A_FILE = """
import os
print("ready", flush=True)
input()
kept = open(os.devnull)
print("opened", flush=True)
input()
"""


def test_a_process_is_looked_at():
    with subprocess.Popen(
        [sys.executable, "-c", _OPENS_A_FILE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        before = process_sample(child.pid, 7)
        print(file=child.stdin, flush=True)
        assert child.stdout.readline() == "opened\n"
        sample = process_sample(child.pid, 7)
        print(file=child.stdin, flush=True)
    assert sample["frames"] == 7 and sample["files"] == before["files"] + 1
    assert 5 < sample["rss_mb"] < 100 and sample["threads"] == 1
