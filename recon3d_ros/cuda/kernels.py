"""The compiled kernels on one GPU.

Never run on a GPU so far: see :mod:`recon3d_ros.cuda.context`.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from recon3d_ros.cuda.arguments import Finish, Prepare, Restore
from recon3d_ros.cuda.context import Device, translated
from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.system.lazy import require

SOURCE = Path(__file__).with_name("kernels.cu")
# Without fused multiply-add the kernels round as NumPy does; see kernels.cu.
FLAGS = ["-O3", "-std=c++17", "-fmad=false"]
_BLOCK = (32, 8, 1)


class Kernels:
    """The three kernels, compiled for this GPU once and kept in pycuda's cache in the user's folder.

    Args:
        device: Where they run; make and use this object within ``with device.active()``.

    Raises:
        MissingDependencyError: nvcc is not installed, or cannot compile for this GPU.
        BackendError: the driver does not take what it made.
    """

    def __init__(self, device: Device) -> None:
        self._stream = device.stream
        compiler = require("pycuda.compiler", extra="tensorrt")
        major, minor = device.compute_capability
        try:
            binary = compiler.compile(
                SOURCE.read_text(encoding="utf-8"),
                options=[*FLAGS],
                no_extern_c=True,
                arch=f"sm_{major}{minor}",
            )
        except (OSError, RuntimeError, device.driver.CompileError) as exc:  # pytools: ExecError is an OSError
            raise MissingDependencyError(
                f"nvcc is needed to compile the kernels for {device.name} (sm_{major}{minor}) and failed "
                f"({_first_line(exc)}): install a CUDA toolkit that supports this GPU and add its bin to "
                "PATH"
            ) from exc
        with translated(device.driver, f"loading the kernels for sm_{major}{minor}"):
            self._module: Any = device.driver.module_from_buffer(binary)
            self._functions = {
                struct: self._module.get_function(name).prepare([f"{ctypes.sizeof(struct)}s"])
                for struct, name in ((Prepare, "prepare"), (Restore, "restore"), (Finish, "finish"))
            }

    def launch(
        self, arguments: Prepare | Restore | Finish, size_wh: tuple[int, int], images: int = 1
    ) -> None:
        """Put one kernel into the stream, one thread a pixel.

        Args:
            arguments: Name the kernel by their kind; they are copied.
            size_wh: Of what is written.
            images: 2 writes the tensors of both images at once.
        """
        grid, block = grid_of(size_wh, images)
        function = self._functions[type(arguments)]
        function.prepared_async_call(grid, block, self._stream, bytes(arguments))


def grid_of(size_wh: tuple[int, int], images: int = 1) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Blocks along x, y, z, and threads of a block, that give every pixel a thread."""
    return (-(-size_wh[0] // _BLOCK[0]), -(-size_wh[1] // _BLOCK[1]), images), _BLOCK


def _first_line(exc: Exception) -> str:
    return next((line for line in str(exc).splitlines() if line.strip()), type(exc).__name__)
