"""The ROS 2 nodes: the only room that knows rclpy.

Importing anything of this room without ROS 2 raises one `MissingDependencyError` that says how to get it.
"""

from __future__ import annotations

from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.system.installing import how_to_install

try:
    import rclpy  # noqa: F401  (looked for here, once, so that no module below needs its own guard)
except ImportError as exc:
    raise MissingDependencyError(
        f"expected ROS 2 for Python, but importing rclpy failed ({exc}): "
        f"source /opt/ros/<distro>/setup.bash, or {how_to_install('ros')} (Jazzy's wheels, x86-64)"
    ) from exc
