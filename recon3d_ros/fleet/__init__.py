"""Many recordings on many processes or machines, with Ray: what to do, where results go, how it went."""

from recon3d_ros.fleet.engine import Resources, run_tasks
from recon3d_ros.fleet.storage import find_inputs, find_recordings
from recon3d_ros.fleet.tasks import Job, Outcome, Task

__all__ = ["Job", "Outcome", "Resources", "Task", "find_inputs", "find_recordings", "run_tasks"]
