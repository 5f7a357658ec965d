"""Recorded bags with registered depth: image, depth in the frame of the image, camera_info."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recon3d_ros.config.camera_topics import info_topic
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.rgbd.aligner import RgbdAligner
from recon3d_ros.datasets.rgbd.association import nearest_pairs, unmatched_note
from recon3d_ros.errors import DataError
from recon3d_ros.files.bit_depth import BitDepth
from recon3d_ros.geometry import PinholeCamera, Sample
from recon3d_ros.messages.camera_info import CalibrationCache, info_to_camera
from recon3d_ros.messages.depth import (
    ENCODINGS,
    depth_from_compressed,
    depth_from_msg,
    is_compressed_depth,
)
from recon3d_ros.messages.encodings import msg_to_image
from recon3d_ros.messages.kinds import stamp_to_ns

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
# What image_transport appends to the name of an image topic.
_TRANSPORTS = ("compressed", "compressedDepth")
# Part of the name of a topic that is rectified already, as in image_rect_color; P describes it then.
_RECTIFIED = "rect"


class RgbdTopics(NamedTuple):
    """The names of the three topics of one camera."""

    image: str
    depth: str
    camera_info: str


class _Position(NamedTuple):
    """Where a message is: its stamp, when it was recorded, and how many of that time come before it."""

    stamp_ns: int
    logged_ns: int
    before: int


def bag_samples(path: Path, names: Sequence[str] = ()) -> LazySequence[Sample]:
    """The images of a bag and their registered depth, joined by stamps within 20 ms.

    The bag is read through once for the stamps, then message by message; the note counts what has no partner.
    A topic such as `image_rect` is rectified; others are raw, and D and R of camera_info rectify image and
    depth.

    Args:
        path: A folder of rosbag2, or its file `.mcap` or `.db3`.
        names: Topics of image, depth and camera_info, or of the first two; none are found by type, encoding
            and frame, where there is one choice.

    Raises:
        DataError: The bag is damaged, topics are missing or ambiguous, depth is in another frame than the
            image, the calibration changes, no two stamps match.
        CalibrationError: camera_info cannot be used.
        MissingDependencyError: rosbags is not installed.
    """
    with Bag(path) as bag:
        topics = find_topics(bag, names)
        camera = _camera(bag, topics)
        images, depths = (_positions(bag, topic) for topic in topics[:2])
    pairs = nearest_pairs(
        [position.stamp_ns for position in images], [position.stamp_ns for position in depths]
    )
    if not pairs:
        raise DataError(
            f"expected stamps of {topics.image} and {topics.depth} within 20 ms of each other, no two are in "
            f"{path}: record depth that carries the stamp of its image"
        )
    aligner = RgbdAligner(camera)
    to_8_bits = BitDepth(topics.image).to_8_bits

    def load(pair: tuple[int, int]) -> Sample:
        image, depth = images[pair[0]], depths[pair[1]]
        with Bag(path) as bag:
            planes = (
                msg_to_image(_message(bag, topics.image, image), to_8_bits),
                _depth(_message(bag, topics.depth, depth)),
            )
        source = f"{topics.depth} at {depth.stamp_ns} ns"
        return aligner.sample(str(image.stamp_ns), image.stamp_ns, *planes, source)

    return LazySequence(pairs, load, unmatched_note(len(images), len(depths), len(pairs)))


def find_topics(bag: Bag, names: Sequence[str] = ()) -> RgbdTopics:
    """Return the topics that are named, or the only ones that belong together; see `bag_samples`.

    Raises:
        DataError: There is none, or more than one choice.
    """
    if missing := [name for name in names if name not in bag.topics]:
        raise DataError(
            f"expected the topic {missing[0]} in {bag.path}, it has {', '.join(bag.topics)}: name one of them"
        )
    if len(names) not in (0, 2, 3):
        raise DataError(
            f"expected topics of image and depth (and camera_info), got {' '.join(names)}: name both"
        )
    first = _first_images(bag, names)
    depth = [topic for topic, msg in first.items() if _is_depth(msg)]
    colour = [topic for topic in first if topic not in depth]
    pairs = [(c, d) for c in colour for d in depth if _frame(first[c]) == _frame(first[d])]
    if names:
        _check_named(names, first, bag.path)
        pairs = [(names[0], names[1])]
    if len(pairs) != 1:
        there = "; ".join(f"{topic} in frame {_frame(msg) or '(none)'}" for topic, msg in first.items())
        what = "several choices" if pairs else "none"
        raise DataError(
            f"expected an image topic and one of depth (16UC1, 32FC1) in its frame in {bag.path}, got "
            f"{what} ({there or 'no images at all'}): name them, as in {bag.path.name}:/image:/depth"
        )
    ((image, of_depth),) = pairs
    info = names[2] if len(names) == 3 else _info_beside(bag, image, _frame(first[image]))
    return RgbdTopics(image, of_depth, info)


def _first_images(bag: Bag, names: Sequence[str]) -> Mapping[str, Any]:
    """The first message of the topics with images, of those named where some are; the plain one of each."""
    kinds = {topic: kind for topic, kind in bag.topics.items() if kind in (IMAGE, COMPRESSED)}
    if names:
        kinds = {topic: kind for topic, kind in kinds.items() if topic in names}
    first = {}
    for topic in kinds:
        base, _, transport = topic.rpartition("/")
        twice = transport in _TRANSPORTS and (base in kinds or f"{base}/{_TRANSPORTS[0]}" in first)
        message = None if twice else next(bag.messages([topic]), None)
        if message is not None:
            first[topic] = message.msg
    return first


def _check_named(names: Sequence[str], first: Mapping[str, Any], path: Path) -> None:
    image, depth = (first.get(name) for name in names[:2])
    if image is None or depth is None or _is_depth(image) or not _is_depth(depth):
        raise DataError(
            f"expected images on {names[0]} and depth (16UC1 or 32FC1) on {names[1]} in {path}, got another "
            "kind or no message: name the image topic first, then the depth topic"
        )
    if _frame(image) != _frame(depth):
        raise DataError(
            f"expected depth registered to the image, got {names[1]} in frame {_frame(depth)} and "
            f"{names[0]} in {_frame(image)}: record it in the frame of the image (aligned_depth_to_color)"
        )


def _info_beside(bag: Bag, image: str, frame: str) -> str:
    """The camera_info in the namespace of an image topic, else the only one of its frame."""
    base = image.rpartition("/")[0] if image.rpartition("/")[2] in _TRANSPORTS else image
    beside = info_topic(base)
    if bag.topics.get(beside) == CAMERA_INFO:
        return beside
    known = [topic for topic, kind in bag.topics.items() if kind == CAMERA_INFO]
    same = [topic for topic in known if any(_frame(m.msg) == frame for m in _first(bag, topic))]
    if len(same) == 1:
        return same[0]
    raise DataError(
        f"expected camera_info on {beside} or one of frame {frame} in {bag.path}, got "
        f"{', '.join(known) or 'none'}: record it, or name it as the third topic"
    )


def _first(bag: Bag, topic: str) -> list[Any]:
    message = next(bag.messages([topic]), None)
    return [] if message is None else [message]


def _camera(bag: Bag, topics: RgbdTopics) -> PinholeCamera:
    """The one calibration of the image, raw or of the rectified image by the topic's name."""
    cache, found = CalibrationCache((topics.camera_info,), rectify=False), []
    if bag.topics[topics.camera_info] != CAMERA_INFO:
        raise DataError(
            f"expected {CAMERA_INFO} on {topics.camera_info}, got another type: name another topic"
        )
    for message in bag.messages([topics.camera_info]):
        if cache.update(topics.camera_info, message.msg):
            found.append(message.msg)
    if len(found) != 1:
        raise DataError(
            f"expected one calibration on {topics.camera_info} in {bag.path}, got {len(found)}: "
            "record it, or cut the bag where it changes"
        )
    name = [word for word in topics.image.split("/") if word not in _TRANSPORTS][-1]
    return info_to_camera(found[0], rectified=_RECTIFIED in name.split("_"), lone=True)


