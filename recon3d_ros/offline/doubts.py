"""What is unlikely about many frames, their calibration, scale and images: each doubt is logged once."""

from __future__ import annotations

import logging

from recon3d_ros.geometry import Frame
from recon3d_ros.geometry.image_checks import check_frame, check_images
from recon3d_ros.pipeline import Result
from recon3d_ros.system.logs import without_numbers

log = logging.getLogger(__name__)


class DoubtLog:
    """Warns of every doubt at its first frame; sentences that differ in numbers are one.

    Attributes:
        frames: Number of frames with a doubt so far.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._logged: set[str] = set()
        self._seen = 0

    def add(self, frame: Frame, result: Result) -> None:
        """Take a frame and its result; the images of frames 1, 2, 4, 8, ... are compared."""
        self.frames += bool(result.doubts)
        for doubt in result.doubts:
            self._log(doubt, "; correct it, or give --trust-calibration if it is right")
        self._seen += 1
        if self._seen & (self._seen - 1):
            return  # a comparison takes as long as a filter
        for fault in check_images(frame) or check_frame(frame):
            self._log(f"{frame.name or f'frame {self._seen}'}: {fault.message}", kind=fault.kind)

    def _log(self, text: str, remedy: str = "", kind: str = "") -> None:
        kind = kind or without_numbers(text)  # a calibration may change with every frame
        if kind not in self._logged:
            self._logged.add(kind)
            log.warning("%s%s", text, remedy)
