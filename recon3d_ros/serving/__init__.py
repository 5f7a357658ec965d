"""Which backend serves: nothing answers before its check, the next safer one takes over, nothing waits."""

from recon3d_ros.serving.check import GOLDEN_SHARES, off_share, self_check
from recon3d_ros.serving.ladder import SILENT, Told, at_once, chosen, engines_wanted, open_checked

__all__ = [
    "GOLDEN_SHARES",
    "SILENT",
    "Told",
    "at_once",
    "chosen",
    "engines_wanted",
    "off_share",
    "open_checked",
    "self_check",
]
