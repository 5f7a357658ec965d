"""The environment in which big messages arrive: Fast DDS's profile with a large shared-memory segment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import rclpy

from recon3d_ros.files import write_atomically
from recon3d_ros.system.share import share_path

# Fast DDS 2 (Humble to Jazzy) reads the first, Fast DDS 3 (Kilted and newer) the second.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
SHARED_MEMORY = Path("/dev/shm")
_SEGMENT = re.compile(r"(?<=<segment_size>)\d+(?=</segment_size>)")
_SMALLEST_SEGMENT = 8 << 20  # one 640x480 cloud of 4.9 MB, and a little


def profile_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables to add so that clouds arrive; none where the user has chosen a profile already.

    Raises:
        DataError: config/fastdds.xml is not installed.
    """
    if any(environ.get(name) for name in PROFILE_VARIABLES):
        return {}
    return dict.fromkeys(_read_variables(), str(share_path("config", "fastdds.xml")))


def _read_variables() -> tuple[str, ...]:
    """The variables that this Fast DDS reads: version 3 warns of the one of version 2 in every process."""
    rclpy.get_rmw_implementation_identifier()  # loads the middleware
    try:
        loaded = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return PROFILE_VARIABLES
    return PROFILE_VARIABLES[1:] if "/libfastdds.so" in loaded else PROFILE_VARIABLES


def use_profile() -> str:
    """Have Fast DDS take the profile in this process and its children; before the first `rclpy.init`.

    Returns:
        The path of the profile; empty when the user has chosen one, which stays.

    Raises:
        DataError: config/fastdds.xml is not installed.
    """
    added = profile_environment()
    os.environ.update(added)
    return added.get(PROFILE_VARIABLES[1], "")


def fit_profile(environment: dict[str, str], processes: int, folder: Path) -> str:
    """Point `environment` to a profile with a smaller segment where /dev/shm has no room for the usual one.

    A segment that does not fit is not made at all, and then clouds go by UDP and get lost. Containers have
    64 MiB unless configured otherwise.

    Args:
        environment: as `profile_environment` made it; changed in place.
        processes: how many will start, each with a segment of its own.
        folder: for the smaller profile.

    Returns:
        What was done, in one sentence; empty when nothing was.

    Raises:
        OutputError: the smaller profile cannot be written.
    """
    if not environment or not SHARED_MEMORY.is_dir():
        return ""
    text = Path(environment[PROFILE_VARIABLES[1]]).read_text(encoding="utf-8")
    usual = int(_SEGMENT.findall(text)[0])
    free = _free_bytes(SHARED_MEMORY)
    room = int(free * 0.9) // processes  # what is left is for the ports
    if room >= usual:
        return ""
    segment = max(room, _SMALLEST_SEGMENT)
    path = folder / "fastdds.xml"
    write_atomically(path, _SEGMENT.sub(str(segment), text).encode())
    environment.update(dict.fromkeys(set(PROFILE_VARIABLES) & environment.keys(), str(path.resolve())))
    return (
        f"{SHARED_MEMORY} has {free >> 20} MiB free, so each process takes a segment of {segment >> 20} "
        f"MiB instead of {usual >> 20}; clouds may get lost (for a container use --shm-size=1g)"
    )


def _free_bytes(path: Path) -> int:
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize
