"""kernels.cu compiles for every GPU we name, as far as the installed nvcc knows it."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from recon3d_ros.cuda import arguments
from recon3d_ros.cuda.kernels import FLAGS, SOURCE

ARCHITECTURES = ("87", "89", "90", "110", "120")  # Orin, Ada, Hopper, Thor, Blackwell


def test_structs_are_those_of_the_kernels(host):
    assert host.host_size_of(0) == arguments.TAP.itemsize
    for which, struct in enumerate((arguments.Prepare, arguments.Restore, arguments.Finish), 1):
        assert host.host_size_of(which) == ctypes.sizeof(struct)


@pytest.mark.slow
def test_nvcc_makes_code_for_every_known_gpu_and_ptx(tmp_path: Path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not installed")
    listed = subprocess.run([nvcc, "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout
    known = [arch for arch in ARCHITECTURES if f"compute_{arch}" in listed.split()]
    assert known, f"this nvcc knows none of {ARCHITECTURES}: {listed}"
    targets = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in known]
    targets.append(f"-gencode=arch=compute_{known[0]},code=compute_{known[0]}")
    fatbin, ptx = tmp_path / "kernels.fatbin", tmp_path / "kernels.ptx"
    strict = ["-Werror=all-warnings", *FLAGS]
    subprocess.run(["nice", nvcc, *strict, *targets, "-fatbin", "-o", fatbin, SOURCE], check=True)
    subprocess.run(["nice", nvcc, *strict, targets[0], "-ptx", "-o", ptx, SOURCE], check=False)
    content = fatbin.read_bytes()
    for name in (b"prepare", b"restore", b"finish"):
        assert name in content
    subprocess.run(
        ["nice", nvcc, *strict, f"-arch=compute_{known[0]}", "-ptx", "-o", ptx, SOURCE], check=True
    )
    text = ptx.read_text()
    assert set(re.findall(r"\.entry (\w+)", text)) == {"prepare", "restore", "finish"}
    # The kernels take their arguments by value: the compiler's structs are as long as ours.
    for name, struct in (("prepare", "Prepare"), ("restore", "Restore"), ("finish", "Finish")):
        size = ctypes.sizeof(getattr(arguments, struct))
        assert re.search(rf"\.param \.align 8 \.b8 {name}_param_0\[{size}\]", text)
    # Fused or approximate arithmetic would round otherwise than NumPy.
    assert not re.search(r"\bfma\.rn\.f32|\bdiv\.(approx|full)\.f32|\.ftz\b", text)
