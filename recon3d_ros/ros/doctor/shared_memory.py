"""Whether Fast DDS has room for big messages between the processes of this computer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from recon3d_ros.errors import DataError
from recon3d_ros.ros.bridge.dds import (
    PROFILE_VARIABLES,
    SEGMENT_FILE,
    SHARED_MEMORY,
    is_locked,
    lock_of,
    profile_environment,
)
from recon3d_ros.ros.doctor.finding import Finding, warn

DEFAULT_SEGMENT = 512 << 10  # of Fast DDS


def check_profile(environ: Mapping[str, str], rmw: str, message_bytes: float) -> Iterator[Finding]:
    """A missing or too small profile on this side.

    Args:
        environ: of this shell, which nodes started from it have too.
        rmw: name of the middleware.
        message_bytes: size of the largest message, image or cloud.
    """
    if "fastrtps" not in rmw or message_bytes < DEFAULT_SEGMENT:
        return
    paths = [environ[name] for name in PROFILE_VARIABLES if environ.get(name)]
    room = f"a Fast DDS profile with room for messages of {message_bytes / 1e6:.1f} MB"
    if not paths:
        words = f"expected {room} in this environment, got none, so messages get lost; {_remedy()}"
        yield warn("fast_dds", "", words)
        return
    segment = _segment_of(Path(paths[0]))
    if segment is None:
        words = f"expected {room} in {paths[0]}, but it cannot be read; {_remedy()}"
        yield warn("fast_dds", "", words)
    elif segment < message_bytes:
        words = f"expected {room}, got {segment / 1e6:.1f} MB in {paths[0]}; raise its segment_size"
        yield warn("fast_dds", "", words)


def check_segments(message_bytes: float, lossy: bool, folder: Path = SHARED_MEMORY) -> Iterator[Finding]:
    """Other processes without room, where messages get lost; a small one that only listens does no harm.

    Args:
        message_bytes: size of the largest message.
        lossy: whether messages were missing.
        folder: where Fast DDS keeps its segments.
    """
    sizes = live_segments(folder)
    small = [size for size in sizes if size < message_bytes]
    if lossy and small:
        words = (
            f"expected room for messages of {message_bytes / 1e6:.1f} MB in the shared memory of every "
            f"publisher, got less in {len(small)} of {len(sizes)} processes here; {_remedy()}"
        )
        yield warn("fast_dds", "", words)


def live_segments(folder: Path = SHARED_MEMORY) -> list[int]:
    """Sizes of the segments of running Fast DDS processes, bytes."""
    sizes = []
    for path in folder.glob("fast*_*"):
        if not SEGMENT_FILE.fullmatch(path.name):
            continue
        try:
            if is_locked(lock_of(path)):
                sizes.append(path.stat().st_size)
        except OSError:  # gone in the meantime, or of another user
            continue
    return sizes


def _remedy() -> str:
    try:
        path = next(iter(profile_environment({}).values()))
    except DataError:  # an installation without its config folder; its own error says how to mend that
        path = "recon3d_ros's config/fastdds.xml"
    names = " and ".join(PROFILE_VARIABLES)
    return f"export {names} as {path} where cameras and readers start (our nodes do it themselves)"


def _segment_of(profile: Path) -> int | None:
    try:
        found = re.findall(r"<segment_size>\s*(\d+)", profile.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return max(map(int, found), default=DEFAULT_SEGMENT)
