"""Find the shared files (launch, config, models) wherever the package was installed."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path

from recon3d_ros.errors import DataError

_PACKAGE = "recon3d_ros"


def share_path(*parts: str) -> Path:
    """Return the path of a shared file or folder, e.g. ``share_path("config", "fastdds.xml")``.

    Looked for, in this order: the source checkout the package runs from, the ament prefixes (colcon or
    /opt/ros), the Python prefix (pip), the user's base (pip --user).

    Raises:
        DataError: it is in none of them; the message names them all.
    """
    candidates = [root.joinpath(*parts) for root in _roots()]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise DataError(f"shared file {'/'.join(parts)} not found, looked for {looked}; reinstall {_PACKAGE}")


def _roots() -> list[Path]:
    checkout = Path(__file__).resolve().parents[2]
    roots = [checkout] if (checkout / "package.xml").is_file() else []
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    # Debian's Python installs data files under /usr/local while sys.prefix is /usr: ask both.
    prefixes += [sysconfig.get_path("data"), sys.prefix, site.getuserbase()]
    for prefix in prefixes:
        root = Path(prefix) / "share" / _PACKAGE
        if root not in roots:
            roots.append(root)
    return roots
