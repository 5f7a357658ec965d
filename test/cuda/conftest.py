"""The kernels as two compilers see them: g++ as host loops, nvcc as PTX, which is run here as C++."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from recon3d_ros.cuda.arguments import Finish, Prepare, Restore
from recon3d_ros.cuda.kernels import FLAGS, SOURCE, grid_of

_ARCHITECTURE = "compute_87"


class PtxKernels:
    """The host loops' interface to what nvcc has compiled, started as `Kernels.launch` starts it."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def host_prepare(self, a: Any, images: int) -> None:
        self._start("ptx_prepare", a._obj, (a._obj.network_w, a._obj.network_h), images)

    def host_restore(self, a: Any, _: int) -> None:
        self._start("ptx_restore", a._obj, (a._obj.width, a._obj.height))

    def host_finish(self, a: Any, _: int) -> None:
        self._start("ptx_finish", a._obj, (a._obj.width, a._obj.height))

    def _start(
        self, name: str, a: Prepare | Restore | Finish, size_wh: tuple[int, int], images: int = 1
    ) -> None:
        grid, block = grid_of(size_wh, images)
        getattr(self._library, name)(ctypes.byref(a), *grid, *block[:2])


@pytest.fixture(scope="session", params=["g++", "nvcc"])
def kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The kernels, to be called as host loops."""
    if request.param == "g++":
        return request.getfixturevalue("host")
    nvcc, compiler = shutil.which("nvcc"), shutil.which("g++")
    if nvcc is None or compiler is None:
        pytest.skip("nvcc or g++ is not installed")
    folder: Path = tmp_path_factory.mktemp("ptx")
    command = [nvcc, *FLAGS, f"-arch={_ARCHITECTURE}", "-ptx", "-o", folder / "kernels.ptx", SOURCE]
    subprocess.run(["nice", *command], check=True)
    text = (folder / "kernels.ptx").read_text()
    (folder / "kernels.cpp").write_text(request.getfixturevalue("ptx_to_cpp")(text))
    flags = ["-std=c++17", "-O1", "-fwrapv", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror"]
    subprocess.run([compiler, *flags, "-o", folder / "kernels.so", folder / "kernels.cpp"], check=True)
    return PtxKernels(ctypes.CDLL(str(folder / "kernels.so")))
