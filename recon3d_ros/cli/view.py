"""`recon3d view`: results on disk, or a running node, in the viewer Rerun."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from recon3d_ros.cli.flags import user_path
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.datasets.bags.reader import is_bag
from recon3d_ros.errors import ConfigError, DataError, MissingDependencyError, OutputError
from recon3d_ros.offline.view_bag import bags_in, log_bag
from recon3d_ros.offline.view_mesh import log_mesh, mesh_at
from recon3d_ros.reports.rerun_log import EXTRA, RerunLog
from recon3d_ros.reports.saved import log_saved
from recon3d_ros.system.installing import how_to_install
from recon3d_ros.system.lazy import require

HELP = (
    "Show results in the web viewer of Rerun: images, depth, confidence, clouds, meshes and trajectories on "
    "a timeline. THING is a folder that run, process, reconstruct or ~/save has written, a bag, or a .ply, "
    ".glb, .obj, .stl or .rrd file; --live shows a running depth node. The viewer's server listens on "
    f"this computer only; Ctrl-C ends it. Needs the extra {EXTRA}: an error says how to install it."
)
_START_S = 20.0
_MEMORY = "1GB"  # of the server: a live node would fill any memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument("things", nargs="*", type=user_path, metavar="THING", help="files or folders")
    parser.add_argument("--live", action="store_true", help="subscribe to a running depth node instead")
    parser.add_argument(
        "--namespace", default="", metavar="NS", help="with --live: namespace of the node and its cameras"
    )
    parser.add_argument(
        "--image", default="left/image_rect", metavar="TOPIC", help="with --live (default %(default)s)"
    )
    parser.add_argument("--save", type=user_path, metavar="FILE", help="write a .rrd file and open no viewer")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")


def main(args: argparse.Namespace) -> int:
    """Show or write it."""
    if bool(args.things) == args.live:
        raise ConfigError("expected files or folders, or --live, got both or neither: give one of them")
    if args.save is not None:
        if any(path.suffix == ".rrd" for path in args.things):
            raise ConfigError("expected results to write into a recording, got a recording: leave out --save")
        log = RerunLog(file=args.save)
        try:
            _fill(log, args)
        except BaseException:
            log.abort()
            raise
        log.close()
        tell_written(args.save)
        return 0
    recordings = [path for path in args.things if path.suffix == ".rrd"]
    with _viewer(recordings, not args.no_browser) as (server, process):
        if len(recordings) < len(args.things) or args.live:
            log = RerunLog(server=server)
            _fill(log, args)
            log.close()
        if not args.live:
            process.wait()
    return 0


def _fill(log: RerunLog, args: argparse.Namespace) -> None:
    if args.live:
        from recon3d_ros.ros.viewer.live import show_live

        show_live(log, args.namespace, args.image)
        return
    for path in args.things:
        if path.suffix == ".rrd":
            continue
        if (mesh := mesh_at(path)) is not None:
            log_mesh(log, mesh)
            print(f"{mesh}: a mesh", file=sys.stderr)
        if mesh == path:
            continue
        clouds = path / "ply"  # of process --bags, where no bag has them
        parts = bags_in(path) or [clouds if clouds.is_dir() else path]
        for part in parts:
            count = log_bag(log, part) if is_bag(part) else log_saved(log, part)
            print(f"{part}: {count} item{'s'[: count != 1]}", file=sys.stderr)


@contextmanager
def _viewer(recordings: Sequence[Path], browser: bool) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run Rerun's server on this computer; the address to log to, and its process."""
    require("rerun", EXTRA)
    for path in recordings:
        if not path.is_file():
            raise DataError(f"expected a recording at {path}, found none: check the path")
    data_port, web_port = _free_port(), _free_port()
    # The command of the wheel: its Python functions would listen on every network of the computer.
    words = [sys.executable, "-m", "rerun", *map(str, recordings), "--serve-web", "--bind", "127.0.0.1"]
    words += ["--port", str(data_port)]
    words += ["--web-viewer-port", str(web_port), "--server-memory-limit", _MEMORY, "--hide-welcome-screen"]
    quiet = {**os.environ, "BROWSER": "true", "RUST_LOG": "error"}  # the browser is opened here
    process = subprocess.Popen(words, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait_for(process, data_port)
        server = f"rerun+http://127.0.0.1:{data_port}/proxy"
        page = f"http://127.0.0.1:{web_port}?url={server.replace('+', '%2B').replace('/', '%2F')}"
        print(f"viewer: {page} (Ctrl-C ends it)", file=sys.stderr)
        if browser:
            webbrowser.open(page)
        yield server, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise MissingDependencyError(
                f"the viewer Rerun ended with {process.returncode} (see above): {how_to_install(EXTRA)}"
            )
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise OutputError(f"expected Rerun's server within {_START_S:.0f} s, got no answer: try --save FILE.rrd")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
