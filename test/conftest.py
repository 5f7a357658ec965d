"""What every test shares: the data folder, a DDS domain of its own, and skips for what is not installed."""

from __future__ import annotations

import concurrent.futures.thread
import contextlib
import ctypes
import faulthandler
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

import recon3d_ros
from recon3d_ros.cli.domain import claim_domain

# A test module that imports one of these at its top is reported as skipped where the library is absent,
# so that the same `pytest` runs on a machine without ROS (the NumPy 1.26 half of `make test`) or torch.
NEEDS = {
    "rclpy": re.compile(
        r"^(?:from|import) (?:rclpy|cv_bridge|[a-z]+_msgs|recon3d_ros\.ros)\b|^from recon3d_ros import ros\b",
        re.MULTILINE,
    ),
    "torch": re.compile(r"^(?:from|import) (?:torch|recon3d_ros\.(?:networks|training))\b", re.MULTILINE),
}
FOLDERS = {"ros": "rclpy", "networks": "torch", "training": "torch"}

# The same examples in every run, however busy the machine is: who is told of a failure sees it, too.
# `thorough` is what `make test-all` takes; `pytest --hypothesis-profile=default` looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("thorough", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Before anything imports rclpy: children of the tests inherit both. The claim ends with this process.
_domain, _claim = claim_domain()
os.environ["ROS_DOMAIN_ID"] = str(_domain)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

# In the environment of every process that the tests start, and of those that these start in turn.
_MARK = f"RECON3D_TESTS={os.getpid()}"
os.environ.update([_MARK.split("=")])
LEFT_S = 10.0  # for a process to end after the tests of its module
EXIT_S = 60.0  # for the interpreter to end after the last test

# A script that starts us in the background has us ignore Ctrl-C, and so every child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# How a network of somebody else is described: in floats, and in integers inside and out.
FASTDEPTH = {
    "fast_depth_224_fp32_nchw": """
name: fast_depth_224_fp32_nchw
task: mono_metric_depth
artifacts: [{{file: {file}, sha256: {sha256}}}]
input: {{names: [image], scale: 0.00392157, size_wh: [224, 224], fit: stretch}}
output: {{name: depth, layout: NCHW, unit: m}}
licence: {{weights: MIT, sources: [{{name: NYU Depth v2, licence: research use}}]}}
""",
    "fast_depth_224_qdq_uint8_nhwc": """
name: fast_depth_224_qdq_uint8_nhwc
task: mono_metric_depth
artifacts: [{{file: {file}, sha256: {sha256}}}]
input: {{names: ["serving_default_input_1:0"], layout: NHWC, dtype: uint8, size_wh: [224, 224], fit: stretch}}
output: {{name: "StatefulPartitionedCall:0", layout: NHWC, dtype: uint8, unit: m, scale: 0.0716998}}
licence: {{weights: MIT, sources: [{{name: NYU Depth v2, licence: research use}}]}}
""",
}


def missing_library(path: Path) -> str | None:
    """Name the library that a test module or folder needs and this Python lacks; None when it can run."""
    needs = {FOLDERS.get(path.name if path.is_dir() else path.parent.name)} - {None}
    if path.is_file():
        source = path.read_text(encoding="utf-8")
        needs |= {library for library, pattern in NEEDS.items() if pattern.search(source)}
    return next((library for library in sorted(needs) if importlib.util.find_spec(library) is None), None)


class _Skipped(pytest.Collector):
    """Stands in for a module or folder whose library is missing: counted as skipped, never imported."""

    def collect(self):  # type: ignore[no-untyped-def]
        pytest.skip(f"{missing_library(self.path)} is not installed", allow_module_level=True)


def _skipped(path: Path, parent: pytest.Collector) -> pytest.Collector:
    return _Skipped.from_parent(parent, name=path.name, path=path)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Skip a module as a whole before its imports can fail."""
    return _skipped(module_path, parent) if missing_library(module_path) else None


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Skip a folder as a whole before its conftest.py is imported."""
    return _skipped(path, parent) if missing_library(path) else None


