"""The poses of a camera over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ConfigError, DataError, FrameError
from recon3d_ros.geometry import Frame
from recon3d_ros.geometry.rotations import matrices_of, quaternions_of

#: What the poses of a file belong to: times, the images of these names, or the images in their order.
KEYS = ("stamp", "name", "order")
_MAX_SKEW = 1e-2  # of a rotation matrix that was written with few digits
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses of the (left) optical frame (x right, y down, z forward) in a fixed frame, the world.

    Attributes:
        stamps_ns: (N,) int64, strictly rising: times, or with `key` "order" the numbers of the images.
        T_world_camera: (N, 4, 4) float64, metres.
        names: Of the images, in the order of the poses; only with `key` "name".
        key: One of `KEYS`.

    Raises:
        DataError: At construction: no poses, shapes that do not match, stamps that do not rise, a matrix that
            is no rigid transform. Rotations with small errors are made orthogonal.
    """

    stamps_ns: NDArray[np.int64]
    T_world_camera: Matrix
    names: tuple[str, ...] = ()
    key: str = "stamp"

    def __post_init__(self) -> None:
        stamps = np.asarray(self.stamps_ns, np.int64)
        poses = np.array(self.T_world_camera, np.float64)
        count = len(stamps)
        if self.key not in KEYS:
            raise ConfigError(f"expected a key of {', '.join(KEYS)}, got {self.key!r}: choose one of them")
        if stamps.shape != (count,) or poses.shape != (count, 4, 4) or not count:
            raise DataError(
                f"expected at least one pose, stamps (N,) and matrices (N, 4, 4), got {stamps.shape} and "
                f"{poses.shape}: check where they come from"
            )
        if len(self.names) != (count if self.key == "name" else 0):
            raise DataError(
                f"expected a name for each of {count} poses of named images, and none for others, got "
                f"{len(self.names)}: check where they come from"
            )
        rising = np.diff(stamps) > 0
        if not rising.all():
            first = int(np.argmin(rising)) + 1
            raise DataError(
                f"expected strictly rising stamps of poses, number {first} is {stamps[first]} after "
                f"{stamps[first - 1]} ns: sort them and drop doubles"
            )
        object.__setattr__(self, "stamps_ns", stamps)
        object.__setattr__(self, "T_world_camera", _rigid(poses))

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def positions(self) -> Matrix:
        """(N, 3) float64 m, the optical centres in the world."""
        return self.T_world_camera[:, :3, 3]

    @property
    def length_m(self) -> float:
        """Length of the path through all poses, m."""
        return float(np.linalg.norm(np.diff(self.positions, axis=0), axis=1).sum())

    def at(self, stamp_ns: int, max_gap_s: float = 1.0) -> Matrix:
        """The (4, 4) pose at a time: a stored one, or one between its neighbours.

        The position is interpolated linearly, the rotation along the shortest arc (slerp).

        Args:
            stamp_ns: Time, ns.
            max_gap_s: Neighbours farther apart than this are not interpolated, s.

        Raises:
            FrameError: The time is before the first or after the last pose, or in a gap.
        """
        after = int(np.searchsorted(self.stamps_ns, stamp_ns))
        if after < len(self) and self.stamps_ns[after] == stamp_ns:
            return self.T_world_camera[after]
        if not 0 < after < len(self):
            first, last = self.stamps_ns[0] / 1e9, self.stamps_ns[-1] / 1e9
            raise FrameError(
                f"expected a time within the poses, {first:.3f} to {last:.3f} s, got {stamp_ns / 1e9:.3f} s: "
                "use the poses of this recording, on its clock"
            )
        start, end = (int(stamp) for stamp in self.stamps_ns[after - 1 : after + 1])
        if end - start > max_gap_s * 1e9:
            raise FrameError(
                f"expected poses at most {max_gap_s:g} s apart around {stamp_ns / 1e9:.3f} s, the nearest "
                f"are {(end - start) / 1e9:.3f} s apart: leave this image out, or use denser poses"
            )
        part = (stamp_ns - start) / (end - start)
        return between(self.T_world_camera[after - 1], self.T_world_camera[after], part)

    def of_image(self, index: int, stamp_ns: int, name: str, max_gap_s: float = 1.0) -> Matrix:
        """The (4, 4) pose of an image, by what the poses are known by.

        Args:
            index: Number of the image in its recording, from 0.
            stamp_ns: Its time, ns.
            name: Its file name without its folder and ending.
            max_gap_s: See `at`.

        Raises:
            FrameError: It has no pose.
        """
        if self.key == "stamp":
            return self.at(stamp_ns, max_gap_s)
        if self.key == "order":
            found = np.flatnonzero(self.stamps_ns == index)
        else:
            found = np.array([i for i, known in enumerate(self.names) if known == name], int)
        if not len(found):
            wanted = f"number {index}" if self.key == "order" else f"{name!r}"
            raise FrameError(
                f"expected a pose for image {wanted}, the {len(self)} poses have none: leave the image "
                "out, or use the poses of this recording"
            )
        return self.T_world_camera[found[0]]

    def posed(self, frame: Frame, index: int, max_gap_s: float = 1.0) -> Frame:
        """The frame with its pose; as it is where it has none, see `of_image`."""
        try:
            pose = self.of_image(index, frame.stamp_ns, frame.name, max_gap_s)
        except FrameError:
            return frame
        return replace(frame, T_world_camera=pose)

    def moved(self, t_after_before: Matrix) -> Trajectory:
        """The same path in another world: each pose multiplied from the left, (4, 4) float64."""
        return Trajectory(self.stamps_ns, t_after_before @ self.T_world_camera, self.names, self.key)

    def of_sensor(self, t_body_camera: Matrix) -> Trajectory:
        """Poses of a camera on the body whose poses these are: each multiplied from the right, (4, 4)."""
        return Trajectory(self.stamps_ns, self.T_world_camera @ t_body_camera, self.names, self.key)


