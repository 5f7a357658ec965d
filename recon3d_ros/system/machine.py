"""What the computer says of itself: processor, software, memory of this process, temperatures. Linux."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

from recon3d_ros import __version__

# Whose versions matter for what a frame looks like and costs; those that are not installed stay out.
PACKAGES = (
    *("numpy", "opencv-python", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "openvino"),
    *("tensorrt", "tensorrt_rtx", "pycuda"),
)
CPUINFO = Path("/proc/cpuinfo")
THERMAL = Path("/sys/class/thermal")
STATM = Path("/proc/self/statm")


def software() -> dict[str, str]:
    """Versions of this package, Python, the system and `PACKAGES`, by name."""
    versions = {
        "recon3d_ros": __version__,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def processor(file: Path = CPUINFO) -> str:
    """Name of the CPU, and how many of its cores this process may use."""
    try:
        found = re.search(
            r"^(?:model name|Model)\s*:\s*(.+)$", file.read_text(errors="replace"), re.MULTILINE
        )
    except OSError:
        found = None
    name = found.group(1).strip() if found else platform.machine()
    return f"{name}, {usable_cores()} cores"


def multiplies_int8(file: Path = CPUINFO) -> bool:
    """Whether the CPU has instructions that multiply int8 and add without loss.

    False for x86-64 without VNNI and AMX; True also where the system does not say.
    """
    try:
        found = re.search(r"^flags\s*:(.+)$", file.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        found = None
    return found is None or not {"avx512_vnni", "avx_vnni", "amx_int8"}.isdisjoint(found.group(1).split())


def usable_cores() -> int:
    """CPU cores that this process may use: a container or taskset may not grant all."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def resident_mb() -> float | None:
    """Memory of this process that is in RAM (RSS), MB; None where the system does not say."""
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def temperatures_c(folder: Path = THERMAL) -> dict[str, float]:
    """Temperatures of the thermal zones by their type, °C; of zones with one type the hottest.

    Jetsons have zones for CPU, GPU and SoC; a zone that is switched off cannot be read and stays out.
    """
    found: dict[str, float] = {}
    for zone in sorted(folder.glob("thermal_zone*")):
        try:
            kind = (zone / "type").read_text(encoding="utf-8").strip()
            value = int((zone / "temp").read_text(encoding="ascii")) / 1000.0
        except (OSError, ValueError):
            continue
        found[kind] = max(value, found.get(kind, value))
    return found
