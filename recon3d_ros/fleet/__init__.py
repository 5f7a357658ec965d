"""Many recordings on many processes or machines, with Ray: what to do, where results go, how it went."""

from recon3d_ros.fleet.engine import run_tasks
from recon3d_ros.fleet.storage import find_recordings
from recon3d_ros.fleet.tasks import Job, Outcome, Task, plan

__all__ = ["Job", "Outcome", "Task", "find_recordings", "plan", "run_tasks"]
