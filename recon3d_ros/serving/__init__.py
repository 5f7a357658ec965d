"""Which backend serves: nothing serves before its check, the next safer one takes over, nothing waits."""

from recon3d_ros.serving.check import GOLDEN_SHARES, known_feed, least_difference, off_share, self_check
from recon3d_ros.serving.choice import CPU_BACKENDS
from recon3d_ros.serving.opening import (
    interim_config,
    open_checked,
    open_on_cpu,
    resolve_auto,
    wants_engine,
)

__all__ = [
    "CPU_BACKENDS",
    "GOLDEN_SHARES",
    "interim_config",
    "known_feed",
    "least_difference",
    "off_share",
    "open_checked",
    "open_on_cpu",
    "resolve_auto",
    "self_check",
    "wants_engine",
]