def between(first: Matrix, second: Matrix, part: float) -> Matrix:
    """The (4, 4) pose at `part` (0 to 1) of the way from the first to the second."""
    start, end = quaternions_of(np.stack([first[:3, :3], second[:3, :3]]))
    cosine = float(start @ end)
    end, cosine = (-end, -cosine) if cosine < 0 else (end, cosine)  # q and -q turn alike; the short way
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:  # slerp divides by its sine
        turned = start + part * (end - start)
    else:
        turned = (np.sin((1 - part) * angle) * start + np.sin(part * angle) * end) / np.sin(angle)
    pose = np.eye(4)
    pose[:3, :3] = matrices_of(turned[None])[0]
    pose[:3, 3] = (1 - part) * first[:3, 3] + part * second[:3, 3]
    return pose


def joined(pieces: Sequence[Trajectory]) -> Trajectory:
    """Trajectories by stamp in one world, in the order of their stamps.

    Raises:
        DataError: None, or two poses have one stamp.
    """
    stamps = np.concatenate([piece.stamps_ns for piece in pieces])
    poses = np.concatenate([piece.T_world_camera for piece in pieces])
    order = np.argsort(stamps, kind="stable")
    return Trajectory(stamps[order], poses[order])


def _rigid(poses: Matrix) -> Matrix:
    """The matrices with exactly orthogonal rotations."""
    rotations = poses[:, :3, :3]
    usable = np.isfinite(poses).all(axis=(1, 2)) & (np.abs(poses[:, 3] - [0, 0, 0, 1]) < 1e-6).all(axis=1)
    if usable.all():
        gram = rotations @ rotations.transpose(0, 2, 1)
        usable = (np.abs(gram - np.eye(3)) < _MAX_SKEW).all(axis=(1, 2)) & (np.linalg.det(rotations) > 0)
    if not usable.all():
        first = int(np.argmin(usable))
        raise DataError(
            f"expected rigid transforms, pose {first} is {np.round(poses[first, :3], 3).tolist()}: "
            "check the format and the units of the poses"
        )
    left, _, right = np.linalg.svd(rotations)
    # Matrices that are orthogonal already keep their bits, so that files come back as they were written.
    exact = (np.abs(gram - np.eye(3)) < 1e-12).all(axis=(1, 2))
    poses[:, :3, :3] = np.where(exact[:, None, None], rotations, left @ right)
    return poses
