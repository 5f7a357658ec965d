"""The watches of conftest.py: tests that leave a process or a thread behind must fail, not hang."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

LEAVES_A_PROCESS = """
import subprocess, sys
def test_it():
    # not our child: its parent ends at once
    code = "import subprocess; subprocess.Popen(['sleep', '77'])"
    subprocess.run([sys.executable, "-c", code], check=True)
"""
LEAVES_A_THREAD = """
import threading
def test_it():
    threading.Thread(target=threading.Event().wait, args=(4,), name="stuck").start()
"""
HANGS_AT_THE_END = """
import atexit, threading
def test_it():
    atexit.register(threading.Event().wait)
"""
IS_INTERRUPTED = """
import signal, subprocess
def test_it():
    with subprocess.Popen(["sleep", "77"]) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT
"""


@pytest.fixture
def run(tmp_path):
    """Run pytest on a test file beside a copy of our conftest.py; what is named waits for a second only."""

    def pytest_on(source: str, short: str = "", before: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        conftest = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
        if short:
            conftest, changed = re.subn(rf"^{short} = \d+\.0", f"{short} = 1.0", conftest, flags=re.MULTILINE)
            assert changed == 1
        (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
        (tmp_path / "test_it.py").write_text(source, encoding="utf-8")
        words = [*before, sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", ".", "."]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100)

    return pytest_on


def test_a_process_that_is_left_is_named_and_killed(run):
    done = run(LEAVES_A_PROCESS, short="LEFT_S")
    assert done.returncode == 1
    assert "sleep 77" in done.stdout and "1 passed" in done.stdout and "1 error" in done.stdout


def test_a_thread_that_is_left_is_named(run):
    done = run(LEAVES_A_THREAD, short="LEFT_S")
    assert "1 passed" in done.stdout and "1 error" in done.stdout
    assert "threads still running 1 s after these tests" in done.stdout and "stuck" in done.stdout


def test_an_exit_that_hangs_shows_where(run):
    done = run(HANGS_AT_THE_END, short="EXIT_S")
    assert "1 passed" in done.stdout
    assert done.returncode == 1
    assert "Timeout" in done.stderr and "threading.py" in done.stderr


def test_started_in_the_background_children_can_be_interrupted(run):
    done = run(IS_INTERRUPTED, before=("bash", "-c", "trap '' INT; exec \"$@\"", "bash"))
    assert done.returncode == 0, done.stdout
