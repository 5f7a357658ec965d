"""What the computer says of itself: memory of this process and temperatures. Linux; needs no ROS."""

from __future__ import annotations

import os
from pathlib import Path

THERMAL = Path("/sys/class/thermal")
STATM = Path("/proc/self/statm")


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
