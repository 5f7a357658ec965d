"""Whether a camera can have moved from one pose to the next: poses that jump do not belong to one map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import PoseError

_SLACK_M, _SLACK_DEG = 0.05, 3.0  # noise of two poses
STEADY = 5  # poses in a row that agree with each other
Matrix = NDArray[np.float64]


class _Seen(NamedTuple):
    stamp_ns: int
    pose: Matrix
    part: int


class PoseGuard:
    """Refuses poses from the first jump until they jump back, or until somebody takes the new place.

    Args:
        max_speed_mps: Fastest motion, m/s.
        max_turn_dps: Fastest turn, deg/s.
    """

    def __init__(self, max_speed_mps: float, max_turn_dps: float) -> None:
        self.max_speed_mps, self.max_turn_dps = max_speed_mps, max_turn_dps
        self._good: _Seen | None = None
        self._seen: _Seen | None = None
        self._since = 0
        self._jump = ""

    @property
    def steady(self) -> bool:
        """Whether the last poses, refused ones, agree with each other: the jump was no outlier."""
        return self._since >= STEADY

    def forget(self) -> None:
        """Take the next pose as it is."""
        self._good = self._seen = None
        self._since, self._jump = 0, ""

    def check(self, stamp_ns: int, pose: Matrix, part: int = 0) -> None:
        """Take the pose of the next image.

        Args:
            stamp_ns: Of the image.
            pose: (4, 4) float64.
            part: Poses of different parts cannot be compared, which is a jump, too.

        Raises:
            PoseError: It cannot be reached from the last one that was not refused, or stays at such a place;
                or it has no rotation or position.
        """
        if not np.isfinite(pose).all():
            raise PoseError(
                "expected a pose of finite numbers, got others: check who publishes the transform"
            )
        seen, self._seen = self._seen, _Seen(stamp_ns, pose, part)
        if self._good is None or seen is None:
            self._good = self._seen
            return
        said = self._gap(seen, self._seen)
        back = bool(self._jump and said) and not self._gap(self._good, self._seen)
        if back or not (said or self._jump):
            self._good, self._jump, self._since = self._seen, "", 0
            return
        if said:
            self._jump, self._since = said, 0
        self._since += 1
        raise PoseError(
            f"expected a pose that the camera can reach, got {self._jump}; nothing is fused until "
            "the poses jump back, ~/reset is called or on_pose_jump is restart (or raise max_speed_mps and "
            "max_turn_dps)"
        )

    def _gap(self, before: _Seen, after: _Seen) -> str:
        """What is too far between two poses; empty when nothing is."""
        if before.part != after.part:
            return "one that nothing connects with those before"
        seconds = max((after.stamp_ns - before.stamp_ns) / 1e9, 0.0)
        metres = float(np.linalg.norm(after.pose[:3, 3] - before.pose[:3, 3]))
        cosine = (np.trace(before.pose[:3, :3].T @ after.pose[:3, :3]) - 1) / 2
        degrees = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        if metres > _SLACK_M + self.max_speed_mps * seconds:
            return f"a jump of {metres:.2f} m in {seconds:.3f} s"
        if degrees > _SLACK_DEG + self.max_turn_dps * seconds:
            return f"a jump of {degrees:.0f} degrees in {seconds:.3f} s"
        return ""
