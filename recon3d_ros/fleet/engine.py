"""Hands tasks to Ray: on this machine without any service, or on a cluster that runs."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from recon3d_ros import __version__
from recon3d_ros.errors import ConfigError, MissingDependencyError
from recon3d_ros.fleet.storage import remove_stale
from recon3d_ros.fleet.tasks import Outcome, Task
from recon3d_ros.fleet.work import run_task
from recon3d_ros.system.installing import how_to_install
from recon3d_ros.system.lazy import require

LOCAL = "local"
# A worker that is killed, or whose machine is lost: Ray gives the task to another one so often.
RETRIES = 3
# One that Ray ends because the memory of this computer is full; Ray would try for ever.
OOM_RETRIES = 10


class Resources(NamedTuple):
    """What a task takes: processors, GPUs (a part of one is allowed), and how many run at once at most."""

    cpus: float = 1.0
    gpus: float = 0.0
    workers: int = 0


ONE_CPU = Resources()


def run_tasks(
    tasks: Sequence[Task], cluster: str = LOCAL, resources: Resources = ONE_CPU, resume: bool = True
) -> Iterator[Outcome]:
    """Run tasks side by side; yields the outcome of each as it ends.

    A task whose worker dies is retried; when it dies again and again its outcome says so. Nothing that a
    task raises ends the others.

    Args:
        tasks: What to do.
        cluster: `local` starts processes on this machine, which end afterwards; `auto` is the cluster that
            runs here or that RAY_ADDRESS names; else an address, such as ray://head:10001.
        resources: Of each task; `workers` bounds those that run at once (0 = as many as there is room for).
        resume: Whether what was done before in the same way is left as it is.

    Raises:
        MissingDependencyError: Ray is not installed.
        ConfigError: There is no cluster at that address, or never room for a task.
    """
    if cluster == LOCAL and "ray" not in sys.modules:  # which reads them when it is imported
        # Ray's processes listen on every network of the machine: only who has this token may use them.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray: Any = require("ray", "ray")
    try:
        _connect(ray, cluster, resources)
        _check_room(ray, resources)
        yield from _outcomes(ray, tasks, resources, resume)
    finally:
        ray.shutdown()
        for task in tasks:  # of workers that were killed, or that ended with us
            remove_stale(task.folder)


def _connect(ray: Any, cluster: str, resources: Resources) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if cluster == LOCAL:
        options["include_dashboard"] = False
        options["_system_config"] = {"task_oom_retries": OOM_RETRIES}
        if resources.workers:
            options["num_cpus"] = max(1, round(resources.workers * resources.cpus))
    else:
        options["address"] = cluster
    try:
        with _signals_kept():
            ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as exc:
        if "ray[client]" in str(exc):
            raise MissingDependencyError(
                f"expected Ray's client for {cluster}, it is not installed: {how_to_install('ray')}"
            ) from exc
        raise ConfigError(
            f"expected a Ray cluster at {cluster!r}, got none ({' '.join(str(exc).split()):.200}): start one "
            "with `ray start --head`, or use --cluster local"
        ) from exc


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Have SIGTERM end us as it did before: Ray takes it for itself, and its exit code is another."""
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():  # Ray, too, does it only there
            signal.signal(signal.SIGTERM, former)


def _check_room(ray: Any, resources: Resources) -> None:
    there = ray.cluster_resources()
    for name, wanted in (("CPU", resources.cpus), ("GPU", resources.gpus)):
        most = max((node["Resources"].get(name, 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)
        if wanted > most:
            raise ConfigError(
                f"expected a machine with {wanted:g} {name} for a task, the cluster has at most {most:g} "
                f"(of {there.get(name, 0.0):g}): ask for less"
            )


def _outcomes(ray: Any, tasks: Sequence[Task], resources: Resources, resume: bool) -> Iterator[Outcome]:
    work = ray.remote(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=RETRIES, scheduling_strategy="SPREAD"
    )(run_task)
    waiting = list(reversed(tasks))
    running: dict[Any, Task] = {}
    room = round(ray.cluster_resources().get("CPU", 1.0) / resources.cpus)
    most = resources.workers or max(2, 2 * room)  # the next ones wait in Ray, where their machine is found
    while waiting or running:
        while waiting and len(running) < most:
            task = waiting.pop()
            running[work.remote(task, __version__, resume)] = task
        (done, *_), _ = ray.wait(list(running), num_returns=1)
        yield _outcome(ray, done, running.pop(done))


def _outcome(ray: Any, done: Any, task: Task) -> Outcome:
    try:
        outcome: Outcome = ray.get(done)
        return outcome
    except ray.exceptions.RayTaskError as exc:  # a fault of ours: the worker lives
        error = f"{type(exc.cause).__name__}: {exc.cause}, which is a fault of this program: report it"
    except ray.exceptions.RayError as exc:
        error = f"its worker ended again and again ({' '.join(str(exc).split()):.200}): see its log"
    return Outcome(task.name, task.source, error=error)
