"""kernels.cu as a library of host loops, built by g++ into a temporary folder."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recon3d_ros.cuda

sys.path.insert(0, str(Path(__file__).parent))
from fake_pycuda import FakePycuda

SOURCE = Path(recon3d_ros.cuda.__file__).with_name("kernels.cu")


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The host loops; the test is skipped where there is no compiler."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    library = tmp_path_factory.mktemp("kernels") / "kernels.so"
    flags = ["-O2", "-shared", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-x", "c++"]
    subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.host_half_of.argtypes, loaded.host_half_of.restype = [ctypes.c_float], ctypes.c_uint16
    loaded.host_float_of_half.argtypes, loaded.host_float_of_half.restype = [ctypes.c_uint16], ctypes.c_float
    return loaded


@pytest.fixture
def pycuda(host: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> FakePycuda:
    """pycuda, as far as we use it, on host memory."""
    return FakePycuda(host, monkeypatch)
