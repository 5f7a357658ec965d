"""A build in a child process: whatever happens there is one sentence here, and nobody waits for the dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recon3d_ros.backends.engine_build import BuildPhases
from recon3d_ros.backends.engine_child import build_in_child
from recon3d_ros.errors import BackendError, ContractError
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.system.progress import NO_PROGRESS, Progress

MANIFEST = find_model("recon3d_stereo")
PROFILES = ({"left": (1, 3, 32, 64), "right": (1, 3, 32, 64)},)
READ = "import json, os, sys, time; request = json.loads(sys.stdin.read())\n"
SAY = "def say(**words): print(json.dumps(words), flush=True)\n"


class Steps(Progress):
    def __init__(self) -> None:
        self.all: list[tuple[str, float | None]] = []

    def update(self, stage: str, share: float | None = None) -> None:
        self.all.append((stage, share))


def build(script: str, progress: Progress = NO_PROGRESS) -> bytes:
    command = [sys.executable, "-c", READ + SAY + script]
    return build_in_child("tensorrt", MANIFEST, MANIFEST.artifact("fp32"), PROFILES, progress, command)


def test_engine_and_progress_come_back():
    steps = Steps()
    script = (
        "print('words of the vendor'); print('[1]'); say(stage='building', share=0.1)\n"
        "open(request['target'], 'wb').write(json.dumps(request['profiles']).encode()); say(built=1)"
    )
    assert json.loads(build(script, steps)) == [{"left": [1, 3, 32, 64], "right": [1, 3, 32, 64]}]
    assert steps.all == [("building", 0.1)]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("os.kill(os.getpid(), 9)", "was killed, as Linux does when the memory is full"),
        ("os.abort()", "died of SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "died of SIGSEGV"),
        ("raise RuntimeError('no luck')", "exit code 1 (.*RuntimeError: no luck)"),
        ("pass", "exit code 0 (without a message)"),
        ("say(built=3)", "cannot be read back (No such file"),
    ],
    ids=["out of memory", "abort", "crash", "exception", "silence", "no file"],
)
def test_whatever_kills_the_child_is_one_sentence(script, words):
    pattern = words.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(BackendError, match=pattern):
        build(script)


def test_an_error_of_the_child_keeps_its_kind():
    with pytest.raises(ContractError, match=r"^the input is another$"):
        build("say(error='the input is another', kind='ContractError')")
    with pytest.raises(BackendError, match=r"^refused$"):
        build("say(error='refused', kind='EngineRefused')")


def test_who_raises_in_a_step_ends_the_child(tmp_path):
    class Enough(Exception):
        pass

    pids = []

    class Cancels(Progress):
        def update(self, stage: str, share: float | None = None) -> None:
            pids.append(int(stage))
            raise Enough

    with pytest.raises(Enough):
        build("say(stage=str(os.getpid())); time.sleep(100)", Cancels())
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_the_child_dies_with_its_parent(tmp_path):
    """The real child, which waits in a model's file that never ends."""
    pipe = tmp_path / "net.yaml"
    os.mkfifo(pipe)
    script = (
        "import subprocess, sys, json, os, time\n"
        "words = [sys.executable, '-m', 'recon3d_ros.backends.engine_child']\n"
        "child = subprocess.Popen(words, stdin=-1, text=True)\n"
        f"request = {{'manifest': {str(pipe)!r}, 'parent': os.getpid()}}\n"
        "child.stdin.write(json.dumps(request)); child.stdin.close()\n"
        "print(child.pid, flush=True); time.sleep(100)"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environ)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    with open(pipe, "w"):  # blocks until the child reads, when it has asked to die with its parent
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 60
        while _lives(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _lives(pid)
    parent.stdout.close()


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nested_phases_make_one_share():
    phases = BuildPhases()
    phases.start("all", None, 2)
    phases.start("first", "all", 4)
    assert [phases.reach("first", i) for i in range(4)] == [0.125, 0.25, 0.375, 0.5]
    assert phases.finish("first") == 0.5
    assert phases.reach("all", 0) == 0.5
    phases.start("second", "all", 1)
    phases.start("inner", "second", 10)
    assert phases.reach("inner", 4) == 0.75
    assert phases.reach("unknown", 3) == 0.75
    phases.finish("inner"), phases.finish("second")
    assert phases.finish("all") == 1.0
