"""The poses of a camera that a bag holds itself: transforms of tf, and odometry."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.errors import DataError, FrameError
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.messages.kinds import matrix_of, stamp_to_ns

_log = logging.getLogger(__name__)
TRANSFORMS, ODOMETRY = "tf2_msgs/msg/TFMessage", "nav_msgs/msg/Odometry"
# Moves without jumps (REP 105); map, above it, jumps where a localisation corrects itself.
SMOOTH_FRAME = "odom"
# Of the topic whose transforms hold for ever.
_STATIC = "tf_static"
_MAX_GAP_S = 1.0
Matrix = NDArray[np.float64]


@dataclass
class _Link:
    """What the bag tells of a frame in its parent: once and for all, and by stamp, ns."""

    parents: set[str] = field(default_factory=set)
    static: Matrix | None = None
    moving: dict[int, Matrix] = field(default_factory=dict)

    def at(self, stamp_ns: int, path: Trajectory | None) -> Matrix:
        """T_parent_frame (4, 4); a FrameError where it is not known."""
        if path is not None:
            return path.at(stamp_ns, _MAX_GAP_S)
        assert self.static is not None
        return self.static


class BagTransforms:
    """The tree of frames of a bag.

    Args:
        bag: All its topics of tf are read, and odometry for frames that tf has no parent of.

    Raises:
        DataError: The bag is damaged.
    """

    def __init__(self, bag: Bag) -> None:
        self._links: dict[str, _Link] = {}
        for static, one in _transforms(bag):
            place, rotation = one.transform.translation, one.transform.rotation
            self._add(one.header, one.child_frame_id, matrix_of(place, rotation), static)
        of_tf = set(self._links)
        for message in bag.messages(_topics(bag, ODOMETRY)):
            msg, pose = message.msg, message.msg.pose.pose
            if _name(msg.child_frame_id) not in of_tf:
                self._add(msg.header, msg.child_frame_id, matrix_of(pose.position, pose.orientation), False)

    def _add(self, header: Any, child_id: str, matrix: Matrix, static: bool) -> None:
        link = self._links.setdefault(_name(child_id), _Link())
        link.parents.add(_name(header.frame_id))
        if static:
            link.static = matrix
        else:
            link.moving[stamp_to_ns(header.stamp)] = matrix

    def above(self, frame: str) -> list[str]:
        """The frame, its parent, that one's parent, up to the root.

        Raises:
            DataError: One has two parents, or they form a circle.
        """
        chain = [_name(frame)]
        while link := self._links.get(chain[-1]):
            parents = sorted(link.parents)
            if len(parents) > 1 or parents[0] in chain:
                raise DataError(
                    f"expected a tree of frames in the bag's tf, {chain[-1]} is in {' and in '.join(parents)}"
                    f" (below it: {', '.join(chain[:-1]) or 'nothing'}): give --poses"
                )
            chain += parents
        return chain

    def path(self, frame: str, fixed: str) -> Trajectory | None:
        """The poses of a frame in one above it, at every stamp at which all transforms between are known.

        Those are interpolated between neighbours up to a second apart.

        Args:
            frame: Of a camera.
            fixed: A frame of `above(frame)`.

        Returns:
            None where nothing between them moves.

        Raises:
            DataError: A transform between them is not rigid.
        """
        chain = self.above(frame)
        links = [self._links[child] for child in chain[: chain.index(fixed)]]
        paths = [_trajectory(link.moving) for link in links]
        stamps, poses = [], []
        for stamp_ns in sorted(set().union(*(link.moving for link in links))):
            pose = np.eye(4)
            try:
                for link, path in zip(links, paths):
                    pose = link.at(stamp_ns, path) @ pose
            except FrameError:
                continue
            stamps.append(stamp_ns)
            poses.append(pose)
        return Trajectory(np.array(stamps), np.stack(poses)) if stamps else None


def poses_in_bag(bag: Bag, topic: str, fixed_frame: str = "") -> Trajectory | None:
    """The poses of the camera whose images are on a topic.

    Args:
        bag: With tf, or with odometry and tf_static.
        topic: Of images, whose first message names the frame.
        fixed_frame: In which the poses are wanted; empty = odom, else the topmost frame above the camera.

    Returns:
        None where the bag does not tell that the camera moves.

    Raises:
        DataError: The frame that is asked for is not above the camera's, or the bag cannot be used.
    """
    first = next(bag.messages([topic]), None)
    if first is None:
        return None
    transforms = BagTransforms(bag)
    chain = transforms.above(first.msg.header.frame_id)
    wanted = _name(fixed_frame)
    if wanted and wanted not in chain[1:]:
        known = ", ".join(chain[1:]) or "none"
        raise DataError(
            f"expected {wanted} above the frame {chain[0]} of {topic} in the tf of {bag.path}, got {known}: "
            "name one of them as --fixed-frame, or give --poses"
        )
    wanted = wanted or (SMOOTH_FRAME if SMOOTH_FRAME in chain else chain[-1])
    path = transforms.path(chain[0], wanted)
    if path is not None:
        _log.info("poses of %s in %s: %d, of the bag's tf and odometry", chain[0], wanted, len(path))
    return path


def _transforms(bag: Bag) -> Iterator[tuple[bool, Any]]:
    for message in bag.messages(_topics(bag, TRANSFORMS)):
        static = message.topic.endswith(_STATIC)
        for one in message.msg.transforms:
            yield static, one


def _topics(bag: Bag, kind: str) -> list[str]:
    return [topic for topic, its_kind in bag.topics.items() if its_kind == kind]


def _trajectory(moving: Mapping[int, Matrix]) -> Trajectory | None:
    stamps = sorted(moving)
    return Trajectory(np.array(stamps), np.stack([moving[stamp] for stamp in stamps])) if stamps else None


def _name(frame: str) -> str:
    return str(frame).lstrip("/")
