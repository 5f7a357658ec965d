"""The environment in which big messages arrive: Fast DDS's profile with a large shared-memory segment."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import rclpy

from recon3d_ros.files import write_atomically
from recon3d_ros.system.share import share_path

# Fast DDS 2 (Humble to Jazzy) reads the first, Fast DDS 3 (Kilted and newer) the second.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
SHARED_MEMORY = Path("/dev/shm")
_SEGMENT = re.compile(r"(?<=<segment_size>)\d+(?=</segment_size>)")
# A segment of Fast DDS. Its owner holds a lock on the file beside it; a process that is killed leaves both,
# with up to 128 MiB by our profile.
SEGMENT_FILE = re.compile(r"fast(rtps|dds)_[0-9a-f]{16}")
_SETTLED_S = 10.0  # a segment that is younger may be about to be locked
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


def remove_dead_segments(folder: Path = SHARED_MEMORY) -> tuple[int, int]:
    """Remove the segments of processes that were killed, as `fastdds shm clean` does.

    Segments of other users stay, and the small files of ports, which Fast DDS takes over by itself.

    Args:
        folder: where Fast DDS keeps them.

    Returns:
        How many were removed, and the bytes of memory that they took.
    """
    removed = taken = 0
    for path in folder.glob("fast*_*"):
        if not SEGMENT_FILE.fullmatch(path.name):
            continue
        with suppress(OSError):  # gone in the meantime, of another user, or without a lock
            status = path.stat()
            if time.time() - status.st_ctime < _SETTLED_S or is_locked(lock_of(path)):
                continue
            path.unlink()
            lock_of(path).unlink()
            removed, taken = removed + 1, taken + 512 * status.st_blocks
    return removed, taken


def lock_of(segment: Path) -> Path:
    """The file that the owner of a segment locks."""
    return segment.with_name(f"{segment.name}_el")


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock on a file.

    Raises:
        OSError: it does not exist, or may not be read.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)  # gives the lock back
    return False