def _positions(bag: Bag, topic: str) -> list[_Position]:
    positions: list[_Position] = []
    for message in bag.messages([topic]):
        same = positions[-1].before + 1 if positions and positions[-1].logged_ns == message.logged_ns else 0
        positions.append(_Position(stamp_to_ns(message.msg.header.stamp), message.logged_ns, same))
    stamps = {position.stamp_ns for position in positions}
    if len(stamps) != len(positions):
        raise DataError(
            f"expected a stamp of its own on every message of {topic} in {bag.path}, got {len(stamps)} "
            f"stamps on {len(positions)} messages: record a driver that fills header.stamp, once through"
        )
    return positions


def _message(bag: Bag, topic: str, position: _Position) -> Any:
    same = [message.msg for message in bag.messages([topic], position.logged_ns, position.logged_ns + 1)]
    if position.before >= len(same):
        raise DataError(
            f"expected the message of {topic} at {position.logged_ns} ns again in {bag.path}: it changed"
        )
    return same[position.before]


def _frame(msg: Any) -> str:
    return str(msg.header.frame_id).lstrip("/")


def _is_depth(msg: Any) -> bool:
    return msg.encoding in ENCODINGS if hasattr(msg, "encoding") else is_compressed_depth(msg.format)


def _depth(msg: Any) -> np.ndarray:
    return depth_from_msg(msg) if hasattr(msg, "encoding") else depth_from_compressed(msg)
