"""The real pycuda: on the GPU where there is one, and on the stand-in for its driver."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recon3d_ros.backends.gpu import find_gpu

CHECKS = Path(__file__).with_name("device_checks.py")


@pytest.mark.parametrize("where", ["stand-in", "gpu"])
def test_the_real_pycuda(where: str, request: pytest.FixtureRequest, tmp_path: Path):
    if where == "gpu" and find_gpu() is None:
        pytest.skip("no NVIDIA GPU")
    if importlib.util.find_spec("pycuda") is None:
        pytest.skip("pycuda is not installed, it is compiled with CUDA's toolkit: pip install pycuda")
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    if where == "stand-in":
        library = request.getfixturevalue("driver_file")
        shutil.copy(library, tmp_path / "libcuda.so.1")
        environment |= {"RECON3D_STAND_IN": "1", "LD_LIBRARY_PATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(CHECKS)]
    limit_s = 600 + int(os.environ.get("RECON3D_DEVICE_FRAMES", "0")) * 0.02
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
