"""Video files and webcams."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from recon3d_ros.datasets.folders import RawImages
from recon3d_ros.errors import DataError
from recon3d_ros.files.decoding import damage_of, remarks_kept
from recon3d_ros.files.disk import open_regular
from recon3d_ros.files.encoded import MAX_PIXELS

_log = logging.getLogger(__name__)
DEFAULT_RATE_HZ = 30.0  # for files whose header states no rate
_TEXT_BYTES = 256  # of the beginning of a file, by which a text is known


class UnreadFramesError(DataError):
    """A video ended before its last image; `frames` are missing."""

    def __init__(self, message: str, frames: int = 1) -> None:
        super().__init__(message)
        self.frames = frames


class VideoImages:
    """The raw images of a video file or a webcam, (H, W, 3) uint8 RGB, once through.

    Stamps count from 0 by the file's own rate; a webcam's are the wall clock when the image arrived.

    Args:
        source: a video file, the index of a webcam (0, or "0"), or its device (/dev/video0, or a link to it).

    Raises:
        DataError: when it cannot be opened; while iterating, when a webcam stops, or when a file gives no
            image or clearly fewer than its header claims.
    """

    def __init__(self, source: Path | str | int) -> None:
        self._source = str(source)
        webcam = webcam_index(self._source)
        self.live = webcam is not None
        if webcam is None and not Path(self._source).is_file():
            raise DataError(
                f"expected a video file, a webcam index or its device, found no file {source}: check the path"
            )
        if webcam is None:
            _refuse_text(Path(self._source))
        self._capture: Any = _open(self._source if webcam is None else webcam)
        self.size_wh = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        if not self.live and min(self.size_wh) < 1:  # OpenCV opens a text that is named .png
            raise DataError(f"expected a video or an image, {source} is none: check the file")
        if not self.live and self.size_wh[0] * self.size_wh[1] > MAX_PIXELS:
            raise DataError(
                f"expected a video of at most {MAX_PIXELS} pixels, {source} says "
                f"{self.size_wh[0]}x{self.size_wh[1]}: check the file, or make it smaller"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate if 0 < rate < 1000 else DEFAULT_RATE_HZ
        self._told = False

    def __iter__(self) -> Iterator[RawImages]:
        count = 0
        while True:
            ok, image = self._read()
            if not ok or image is None or image.size == 0:
                if self.live or count == 0:
                    raise DataError(
                        f"expected an image from {self._describe()}, got none after {count}: check that it "
                        "works and that no other program uses it"
                    )
                self._require_all(count)
                return
            stamp_ns = time.time_ns() if self.live else round(count * 1e9 / self.rate_hz)
            yield RawImages(stamp_ns, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None)
            count += 1

    def _read(self) -> tuple[bool, Any]:
        """The next image. Damage is told once; a webcam's damaged images are left out.

        Images of a file build on those before, so that no one knows which ones are wrong.
        """
        while True:
            said: list[str] = []
            if self.live and not self._capture.grab():  # waits for the camera
                return False, None
            with remarks_kept(said):
                ok, image = self._capture.retrieve() if self.live else self._capture.read()
            damage = damage_of(said)
            if damage and not self._told:
                what = (
                    "they are left out, check its cable" if self.live else "images from here on may be wrong"
                )
                _log.warning("%s gives damaged images (%s): %s", self._describe(), damage, what)
                self._told = True
            if not (damage and self.live):
                return ok, image

    def _require_all(self, count: int) -> None:
        """Raise when the header of a file claims clearly more images than came: some only estimate them."""
        claimed = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        missing = round(claimed) - count if 0 < claimed < 1e12 else 0
        if missing > max(2, count // 50):
            raise UnreadFramesError(
                f"expected {claimed:.0f} images of {self._describe()}, got {count}: it is damaged or cut "
                "off, copy it again",
                missing,
            )

    def close(self) -> None:
        """Free the file or the camera."""
        self._capture.release()

    def _describe(self) -> str:
        return f"webcam {self._source}" if self.live else f"video {self._source}"


def webcam_index(source: str) -> int | None:
    """The number of a webcam that is named by it or by its device, also a link of udev; None for others.

    OpenCV would try to read a device as a video file first.
    """
    path = Path(source)
    if source.isdecimal() and not path.is_file():
        return int(source)
    device = re.fullmatch(r"/dev/video(\d+)", os.path.realpath(path))
    return int(device[1]) if device else None


def _refuse_text(path: Path) -> None:
    """Refuse a playlist, which FFmpeg would follow to any other file or host that it names."""
    try:
        with open_regular(path) as file:
            start = file.read(_TEXT_BYTES)
    except OSError as exc:
        raise DataError(f"expected a video file, could not read {path}: {exc}; check it") from exc
    is_text = start.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in start)
    if is_text and start and not start.startswith(b"YUV4MPEG2"):  # a video format that begins with words
        raise DataError(
            f"expected a video file, {path} is text: playlists are not followed, give the video itself"
        )


def _open(source: str | int) -> Any:
    try:
        with remarks_kept([]):  # what is wrong is said below
            capture = cv2.VideoCapture(source)
    except cv2.error as exc:
        raise DataError(f"expected OpenCV to open {source}, got: {exc}; try another file or camera") from exc
    if not capture.isOpened():
        kind = "webcam" if isinstance(source, int) else "video file"
        raise DataError(
            f"expected a {kind} that OpenCV can open, could not open {source}: check it and its codec"
        )
    return capture
