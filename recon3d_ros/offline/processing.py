"""The pipeline over a recorded bag: every frame once, nothing dropped for lack of time, no ROS needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from recon3d_ros.config import ProcessConfig
from recon3d_ros.config.camera_topics import transport_topic
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.errors import (
    BackendError,
    CalibrationError,
    ConfigError,
    DataError,
    ImageError,
    Recon3dError,
)
from recon3d_ros.geometry import Frame
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.messages.intake import Intake, Messages, RawFrame
from recon3d_ros.offline.doubts import DoubtLog
from recon3d_ros.offline.far_pixels import FarPixels
from recon3d_ros.offline.sinks import CAMERA_INFO, IMAGE, Processed, Sink
from recon3d_ros.pipeline import Pipeline, Result

COMPRESSED = "sensor_msgs/msg/CompressedImage"
# Images of one side that may wait for their partner. Nothing is late in a bag, but a recorder may have
# written one side well behind the other.
WAITING = 50
_END_NS = 2**31 * 1_000_000_000  # of builtin_interfaces/Time
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
        reasons: The first sentence of every cause, and of missing scale; how much lies beyond max_depth_m,
            when it is notable.
        without_scale: Written frames whose depth is all NaN, because no scale was trusted.
        doubtful: Written frames whose calibration or scale is unlikely.
        empty: Written frames in which no pixel has depth or is out of range.
    """

    images: int = 0
    unmatched: int = 0
    frames: int = 0
    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    without_scale: int = 0
    doubtful: int = 0
    empty: int = 0

    def drop(self, error: Recon3dError) -> None:
        """Count a frame that an error ended."""
        cause = next(name for kind, name in CAUSES.items() if isinstance(error, kind))
        self.dropped[cause] += 1
        self.reasons.setdefault(cause, str(error))


class Window(NamedTuple):
    """A part of a recording, by the time at which messages were recorded.

    Attributes:
        from_ns: Frames that were complete before are not written; None = the beginning.
        until_ns: Nothing from here on is read; None = the end.
        warm_up_ns: So much before `from_ns` is read and processed, for filters with a memory and for
            images whose partner came earlier.
    """

    from_ns: int | None = None
    until_ns: int | None = None
    warm_up_ns: int = 0

    @property
    def read_from_ns(self) -> int | None:
        """Where reading begins."""
        return None if self.from_ns is None else self.from_ns - self.warm_up_ns


WHOLE = Window()


def process_bag(
    bag: Bag,
    pipeline: Pipeline,
    config: ProcessConfig,
    sinks: Sequence[Sink],
    advance: Callable[[], object] = lambda: None,
    window: Window = WHOLE,
    poses: Trajectory | None = None,
) -> Summary:
    """Take every frame of a bag through the pipeline, in the order of recording.

    The same bag, model and options give the same bytes on the same machine: nothing depends on time.

    Args:
        bag: Where the images are.
        pipeline: Its model is of the kind that `config.mode` says.
        config: Which topics, and how.
        sinks: Where results go; completed at the end, given up after an error.
        advance: Called after every frame, for a progress bar.
        window: Which part of the bag.
        poses: Of the (left) optical frame, by stamp, for depth from motion.

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
        summary = Summary()
        _Run(bag, pipeline, config, sinks, summary, window, poses).take_all(images, advance)
        if window == WHOLE:  # a piece may lie in a pause
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
        kinds = {"raw": IMAGE, "compressed": COMPRESSED}
        offers = {transport: (transport_topic(base, transport), kind) for transport, kind in kinds.items()}
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


class _Run:
    """One way through a bag."""

    def __init__(
        self,
        bag: Bag,
        pipeline: Pipeline,
        config: ProcessConfig,
        sinks: Sequence[Sink],
        summary: Summary,
        window: Window,
        poses: Trajectory | None,
    ) -> None:
        self._bag, self._pipeline, self._sinks, self._summary = bag, pipeline, sinks, summary
        self._window, self._poses = window, poses
        infos = config.info_topics()
        self._intake = Intake(
            infos, config.rectify, config.sync_tolerance_ns, WAITING, whole_record=True, layout=config.layout
        )
        for topic, logged_ns, msg in bag.messages(infos):
            self._intake.add_info(topic, msg, logged_ns)
        self._epoch: int | None = None
        self._doubts = DoubtLog()
        self._far = FarPixels(pipeline.config.max_depth_m)

    def take_all(self, topics: Sequence[str], advance: Callable[[], object]) -> None:
        """Read the images, and process every frame that they complete."""
        summary = self._summary
        window = self._window
        for topic, logged_ns, msg in self._bag.messages(topics, window.read_from_ns, window.until_ns):
            inside = window.from_ns is None or logged_ns >= window.from_ns
            summary.images += inside
            messages = self._intake.add_image(topics.index(topic), msg)
            if messages is None:
                continue
            if inside:
                summary.unmatched -= len(messages)
                self._take(messages, logged_ns)
                advance()
            else:
                self._warm_up(messages, logged_ns)
        summary.unmatched += summary.images
        if self._far.sentence:
            summary.reasons["max_depth_m"] = self._far.sentence

    def _take(self, messages: Messages, logged_ns: int) -> None:
        number = self._summary.frames
        self._summary.frames += 1
        try:
            raw, frame, result = self._process(messages, logged_ns)
        except tuple(CAUSES) as exc:
            self._summary.drop(exc)
            return
        for sink in self._sinks:
            sink.write(Processed(number, logged_ns, raw.stamp_ns, raw.frame_id, frame, result))
        self._summary.written += 1
        self._summary.empty += bool(np.isnan(result.depth_map.depth).all())
        self._far.add(result)
        self._doubts.add(frame, result)
        self._summary.doubtful = self._doubts.frames
        if result.scale is not None and not result.scale.trusted:
            self._summary.without_scale += 1
            self._summary.reasons.setdefault("scale", result.scale.reason)

    def _process(self, messages: Messages, logged_ns: int) -> tuple[RawFrame, Frame, Result]:
        raw = self._intake.raw_frame(messages, logged_ns)
        if not -_END_NS <= raw.stamp_ns < _END_NS:
            raise ImageError(
                f"expected a stamp of 32-bit seconds, got {raw.stamp_ns / 1e9:.6g} s: correct the driver"
            )
        if self._epoch not in (None, raw.epoch):
            self._pipeline.reset()
        self._epoch = raw.epoch
        frame, _ = raw.frame()
        if self._poses is not None:
            frame = self._poses.posed(frame, self._summary.frames - 1)
        return raw, frame, self._pipeline.process(frame)

    def _warm_up(self, messages: Messages, logged_ns: int) -> None:
        """Process a frame before the window, whose faults belong to the piece before."""
        try:
            self._process(messages, logged_ns)
        except tuple(CAUSES):
            pass


def _require_some(summary: Summary, bag: Bag) -> None:
    if summary.written:
        return
    reason = next(iter(summary.reasons.values()), "no two stamps match, see --sync-tolerance-ms")
    raise DataError(
        f"expected a frame that can be processed in {bag.path}, got none of {summary.images} images: "
        f"{reason if summary.images else 'record the image topics'}"
    )
