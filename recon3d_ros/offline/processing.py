"""The pipeline over a recorded bag: every frame once, nothing dropped for lack of time, no ROS needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from recon3d_ros.config import ProcessConfig
from recon3d_ros.datasets.bags.reader import Bag, BagMessage
from recon3d_ros.errors import (
    BackendError,
    CalibrationError,
    ConfigError,
    DataError,
    ImageError,
    Recon3dError,
)
from recon3d_ros.messages.camera_info import Calibration, CalibrationCache
from recon3d_ros.messages.compressed import decode_compressed
from recon3d_ros.messages.encodings import decode_image
from recon3d_ros.messages.sync import LEFT, RIGHT, StereoSync
from recon3d_ros.offline.sinks import CAMERA_INFO, IMAGE, Processed, Sink
from recon3d_ros.pipeline import Pipeline

NS_PER_S = 1_000_000_000
COMPRESSED = "sensor_msgs/msg/CompressedImage"
# Images of one side that may wait for their partner. Nothing is late in a bag, but a recorder may have
# written one side well behind the other.
WAITING = 50
# What temporal filters learnt is of no use so much later, nor when the recording starts over; as in the node.
GAP_NS = 1_000_000_000
# What one frame may be to blame for; it is counted and the next one comes. Anything else ends the run.
CAUSES: dict[type[Recon3dError], str] = {
    CalibrationError: "camera_info",
    ImageError: "image",
    BackendError: "model",
}


@dataclass
class Summary:
    """What became of the images: frames = written + the sum of dropped.

    Attributes:
        images: Image messages read, both sides together.
        unmatched: Those of them without a partner.
        frames: Complete frames, of one image or two.
        written: Frames that came through.
        dropped: Frames by cause: camera_info, image, model.
        reasons: The first sentence of every cause, and of missing scale.
        without_scale: Written frames whose depth is all NaN, because no scale was trusted.
    """

    images: int = 0
    unmatched: int = 0
    frames: int = 0
    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    without_scale: int = 0

    def drop(self, error: Recon3dError) -> None:
        """Count a frame that an error ended."""
        cause = next(name for kind, name in CAUSES.items() if isinstance(error, kind))
        self.dropped[cause] += 1
        self.reasons.setdefault(cause, str(error))


class Calibrations:
    """The camera_info of a whole bag; a frame gets the newest one not younger than itself.

    Frames before the first camera_info get the first one: in a bag it may be recorded behind its image.

    Args:
        bag: Is read through once, for the camera_info alone.
        topics: Left before right.
        rectify: As in `Calibration`.
    """

    def __init__(self, bag: Bag, topics: Sequence[str], rectify: bool) -> None:
        self._topics, self._rectify = topics, rectify
        self._changes: dict[str, list[tuple[int, Any]]] = {topic: [] for topic in topics}
        changes = CalibrationCache(tuple(topics), rectify)
        for topic, _, msg in bag.messages(topics):
            if changes.update(topic, msg):
                self._changes[topic].append((_stamp_ns(msg), msg))
        self._known: dict[tuple[int, ...], Calibration] = {}

    def at(self, stamp_ns: int) -> Calibration:
        """Return the calibration of a frame.

        Raises:
            CalibrationError: There is no camera_info, or it cannot be used.
        """
        indices = tuple(self._index(topic, stamp_ns) for topic in self._topics)
        if indices not in self._known:
            infos = [self._changes[topic][i][1] for topic, i in zip(self._topics, indices)]
            self._known[indices] = Calibration(tuple(infos), self._rectify)
        return self._known[indices]

    def _index(self, topic: str, stamp_ns: int) -> int:
        changes = self._changes[topic]
        if not changes:
            raise CalibrationError(
                f"expected camera_info on {topic}, the bag has no message of it: record it"
            )
        return max((i for i, (from_ns, _) in enumerate(changes) if from_ns <= stamp_ns), default=0)


def process_bag(
    bag: Bag,
    pipeline: Pipeline,
    config: ProcessConfig,
    sinks: Sequence[Sink],
    advance: Callable[[], object] = lambda: None,
) -> Summary:
    """Take every frame of a bag through the pipeline, in the order of recording.

    The same bag, model and options give the same bytes on the same machine: nothing depends on time.

    Args:
        bag: Where the images are.
        pipeline: Its model is of the kind that `config.mode` says.
        config: Which topics, and how.
        sinks: Where results go; completed at the end, given up after an error.
        advance: Called after every frame, for a progress bar.

    Raises:
        ConfigError: The model is of the other kind.
        DataError: A topic is missing, the bag is damaged, or not one frame came through.
        OutputError: A sink cannot write.
    """
    done = False
    try:
        if pipeline.estimator.is_stereo != config.is_stereo:
            kind = "stereo" if pipeline.estimator.is_stereo else "mono"
            raise ConfigError(f"expected a {config.mode} model, got a {kind} model: give --mode {kind}")
        images = find_images(bag, config)
        calibrations = Calibrations(bag, config.info_topics(), config.rectify)
        summary = Summary()
        run = _Run(pipeline, calibrations, sinks, summary)
        for messages in _frames(bag, images, config, summary):
            run.take(messages)
            advance()
        _require_some(summary, bag)
        for sink in sinks:
            sink.close()
        done = True
    finally:
        if not done:
            for sink in sinks:
                sink.abort()
    return summary


def find_images(bag: Bag, config: ProcessConfig) -> tuple[str, ...]:
    """Return the names of the image topics, the compressed ones where only they are there.

    Raises:
        DataError: An image or camera_info topic is missing.
    """
    found = []
    for base in config.image_topics():
        offers = {"raw": (base, IMAGE), "compressed": (f"{base}/compressed", COMPRESSED)}
        wanted = offers.values() if config.image_transport == "auto" else [offers[config.image_transport]]
        name = next((topic for topic, kind in wanted if bag.topics.get(topic) == kind), None)
        if name is None:
            raise _missing(bag, " or ".join(topic for topic, _ in wanted), (IMAGE, COMPRESSED))
        found.append(name)
    for topic in config.info_topics():
        if bag.topics.get(topic) != CAMERA_INFO:
            raise _missing(bag, topic, (CAMERA_INFO,))
    return tuple(found)


def _missing(bag: Bag, wanted: str, kinds: Sequence[str]) -> DataError:
    there = [topic for topic, kind in bag.topics.items() if kind in kinds]
    of_kind = f"of that kind it has {', '.join(there)}" if there else "it has none of that kind"
    return DataError(
        f"expected the topic {wanted} in {bag.path}, but {of_kind}: name yours (--image, --right-image, "
        "--camera-info, --right-camera-info or --namespace; --rectify takes image_raw)"
    )


def _frames(
    bag: Bag, topics: Sequence[str], config: ProcessConfig, summary: Summary
) -> Iterator[tuple[BagMessage, ...]]:
    """Yield single messages, or pairs of equal stamps; count the images."""
    if not config.is_stereo:
        for message in bag.messages(topics):
            summary.images += 1
            yield (message,)
        return
    sync = StereoSync(round(config.sync_tolerance_ms * 1e6), WAITING)
    paired = 0
    for message in bag.messages(topics):
        summary.images += 1
        side = LEFT if message.topic == topics[LEFT] else RIGHT
        pair = sync.add(side, _stamp_ns(message.msg), message)
        if pair is not None:
            paired += 2
            yield pair
    summary.unmatched = summary.images - paired


class _Run:
    """One way through a bag; remembers the stamp of the frame before."""

    def __init__(
        self, pipeline: Pipeline, calibrations: Calibrations, sinks: Sequence[Sink], summary: Summary
    ) -> None:
        self._pipeline, self._calibrations, self._sinks = pipeline, calibrations, sinks
        self._summary = summary
        self._last_ns: int | None = None

    def take(self, messages: tuple[BagMessage, ...]) -> None:
        number = self._summary.frames
        self._summary.frames += 1
        first = messages[0].msg
        stamp_ns = _stamp_ns(first)
        if self._last_ns is not None and not 0 <= stamp_ns - self._last_ns <= GAP_NS:
            self._pipeline.reset()
        self._last_ns = stamp_ns
        try:
            images = [_pixels(message.msg) for message in messages]
            right = images[1] if len(images) > 1 else None
            frame = self._calibrations.at(stamp_ns).frame(stamp_ns, images[0], right, first.header.frame_id)
            result = self._pipeline.process(frame)
        except tuple(CAUSES) as exc:
            self._summary.drop(exc)
            return
        logged_ns = max(message.logged_ns for message in messages)
        for sink in self._sinks:
            sink.write(Processed(number, logged_ns, stamp_ns, first.header.frame_id, result))
        self._summary.written += 1
        if result.scale is not None and not result.scale.trusted:
            self._summary.without_scale += 1
            self._summary.reasons.setdefault("scale", result.scale.reason)


def _require_some(summary: Summary, bag: Bag) -> None:
    if summary.written:
        return
    reason = next(iter(summary.reasons.values()), "no two stamps match, see --sync-tolerance-ms")
    raise DataError(
        f"expected a frame that can be processed in {bag.path}, got none of {summary.images} images: "
        f"{reason if summary.images else 'record the image topics'}"
    )


def _pixels(msg: Any) -> Any:
    return decode_image(msg) if hasattr(msg, "encoding") else decode_compressed(msg.data, msg.format)


def _stamp_ns(msg: Any) -> int:
    return int(msg.header.stamp.sec) * NS_PER_S + int(msg.header.stamp.nanosec)
