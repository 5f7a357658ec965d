"""Video files and webcams."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from recon3d_ros.datasets.folders import RawImages
from recon3d_ros.errors import DataError

DEFAULT_RATE_HZ = 30.0  # for files whose header states no rate


class VideoImages:
    """The raw images of a video file or a webcam, (H, W, 3) uint8 RGB, once through.

    Stamps count from 0 by the file's own rate; a webcam's are the wall clock when the image arrived.

    Args:
        source: a video file, or the index of a webcam (0, or "0").

    Raises:
        DataError: when it cannot be opened; while iterating, when a webcam stops or a file gives no image.
    """

    def __init__(self, source: Path | str | int) -> None:
        self._source = str(source)
        is_file = Path(self._source).is_file()
        self.live = self._source.isdecimal() and not is_file
        if not self.live and not is_file:
            raise DataError(
                f"expected a video file or a webcam index, found no file {source}: check the path"
            )
        self._capture: Any = _open(int(self._source) if self.live else self._source)
        self.size_wh = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        if not self.live and min(self.size_wh) < 1:  # OpenCV opens a text that is named .png
            raise DataError(f"expected a video or an image, {source} is none: check the file")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate if 0 < rate < 1000 else DEFAULT_RATE_HZ

    def __iter__(self) -> Iterator[RawImages]:
        count = 0
        while True:
            ok, image = self._capture.read()
            if not ok or image is None or image.size == 0:
                if self.live or count == 0:
                    raise DataError(
                        f"expected an image from {self._describe()}, got none after {count}: check that it "
                        "works and that no other program uses it"
                    )
                return
            stamp_ns = time.time_ns() if self.live else round(count * 1e9 / self.rate_hz)
            yield RawImages(stamp_ns, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None)
            count += 1

    def close(self) -> None:
        """Free the file or the camera."""
        self._capture.release()

    def _describe(self) -> str:
        return f"webcam {self._source}" if self.live else f"video {self._source}"


def _open(source: str | int) -> Any:
    try:
        capture = cv2.VideoCapture(source)
    except cv2.error as exc:
        raise DataError(f"expected OpenCV to open {source}, got: {exc}; try another file or camera") from exc
    if not capture.isOpened():
        kind = "webcam" if isinstance(source, int) else "video file"
        raise DataError(
            f"expected a {kind} that OpenCV can open, could not open {source}: check it and its codec"
        )
    return capture
