"""Which NVIDIA GPU is here, asked of the driver's own library: no package, no context."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEANWHILE = "backend onnxruntime runs on the CPU meanwhile"
NO_GPU = f"no NVIDIA GPU can be used here: see what nvidia-smi says and install the driver; {MEANWHILE}"

_LIBRARY = "libcuda.so.1"
_DRIVER_FILE = Path("/proc/driver/nvidia/version")
_JETSON_FILE = Path("/etc/nv_tegra_release")
# CUdevice_attribute of cuda.h
_MAJOR, _MINOR = 75, 76


@dataclass(frozen=True)
class Gpu:
    """The first GPU this process may use; ``cuda`` is the newest CUDA that its driver knows."""

    name: str
    compute_capability: str
    driver: str
    cuda: str


def find_gpu() -> Gpu | None:
    """Return the first GPU that the driver shows; None when there is no driver or no GPU."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    count, version = ctypes.c_int(), ctypes.c_int()
    if library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        return None
    device = ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    library.cuDeviceGet(ctypes.byref(device), 0)
    library.cuDeviceGetName(name, len(name), device)
    library.cuDriverGetVersion(ctypes.byref(version))
    capability = f"{_attribute(library, _MAJOR, device)}.{_attribute(library, _MINOR, device)}"
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(name.value.decode(errors="replace"), capability, _driver(), cuda)


def _attribute(library: Any, number: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    library.cuDeviceGetAttribute(ctypes.byref(value), number, device)
    return value.value


def _driver() -> str:
    """Version of the kernel's driver: of a PC from its own file, of a Jetson the release of Jetson Linux."""
    for path, pattern in (
        (_DRIVER_FILE, r"Kernel Module\D*?(\d+\.[\d.]+)"),
        (_JETSON_FILE, r"R(\d+) \(release\), REVISION: ([\d.]+)"),
    ):
        try:
            found = re.search(pattern, path.read_text(errors="replace"))
        except OSError:
            continue
        if found:
            return ".".join(found.groups())
    return "unknown"
