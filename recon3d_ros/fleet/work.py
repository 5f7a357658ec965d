"""One task from its input to its folder; runs in a worker and knows nothing of Ray."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import socket
import time
from dataclasses import asdict

from recon3d_ros import __version__
from recon3d_ros.errors import Recon3dError
from recon3d_ros.estimation.kept_estimator import KeptEstimator
from recon3d_ros.files import write_json
from recon3d_ros.fleet.storage import DONE, drafted, publish, read_done
from recon3d_ros.fleet.tasks import Outcome, Task

# A worker does one task after the other, most of them with one model.
_OPENER = KeptEstimator()


def run_task(task: Task, version: str = __version__, resume: bool = True) -> Outcome:
    """Do a task, unless it was done before; an error of the input, the model or the disk is its outcome.

    Args:
        task: What to do.
        version: Of who asks; a worker of another version refuses.
        resume: Whether a result that is there and was made in the same way is taken for this one.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    outcome = Outcome(task.name, task.source, worker=f"{socket.gethostname()}:{os.getpid()}")
    try:
        if version != __version__:
            raise Recon3dError(
                f"expected recon3d_ros {version} on {socket.gethostname()}, found {__version__}: install the "
                "same version on every machine"
            )
        outcome.content = task.job.fingerprint(task)
        key = whole_key(task, outcome.content)
        if resume and (done := finished(task, key)) is not None:
            return done
        with drafted(task.folder) as draft:
            task.job.work(task, draft, outcome, _OPENER)
            outcome.seconds = time.perf_counter() - started
            outcome.cpu_s = time.process_time() - cpu_started
            outcome.memory_mb = _peak_mb()
            write_json(draft / DONE, {"key": key, "version": __version__, "outcome": asdict(outcome)})
            publish(draft, task.folder)
    except Recon3dError as exc:
        outcome.error = str(exc)
    except OSError as exc:
        outcome.error = f"{exc}: check the path, its permissions and the disk"
    outcome.seconds, outcome.memory_mb = time.perf_counter() - started, _peak_mb()
    outcome.cpu_s = time.process_time() - cpu_started
    return outcome


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts KiB


def whole_key(task: Task, content: str) -> str:
    """The key of a task together with the fingerprint of its input."""
    return hashlib.sha256(f"{task.key} {content}".encode()).hexdigest()


def finished(task: Task, key: str) -> Outcome | None:
    """The outcome of a task that was done before with the same content, options, model and version."""
    data = read_done(task.folder)
    if data is None:
        return None
    try:
        done = json.loads(data)
        if done["key"] != key:
            return None
        fields = done["outcome"]
        share = fields["valid_share"]
        changes = {
            "name": task.name,
            "source": task.source,
            "skipped": True,
            "valid_share": float("nan") if share is None else share,
        }
        return Outcome(**{**fields, **changes})
    except (ValueError, KeyError, TypeError):
        return None  # of another version, or damaged: done again
