"""Every way in which a cached engine can be wrong: it is built again, and the reason is told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from recon3d_ros.backends.engine_store import EngineKey, EngineOptions, EngineStore, default_folder
from recon3d_ros.errors import BackendError
from recon3d_ros.system.progress import Progress

KEY = EngineKey(
    "net",
    "fp16",
    "a" * 64,
    "tensorrt",
    "10.3.0",
    {"device": "Orin", "compute_capability": "8.7", "driver": "540.3", "cuda": "12.6"},
    ("left 1x3x480x640",),
    "strongly typed",
)
FIRST, SECOND = b"engine " * 100, b"another engine"


class Bench(Progress):
    """A store, a fake builder that counts, and what it waited for."""

    def __init__(self, folder: Path) -> None:
        self.store, self.built, self.steps = EngineStore(folder), 0, []

    def update(self, stage: str, share: float | None = None) -> None:
        self.steps.append(stage)

    def get(self, key: EngineKey = KEY, content: bytes = SECOND, rebuild: bool = False) -> bytes:
        def build() -> bytes:
            self.built += 1
            return content

        return self.store.get_or_build(key, build, EngineOptions(rebuild=rebuild, progress=self))


@pytest.fixture
def bench(tmp_path: Path, warned: list[str]) -> Bench:
    bench = Bench(tmp_path / "engines")
    assert bench.get(content=FIRST) == FIRST and bench.built == 1 and not warned
    return bench


def test_a_good_engine_is_not_built_again_and_its_description_is_in_words(bench: Bench) -> None:
    assert bench.get() == FIRST and bench.built == 1
    words = json.loads((bench.store.folder / f"{KEY.stem}.json").read_text())
    assert words["key"]["target"]["device"] == "Orin" and words["key"]["shapes"] == ["left 1x3x480x640"]
    assert words["size"] == len(FIRST) and words["verdict"] == "" and words["build_seconds"] >= 0


def truncate(store: EngineStore, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:99])


def flip_a_bit(store: EngineStore, path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[50] ^= 4
    path.write_bytes(content)


def remove_description(store: EngineStore, path: Path) -> None:
    path.with_suffix(".json").unlink()


def cut_description(store: EngineStore, path: Path) -> None:
    path.with_suffix(".json").write_text('{"key": {"model"')


def list_as_description(store: EngineStore, path: Path) -> None:
    path.with_suffix(".json").write_text("[1]")


def many_brackets(store: EngineStore, path: Path) -> None:
    path.with_suffix(".json").write_text("[" * 100_000)


def wrong_types(store: EngineStore, path: Path) -> None:
    content = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(content | {"size": "large", "sha256": 3}))


def put_a_foreign_one_in_its_place(store: EngineStore, path: Path) -> None:
    foreign = replace(KEY, target={**KEY.target, "device": "RTX 4090"})
    store.put(foreign, SECOND, 1.0)
    store.path(foreign.stem).rename(path)
    path.with_name(f"{foreign.stem}.json").rename(path.with_suffix(".json"))


def remove_engine(store: EngineStore, path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (truncate, r"truncated: expected 700 bytes, got 99"),
        (flip_a_bit, r"damaged: its sha256"),
        (remove_description, r"has no readable description"),
        (cut_description, r"has no readable description"),
        (many_brackets, r"has no readable description"),
        (wrong_types, r"has no readable description"),
        (list_as_description, r"has no readable description"),
        (put_a_foreign_one_in_its_place, r"device RTX 4090 instead of Orin"),
        (remove_engine, r"cannot be read \(No such file"),
    ],
)
def test_what_cannot_be_trusted_is_built_again_and_the_reason_told(
    bench: Bench, spoil, reason, warned
) -> None:
    spoil(bench.store, bench.store.path(KEY.stem))
    assert bench.get() == SECOND and bench.built == 2
    (warning,) = warned
    assert re.search(reason, warning)
    assert "building net (fp16) again" in warning
    assert bench.get() == SECOND and bench.built == 2


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"version": "10.7.0"}, "version 10.3.0 instead of 10.7.0"),
        ({"onnx_sha256": "b" * 64}, "onnx_sha256 aaa"),
        ({"target": {**KEY.target, "driver": "575.1"}}, "driver 540.3 instead of 575.1"),
        ({"shapes": ("left 1x3x96x64",)}, "shapes left 1x3x480x640 instead of left 1x3x96x64"),
    ],
)
def test_whatever_the_engine_depends_on_makes_another_one(bench: Bench, changed, reason, warned) -> None:
    assert bench.get(replace(KEY, **changed)) == SECOND
    assert len(warned) == 1 and reason in warned[0]
    assert bench.get() == FIRST  # the other one is still there


def test_an_engine_that_answered_wrong_stays_in_quarantine_until_it_is_forced(bench: Bench) -> None:
    bench.store.record_check(KEY, "12 % of the pixels off")
    with pytest.raises(
        BackendError, match=r"quarantine.*12 %.*recon3d engines build net --precision fp16 --force"
    ):
        bench.get()
    assert bench.built == 1
    assert bench.get(rebuild=True) == SECOND and bench.get() == SECOND and bench.built == 2


def test_a_failed_build_leaves_nothing_and_the_next_one_is_free_to_try(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "engines")

    def fails() -> bytes:
        raise BackendError("no")

    with pytest.raises(BackendError):
        bench.store.get_or_build(KEY, fails, EngineOptions())
    assert not bench.store.entries() and bench.get() == SECOND


HOLDER = """
import sys, time
from pathlib import Path
from test_key import KEY
from recon3d_ros.backends.engine_store import EngineStore
from recon3d_ros.system.progress import NO_PROGRESS
with EngineStore(Path(sys.argv[1]))._lock(KEY, NO_PROGRESS):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_a_process_that_was_killed_is_free(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "test_key.py").write_text(
        "from recon3d_ros.backends.engine_store import EngineKey\nKEY = EngineKey(" + _arguments() + ")\n"
    )
    root = Path(__file__).resolve().parents[2]
    environ = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(bench.store.folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    waiting = threading.Thread(target=bench.get)
    waiting.start()
    while not bench.steps:
        waiting.join(0.05)
    assert bench.steps[0] == f"process {holder.pid} builds it" and waiting.is_alive()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    waiting.join(20)
    assert not waiting.is_alive() and bench.built == 1  # what was there is taken
    holder.stdout.close()


def _arguments() -> str:
    return ", ".join(repr(value) for value in vars(KEY).values())


def test_two_who_want_the_same_engine_build_it_once(tmp_path: Path) -> None:
    benches = [Bench(tmp_path / "engines") for _ in range(2)]
    begun, go_on, got = threading.Event(), threading.Event(), []

    def slow() -> bytes:
        begun.set()
        assert go_on.wait(20)
        return FIRST

    first = threading.Thread(
        target=lambda: got.append(benches[0].store.get_or_build(KEY, slow, EngineOptions()))
    )
    first.start()
    assert begun.wait(20)
    second = threading.Thread(target=lambda: got.append(benches[1].get()))
    second.start()
    while not benches[1].steps:
        second.join(0.05)
    go_on.set()
    first.join(20)
    second.join(20)
    assert got == [FIRST, FIRST] and benches[1].built == 0
    assert benches[1].steps[0] == f"process {os.getpid()} builds it"


def test_a_folder_that_cannot_be_made_costs_only_the_next_start(tmp_path: Path, warned) -> None:
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file" / "engines")
    assert bench.get() == SECOND and bench.get() == SECOND and bench.built == 2
    assert "built again at the next start" in warned[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into read-only folders")
def test_a_read_only_folder_as_a_user(bench: Bench, warned) -> None:
    bench.store.folder.chmod(0o555)
    try:
        other = replace(KEY, version="11")
        assert bench.get(other) == SECOND and "Permission denied" in warned[-1]
        assert bench.get() == FIRST
    finally:
        bench.store.folder.chmod(0o755)


def _tmpfs(folder: Path, options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_and_a_read_only_one_cost_only_the_next_start(warned) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _tmpfs(folder, "size=64k")
        try:
            bench = Bench(folder)
            big = os.urandom(1 << 20)
            assert bench.get(content=big) == big
            assert "No space left" in warned[0] and "built again" in warned[0]
            assert not bench.store.entries() and not list(folder.glob(".*tmp"))
            assert bench.get(content=FIRST) == FIRST
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            assert bench.get() == FIRST
            assert bench.get(replace(KEY, version="11")) == SECOND
            assert "Read-only" in warned[-1]
        finally:
            subprocess.run(["umount", str(folder)], check=True)


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "recon3d_ros" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the specification: to be ignored
    assert default_folder() == Path.home() / ".cache" / "recon3d_ros" / "engines"
