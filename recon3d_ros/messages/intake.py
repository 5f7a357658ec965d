"""Messages of one camera or stereo pair to frames, the same way for the node, for bags and for the doctor.

Plain Python: the messages may be made by rclpy or read from a bag.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from recon3d_ros.config.camera_topics import LEFT, RIGHT, SEPARATE, is_packed
from recon3d_ros.files.bit_depth import BitDepth, To8Bits, full_range
from recon3d_ros.geometry import Frame, split_views
from recon3d_ros.messages.camera_info import Calibration, CalibrationCache
from recon3d_ros.messages.encodings import msg_to_image
from recon3d_ros.messages.kinds import CameraInfoFields, stamp_to_ns

log = logging.getLogger(__name__)

_SLASHES_TOLD = 20  # so many names of frames are warned about
GAP_NS = 1_000_000_000  # what was learnt from a frame is of no use this much later

Messages = tuple[Any, ...]


class _Waiting(NamedTuple):
    stamp_ns: int
    item: Any


class StereoSync:
    """Pairs items whose stamps are equal, or differ by at most a tolerance.

    Items wait in the order of their arrival, not of their stamps: when time jumps back (a bag starts over)
    nothing from before the jump can hold a place. What arrived before a matched item is given up, so a pair
    never follows a newer one. A tolerance belongs below half the frame period, or neighbours get paired.

    Args:
        tolerance_ns: largest difference of stamps; 0 = equal.
        capacity: items that may wait per side; one more pushes the oldest out.

    Attributes:
        unmatched: items given up so far, both sides together.
    """

    def __init__(self, tolerance_ns: int = 0, capacity: int = 5) -> None:
        self.tolerance_ns = tolerance_ns
        self.unmatched = 0
        self._gaps_ns: deque[int] = deque(maxlen=2)
        self._capacity = capacity
        self._waiting: tuple[deque[_Waiting], deque[_Waiting]] = (deque(), deque())

    @property
    def last_gap_ns(self) -> int | None:
        """Smallest stamp difference two recent items without a partner had, None if a side has nothing."""
        return min(self._gaps_ns, default=None)

    def add(self, side: int, stamp_ns: int, item: Any) -> tuple[Any, Any] | None:
        """Add an item of one side (LEFT or RIGHT).

        Returns:
            (left item, right item) when it completes a pair, else None.
        """
        others = self._waiting[1 - side]
        best = min(range(len(others)), key=lambda i: abs(others[i].stamp_ns - stamp_ns), default=None)
        if best is None:
            self._gaps_ns.clear()
            self._wait(side, _Waiting(stamp_ns, item))
            return None
        gap_ns = abs(others[best].stamp_ns - stamp_ns)
        if gap_ns > self.tolerance_ns:
            self._gaps_ns.append(gap_ns)
            self._wait(side, _Waiting(stamp_ns, item))
            return None
        match = others[best]
        for _ in range(best + 1):
            others.popleft()
        # Whatever waits on this side came before the item that was just matched.
        self.unmatched += best + len(self._waiting[side])
        self._waiting[side].clear()
        return (item, match.item) if side == LEFT else (match.item, item)

    def clear(self) -> None:
        """Give up everything that waits."""
        for waiting in self._waiting:
            self.unmatched += len(waiting)
            waiting.clear()
        self._gaps_ns.clear()

    def _wait(self, side: int, waiting: _Waiting) -> None:
        own = self._waiting[side]
        own.append(waiting)
        if len(own) > self._capacity:
            own.popleft()
            self.unmatched += 1


@dataclass(frozen=True, eq=False)
class RawFrame:
    """The image messages of one frame, not decoded yet.

    Attributes:
        stamp_ns: acquisition time of the (left) image.
        frame_id: its optical frame.
        messages: sensor_msgs/Image or CompressedImage, one or left and right.
        calibration: the one that holds for them.
        epoch: changes with the calibration and when time jumps; what was learnt in another one is of no use.
        run: as the epoch, but the same on both sides of a gap between frames.
        to_8_bits: scales pixels of 16 bits; one for all frames of a camera.
        layout: of `STEREO_LAYOUTS`; other than separate, the one message holds both views.
    """

    stamp_ns: int
    frame_id: str
    messages: Messages
    calibration: Calibration
    epoch: int = 0
    to_8_bits: To8Bits = full_range
    layout: str = SEPARATE
    run: int = 0

    @property
    def size_wh(self) -> tuple[int, int]:
        """Columns and rows that its images must have."""
        return self.calibration.size_wh

    def frame(self) -> tuple[Frame, dict[str, float]]:
        """Decode and, with raw cameras, rectify.

        Returns:
            The frame, and the wall time (ms) of decode and rectify.

        Raises:
            ImageError: an image cannot be decoded.
            CalibrationError: an image has another size than its camera_info says.
        """
        started = time.perf_counter()
        images = [msg_to_image(msg, self.to_8_bits) for msg in self.messages]
        if is_packed(self.layout):
            images = [*split_views(images[LEFT], self.layout)]
        decoded = time.perf_counter()
        right = images[RIGHT] if images[1:] else None
        frame = self.calibration.frame(self.stamp_ns, images[LEFT], right, self.frame_id)
        timings_ms = {"decode": decoded - started, "rectify": time.perf_counter() - decoded}
        return frame, {stage: seconds * 1e3 for stage, seconds in timings_ms.items()}


class Intake:
    """Pairs images, finds their calibration, and notices when time jumps. Not thread-safe.

    Args:
        info_topics: one camera_info topic, or left and right; names for errors.
        rectify: images are raw; D, R and P of camera_info rectify them.
        tolerance_ns: largest difference of stamps of a pair; 0 = equal.
        waiting: images per side that may wait for their partner.
        whole_record: all camera_info is added before the first image, see `CalibrationCache`.
        layout: of `STEREO_LAYOUTS`; other than separate, each image holds both views of a pair.
        on_step_back: called with seconds when the stamps of frames go back by them.

    Attributes:
        sync: pairs the images of a stereo pair.
    """

    def __init__(
        self,
        info_topics: tuple[str, ...],
        rectify: bool,
        tolerance_ns: int = 0,
        waiting: int = 5,
        whole_record: bool = False,
        layout: str = SEPARATE,
        on_step_back: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._layout = layout
        self._paired = len(info_topics) == 2 and not is_packed(layout)
        self.sync = StereoSync(tolerance_ns, waiting)
        self._calibrations = CalibrationCache(info_topics, rectify, whole_record)
        self._calibration: Calibration | None = None
        self._on_step_back = on_step_back
        self._bit_depth = BitDepth(f"camera of {info_topics[LEFT]}")
        self._epoch = self._run = 0
        self._slashed: set[str] = set()
        self._last_stamp_ns: int | None = None

    def add_info(self, topic: str, msg: CameraInfoFields, logged_ns: int = 0) -> bool:
        """Take a camera_info message, of a recording with its time; return whether it says something new."""
        return self._calibrations.update(topic, msg, logged_ns)

    def add_image(self, side: int, msg: Any) -> Messages | None:
        """Take an image message of one side (LEFT, also of a single camera, or RIGHT).

        Returns:
            The messages of a frame, left before right, when this one completes it.
        """
        stamp_ns = stamp_to_ns(msg.header.stamp)
        messages = self.sync.add(side, stamp_ns, msg) if self._paired else (msg,)
        if messages is not None:
            self._notice_jump(stamp_to_ns(messages[LEFT].header.stamp))
        return messages

    def raw_frame(self, messages: Messages, logged_ns: int = 0) -> RawFrame:
        """What is to be decoded of the frame that was completed last, in a recording at `logged_ns`.

        Raises:
            CalibrationError: a camera_info topic has not sent yet, or what they say cannot be used.
        """
        header = messages[LEFT].header
        stamp_ns = stamp_to_ns(header.stamp)
        calibration = self._calibrations.at(stamp_ns, logged_ns)
        if calibration is not self._calibration:
            self._calibration = calibration
            self.forget()
        frame_id, to_8_bits = self._frame_id(header.frame_id), self._bit_depth.to_8_bits
        return RawFrame(
            stamp_ns, frame_id, messages, calibration, self._epoch, to_8_bits, self._layout, self._run
        )

    def _frame_id(self, said: str) -> str:
        """The name of a frame as tf2 knows it: drivers from ROS 1 put a slash in front, which tf2 refuses."""
        frame_id = said.lstrip("/")
        if frame_id != said and said not in self._slashed and len(self._slashed) < _SLASHES_TOLD:
            self._slashed.add(said)
            log.warning(
                "expected a frame_id without a slash in front, got %s: taking %s, correct the driver",
                said,
                frame_id,
            )
        return frame_id

    def forget(self) -> None:
        """Begin another epoch and run."""
        self._epoch += 1
        self._run += 1

    def restart(self) -> None:
        """Give up what waits and begin another epoch, after a pause in which nothing was heard."""
        self.sync.clear()
        self._last_stamp_ns = None
        self.forget()

    def _notice_jump(self, stamp_ns: int) -> None:
        last_ns, self._last_stamp_ns = self._last_stamp_ns, stamp_ns
        if last_ns is None or 0 <= stamp_ns - last_ns <= GAP_NS:
            return
        self._epoch += 1
        if stamp_ns < last_ns:
            self._run += 1
            self._on_step_back((last_ns - stamp_ns) / 1e9)
