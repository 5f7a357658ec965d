"""Where a moving camera was when it took an image, by tf; for depth from motion."""

from __future__ import annotations

from dataclasses import replace

from recon3d_ros.config import NodeConfig
from recon3d_ros.errors import PoseError
from recon3d_ros.geometry import Frame
from recon3d_ros.mapping.pose_guard import PoseGuard
from recon3d_ros.ros.bridge.transforms import TransformSource


class MotionPoses:
    """The poses of one camera; belongs to the worker's thread, all but `configure`.

    Args:
        transforms: where they are looked up; None = there is no depth from motion.
        config: the fixed frame, how long an image waits, and how fast the camera can be.
    """

    def __init__(self, transforms: TransformSource | None, config: NodeConfig) -> None:
        self._transforms, self._config = transforms, config
        self._guard = PoseGuard(config.max_speed_mps, config.max_turn_dps)

    def configure(self, config: NodeConfig) -> None:
        """Take other options from the next image on."""
        self._config = config

    @property
    def max_age_ns(self) -> int:
        """Images that are older than another one by more say nothing of it."""
        return round(self._config.motion_max_age_s * 1e9)

    def posed(self, frame: Frame) -> Frame:
        """The frame with its pose in `motion_frame`; waits for it, no longer than `motion_pose_wait_ms`.

        Raises:
            FrameError: tf does not tell it.
            PoseError: the camera cannot have moved so; the next pose is taken as it is, and earlier ones have
                nothing to do with it.
        """
        assert self._transforms is not None  # who wants depth from motion gives them
        config, guard = self._config, self._guard
        pose = self._transforms.lookup(
            config.motion_frame.lstrip("/"), frame.frame_id, frame.stamp_ns, config.motion_pose_wait_ms / 1e3
        )
        guard.max_speed_mps, guard.max_turn_dps = config.max_speed_mps, config.max_turn_dps
        try:
            guard.check(frame.stamp_ns, pose)
        except PoseError as exc:
            guard.forget()
            what, jumped, _ = str(exc).partition(";")  # what follows is of maps
            if jumped:
                what += "; no earlier image is matched with later ones (or raise max_speed_mps, max_turn_dps)"
            raise PoseError(what) from exc
        return replace(frame, T_world_camera=pose)

    def forget(self) -> None:
        """Time has jumped: take the next pose as it is."""
        self._guard.forget()