# Files of these rooms take longest. Those of ROS mostly wait for other processes, the others compute.
LONG = (("ros",), ("training", "cli", "convert", "backends", "evaluation", "world"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In parallel, begin with the long files, waiting ones beside computing ones: none is last and alone."""
    if not hasattr(config, "workerinput"):
        return
    files = dict.fromkeys(item.path for item in items)
    turn: dict[Path, int] = {}
    for rooms in LONG:
        mine = [path for path in files if path.relative_to(Path(__file__).parent).parts[0] in rooms]
        turn.update({path: i for i, path in enumerate(mine)})
    items.sort(key=lambda item: turn.get(item.path, len(files)))


def left_processes() -> dict[int, str]:
    """Process ids and command lines of what the tests started and still runs."""
    left = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if _MARK.encode() in (entry / "environ").read_bytes().split(b"\0"):
                left[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except (OSError, UnicodeDecodeError):
            continue  # it ended, or belongs to somebody else
    # The resource tracker of multiprocessing lives as long as we do, and ends by itself.
    return {pid: words for pid, words in left.items() if "resource_tracker" not in words}


@pytest.fixture
def launch_log() -> Iterator[list[str]]:
    """What launch files say: launch gives its loggers handlers of its own, and no parents."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("recon3d", "launch.user")]
    for logger in loggers:
        logger.addHandler(handler)
    yield said
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.fixture(scope="module", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Whoever starts a process ends it: one that is left keeps our output open, and CI waits for ever."""
    yield
    deadline = time.monotonic() + LEFT_S
    while (left := left_processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"still running {LEFT_S:.0f} s after these tests, and killed now: {left}"


@pytest.fixture(scope="module", autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Whoever starts a thread ends it: one that is left would hold up the exit of Python for ever."""
    before = set(threading.enumerate())
    yield
    # Python ends the threads of pools by itself.
    started = [
        thread
        for thread in set(threading.enumerate()) - before
        if not thread.daemon and thread not in concurrent.futures.thread._threads_queues
    ]
    deadline = time.monotonic() + LEFT_S
    for thread in started:
        thread.join(max(0.0, deadline - time.monotonic()))
    left = [thread for thread in started if thread.is_alive()]
    stacks = sys._current_frames()
    where = {thread.name: traceback.format_stack(stacks[thread.ident])[-1] for thread in left}
    assert not left, f"threads still running {LEFT_S:.0f} s after these tests: {where}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Make an exit that hangs a failure that shows where: a thread, a child or a library may hold us up."""
    if hasattr(config, "workerinput"):
        return  # a worker of xdist waits for the others, and is killed if it hangs; see no_thread_is_left
    faulthandler.dump_traceback_later(EXIT_S, exit=True)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 2 * EXIT_S)  # for what hangs after the interpreter's own end


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real images, $RECON3D_DATA; the test is skipped where there is none."""
    root = os.environ.get("RECON3D_DATA")
    if not root:
        pytest.skip("RECON3D_DATA is not set")
    path = Path(root)
    if not path.is_dir():
        pytest.fail(f"RECON3D_DATA must name a folder, got {root}: unset it or correct it")
    return path


@pytest.fixture(scope="session")
def fastdepth(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Writes a manifest of `FASTDEPTH` beside a copy of its file; returns the manifest's path."""

    def describe(name: str) -> str:
        path = tmp_path_factory.mktemp("models") / f"{name}.yaml"
        file = Path(shutil.copy(data_dir / "models" / f"{name}.onnx", path.parent))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        path.write_text(FASTDEPTH[name].format(file=file.name, sha256=digest))
        return str(path)

    return describe


@pytest.fixture
def foreign_stderr(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Lines on stderr that are not of the log, which goes there once a test had a node in this process."""
    return lambda: [line for line in capfd.readouterr().err.splitlines() if not line.startswith("[WARN] [")]


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """What the package warns of during a test, as it comes."""
    messages: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler, package = Keep(logging.WARNING), logging.getLogger("recon3d_ros")
    package.addHandler(handler)
    yield messages
    package.removeHandler(handler)


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A computer with a GPU and TensorRT, none of them real: see `FakeGpu` in vendors.py."""
    pytest.importorskip("onnxruntime")
    return _module_beside("vendors").FakeGpu(monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def driver_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for NVIDIA's driver, kernels included, built here; skipped where there is no compiler."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    library = tmp_path_factory.mktemp("driver") / "driver.so"
    kernels = Path(recon3d_ros.__file__).parent / "cuda" / "kernels.cu"
    flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    files = [f'-DKERNELS="{kernels}"', "-o", str(library), str(Path(__file__).with_name("driver.cpp"))]
    subprocess.run([compiler, *flags, *files], check=True)
    return library


@pytest.fixture(scope="session")
def host(driver_file: Path) -> ctypes.CDLL:
    """The kernels as host loops, in the stand-in for the driver."""
    loaded = ctypes.CDLL(str(driver_file))
    loaded.host_half_of.argtypes, loaded.host_half_of.restype = [ctypes.c_float], ctypes.c_uint16
    loaded.host_float_of_half.argtypes, loaded.host_float_of_half.restype = [ctypes.c_uint16], ctypes.c_float
    loaded.standin_held.restype = ctypes.c_char_p
    return loaded


@pytest.fixture
def pycuda(host: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """pycuda, as far as we use it, on the stand-in for the driver: `FakePycuda` in fake_pycuda.py."""
    yield _module_beside("fake_pycuda").FakePycuda(host, monkeypatch)
    host.standin_forget()


@pytest.fixture(scope="session")
def ptx_to_cpp() -> Callable[[str], str]:
    """`to_cpp` of ptx.py."""
    return _module_beside("ptx").to_cpp


def _module_beside(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # for its annotations
    spec.loader.exec_module(module)
    return module
