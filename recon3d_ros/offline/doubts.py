"""What is unlikely about the calibration or the scale of many frames: each doubt is logged once."""

from __future__ import annotations

import logging
import re

from recon3d_ros.pipeline import Result

log = logging.getLogger(__name__)


class DoubtLog:
    """Warns of every doubt at its first frame; sentences that differ in numbers are one.

    Attributes:
        frames: Number of frames with a doubt so far.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._told: set[str] = set()

    def add(self, result: Result) -> None:
        """Take the result of a frame."""
        self.frames += bool(result.doubts)
        for doubt in result.doubts:
            kind = re.sub(r"[0-9.e+-]+", "#", doubt)  # a calibration may change with every frame
            if kind not in self._told:
                self._told.add(kind)
                log.warning("%s; correct it, or give --trust-calibration if it is right", doubt)
