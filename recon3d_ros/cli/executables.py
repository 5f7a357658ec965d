"""The executables of `ros2 run` and launch files: `depth_node`, `map_node` and `image_source`."""

from __future__ import annotations

import os
import signal
import sys

from recon3d_ros.cli.signals import stop_signals
from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.system import lazy
from recon3d_ros.system.printable import printable


def depth_node() -> int:
    """Run the depth node; return its exit code."""
    return _run("depth_node", "recon3d_ros.ros.node.depth_node:main")


def map_node() -> int:
    """Run the map node; return its exit code."""
    return _run("map_node", "recon3d_ros.ros.mapper.map_node:main")


def image_source() -> int:
    """Run the source of images; return its exit code."""
    return _run("image_source", "recon3d_ros.ros.player.image_source:main")


def _run(name: str, main: str) -> int:
    """Load a node, which takes seconds on a small computer, and run it.

    A signal to stop while it loads ends the process as one later does, with 0; Python would print where in
    which library it was.
    """
    for number in stop_signals():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(0))
    try:
        run = lazy.load(main)
    except MissingDependencyError as exc:
        return _missing(name, str(exc))
    except ImportError as exc:
        return _missing(
            name,
            f"expected the libraries of package.xml, got an import that fails ({exc}): install them with "
            "rosdep install --from-paths src --ignore-src",
        )
    code: int = run()
    for number in stop_signals():  # an impatient one must not end with -15 what ends with this code
        signal.signal(number, signal.SIG_IGN)
    return code


def _missing(name: str, sentence: str) -> int:
    print(f"{name}: error: {printable(sentence)}", file=sys.stderr)
    return MissingDependencyError.exit_code
