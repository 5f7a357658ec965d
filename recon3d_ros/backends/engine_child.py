"""Build an engine in a process of its own: a crash or a full memory there does not touch who asked for it.

The child is this module; it reads a request from stdin, writes its progress in lines of JSON on stdout, and
writes the engine into the file it was named.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import recon3d_ros.errors as errors
from recon3d_ros.backends.base import Shapes
from recon3d_ros.backends.engine_build import build_engine
from recon3d_ros.backends.vendor import load_vendor
from recon3d_ros.errors import BackendError, Recon3dError
from recon3d_ros.model_zoo.manifest import Artifact, Manifest
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.system.progress import NO_PROGRESS, Progress

_PR_SET_PDEATHSIG = 1
_NICE = 10  # the robot computes meanwhile
_COMMAND = (sys.executable, "-m", "recon3d_ros.backends.engine_child")


def build_in_child(
    flavour: str,
    manifest: Manifest,
    artifact: Artifact,
    profiles: tuple[Shapes, ...],
    progress: Progress = NO_PROGRESS,
    command: Sequence[str] = _COMMAND,
) -> bytes:
    """As `engine_build.build_engine`, in a child process.

    Raises:
        ModelError: the file is not the one of the manifest, or not what it promises.
        BackendError: the vendor refuses the model, or the child died.
        MissingDependencyError: the flavour is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="recon3d-engine-") as folder:
        target = Path(folder) / "engine"
        request = {
            "flavour": flavour,
            "manifest": str(manifest.path),
            "precision": artifact.precision,
            "profiles": profiles,
            "target": str(target),
            "parent": os.getpid(),
        }
        reply = _run(command, json.dumps(request), progress)
        if "error" in reply:
            kind = getattr(errors, str(reply.get("kind")), BackendError)
            raise kind(reply["error"])
        try:
            return target.read_bytes()
        except OSError as exc:
            raise BackendError(
                f"the engine of {manifest.name} cannot be read back ({exc.strerror}): free {folder}"
            ) from exc


def _run(command: Sequence[str], request: str, progress: Progress) -> dict[str, Any]:
    """Run the child to its end; returns the last message that is no progress."""
    reply: dict[str, Any] = {}
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, env=environ, text=True
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            with contextlib.suppress(OSError):  # it is dead already
                child.stdin.write(request)
                child.stdin.close()
            try:
                for line in child.stdout:
                    said = _message(line)
                    if "stage" in said:
                        progress.update(said["stage"], said.get("share"))
                    reply = said if "error" in said or "built" in said else reply
            except BaseException:  # nobody waits for it any more
                child.kill()
                raise
        complaints.seek(0)
        tail = " ".join(complaints.read()[-400:].decode(errors="replace").split())
    return reply or {"error": _death(child.returncode, tail), "kind": "BackendError"}


def _message(line: str) -> dict[str, Any]:
    """What the child says; empty for what a vendor prints."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _death(code: int, tail: str) -> str:
    if code == -signal.SIGKILL:
        return (
            "the build was killed, as Linux does when the memory is full: free memory, or build the engine "
            "with recon3d engines build before the node starts"
        )
    how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return (
        f"the build {how} ({tail or 'without a message'}): try recon3d engines build, which shows all of it"
    )


def main() -> None:
    """The child: serve one request."""
    request = json.loads(sys.stdin.read())
    _yield_to_others(request["parent"])
    try:
        manifest = load_manifest(request["manifest"])
        content = build_engine(
            load_vendor(request["flavour"]),
            manifest,
            manifest.artifact(request["precision"]),
            tuple({name: tuple(shape) for name, shape in shapes.items()} for shapes in request["profiles"]),
            _ToParent(),
        )
        Path(request["target"]).write_bytes(content)
        _say({"built": len(content)})
    except Recon3dError as exc:
        _say({"error": str(exc), "kind": type(exc).__name__})
    except MemoryError:
        _say({"error": "the build ran out of memory: free memory, or give smaller engine_sizes"})
    except OSError as exc:
        _say({"error": f"the engine cannot be written ({exc.strerror}): free {tempfile.gettempdir()}"})


def _yield_to_others(parent: int) -> None:
    """End with the parent, give way to whatever else computes, and be the first that a full memory ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked for the signal
        os.kill(os.getpid(), signal.SIGKILL)
    os.nice(_NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


class _ToParent(Progress):
    def update(self, stage: str, share: float | None = None) -> None:
        _say({"stage": stage, "share": share})


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
