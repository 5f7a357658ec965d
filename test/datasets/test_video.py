"""Video files and webcams."""

from __future__ import annotations

import os
import re
from itertools import islice

import cv2
import numpy as np
import pytest

from recon3d_ros.datasets import VideoImages, video
from recon3d_ros.errors import DataError

WIDTH, HEIGHT = 64, 48


@pytest.fixture
def clip(tmp_path):
    """Five frames that grow redder, at 20 Hz."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for i in range(5):
        writer.write(np.full((HEIGHT, WIDTH, 3), (0, 0, 40 + 40 * i), np.uint8))
    writer.release()
    return path


def test_a_file_gives_its_frames_in_rgb_with_stamps_of_its_rate(clip):
    images = VideoImages(clip)
    assert (images.size_wh, images.rate_hz, images.live) == ((WIDTH, HEIGHT), 20.0, False)
    frames = list(images)
    images.close()
    assert [raw.stamp_ns for raw in frames] == [0, 50_000_000, 100_000_000, 150_000_000, 200_000_000]
    for i, raw in enumerate(frames):
        red, _, blue = raw.left[5, 5].astype(int)
        assert abs(red - (40 + 40 * i)) < 12 and blue < 20


def test_no_file_no_video_no_webcam_are_one_error_each(tmp_path):
    with pytest.raises(DataError, match="found no file"):
        VideoImages(tmp_path / "none.mp4")
    (tmp_path / "bytes.mp4").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="could not open"):
        list(VideoImages(tmp_path / "bytes.mp4"))
    with pytest.raises(DataError, match="webcam"):
        list(VideoImages(987))


class _DyingCamera:
    """Stands in for a webcam that is unplugged after two images."""

    def __init__(self, source):
        self.left = 2

    def isOpened(self):
        return True

    def get(self, key):
        return {cv2.CAP_PROP_FRAME_WIDTH: WIDTH, cv2.CAP_PROP_FRAME_HEIGHT: HEIGHT}.get(key, 0.0)

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return True, np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def release(self):
        pass


def test_a_webcam_that_dies_is_an_error_and_not_an_end(monkeypatch):
    monkeypatch.setattr(video.cv2, "VideoCapture", _DyingCamera)
    images = VideoImages("0")
    assert images.live and images.rate_hz == video.DEFAULT_RATE_HZ
    seen = []
    with pytest.raises(DataError, match="got none after 2"):
        seen.extend(raw.stamp_ns for raw in images)
    stamps = [raw.stamp_ns for raw in islice(VideoImages("0"), 2)]
    assert stamps[0] > 1_600_000_000_000_000_000 and stamps[1] >= stamps[0]


def test_a_webcam_by_its_device_or_a_link_to_it(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        video.cv2, "VideoCapture", lambda source: opened.append(source) or _DyingCamera(source)
    )
    (tmp_path / "usb-camera-index0").symlink_to("/dev/video12")
    for source in ("/dev/video3", tmp_path / "usb-camera-index0"):
        images = VideoImages(source)
        assert images.live and len([*islice(images, 2)]) == 2
    assert opened == [3, 12]
    with pytest.raises(DataError, match="found no file /dev/null"):
        VideoImages("/dev/null")


def test_a_text_in_the_clothes_of_an_image_is_no_video(tmp_path):
    """OpenCV opens it, as a video of 0x0."""
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    with pytest.raises(DataError, match=r"text\.png"):
        VideoImages(tmp_path / "text.png")


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile {}\n",
        "#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "v=0\r\nm=video 5004 RTP/AVP 96\r\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.avi"])
def test_a_playlist_is_not_followed(clip, tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.format(clip.name).encode())
    with pytest.raises(DataError, match="is text: playlists are not followed"):
        VideoImages(path)


def test_a_video_format_that_begins_with_words_is_read(tmp_path):
    path = tmp_path / "plain.y4m"
    plane = bytes([90]) * (16 * 8 * 3 // 2)
    path.write_bytes(b"YUV4MPEG2 W16 H8 F25:1 Ip A1:1 C420\n" + (b"FRAME\n" + plane) * 3)
    video = VideoImages(path)
    images = list(video)
    video.close()
    assert [image.left.shape for image in images] == [(8, 16, 3)] * 3


def test_a_video_that_is_cut_off_says_how_many_images_are_missing(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (WIDTH, HEIGHT))
    for i in range(40):
        writer.write(np.random.default_rng(i).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    writer.release()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    frames = []
    with pytest.raises(video.UnreadFramesError, match=r"expected 40 images .* damaged or cut off") as caught:
        frames.extend(VideoImages(path))  # keeps what came before the error
    assert 5 < len(frames) < 25 and len(frames) + caught.value.frames == 40


def test_a_video_with_damaged_images_is_told_of_once(clip, warned, foreign_stderr):
    assert len(list(VideoImages(clip))) == 5 and not warned
    data = bytearray(clip.read_bytes())
    for at in (data.index(b"\xff\xda"), data.rindex(b"\xff\xda")):
        data[at + 14 : at + 40] = b"\xa5" * 26
    clip.write_bytes(data)
    list(VideoImages(clip))
    assert len(warned) == 1 and re.search(r"clip\.avi gives damaged images .*may be wrong", warned[0])
    assert foreign_stderr() == []


def test_damaged_images_of_a_webcam_are_left_out(monkeypatch, warned, foreign_stderr):
    class Camera(_DyingCamera):
        def retrieve(self):
            if self.left == 1:
                os.write(2, b"Corrupt JPEG data: premature end of data segment\n")
            else:
                os.write(2, b"Corrupt JPEG data: 3 extraneous bytes before marker 0xd5\n")
            return super().retrieve()

    monkeypatch.setattr(video.cv2, "VideoCapture", Camera)
    images = iter(VideoImages("0"))
    assert next(images).left.shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(DataError, match="got none after 1"):
        next(images)
    assert len(warned) == 1 and "left out" in warned[0]
    assert foreign_stderr() == []


def test_a_video_that_claims_gigabytes_is_refused(clip, monkeypatch):
    monkeypatch.setattr(video, "MAX_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(DataError, match=f"at most {WIDTH * HEIGHT - 1} pixels, .* says {WIDTH}x{HEIGHT}"):
        VideoImages(clip)


def test_links_in_a_circle_are_no_video(tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(DataError, match="found no file"):
        VideoImages(tmp_path / "circle")
