"""Damaged images are no images, and what the libraries say of them does not flood stderr."""

from __future__ import annotations

import os
import re
import struct
import threading
import zlib

import cv2
import numpy as np
import pytest

from recon3d_ros import files
from recon3d_ros.errors import ImageError
from recon3d_ros.files import decoding
from recon3d_ros.files.decoding import decode
from recon3d_ros.messages.compressed import decode_compressed

NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
PIXELS = cv2.resize(NOISE, (160, 120), interpolation=cv2.INTER_CUBIC)
JPEG = cv2.imencode(".jpg", PIXELS)[1].tobytes()


def _broken_jpeg() -> bytes:
    """A quarter of the pixels' bytes is missing: libjpeg goes on with a picture that is shifted.

    Not other bytes in their place: of processors that encode otherwise, some of these decode unnoticed.
    """
    at = JPEG.index(b"\xff\xda") + 200
    return JPEG[:at] + JPEG[at + 2000 :]


def _broken_png() -> bytes:
    """The compressed pixels are none, under a right checksum."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = bytearray(zlib.compress(bytes(NOISE.size + 12)))
    rows[5:9] = b"\xff\xff\xff\xff"
    header = struct.pack(">IIBBBBB", 16, 12, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bytes(rows)) + chunk(b"IEND", b"")


def _webcam_jpeg(padding: int) -> bytes:
    return JPEG[:-2] + bytes(padding) + JPEG[-2:]


BROKEN = {"jpeg": _broken_jpeg(), "png": _broken_png(), "jpeg with much behind": _webcam_jpeg(40)}


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_image_is_one_error_and_no_line(tmp_path, capfd, name):
    assert cv2.imdecode(np.frombuffer(JPEG, np.uint8), cv2.IMREAD_COLOR).shape == PIXELS.shape
    for _ in range(3):
        with pytest.raises(ImageError, match=r"expected a(ny)? .*(damaged|do not decode)"):
            decode_compressed(BROKEN[name], "jpeg or png")
    (tmp_path / "image").write_bytes(BROKEN[name])
    with pytest.raises(ImageError, match="expected a whole image"):
        files.read_image(tmp_path / "image")
    assert capfd.readouterr().err == ""


def test_what_webcams_leave_behind_the_pixels_is_told_once(foreign_stderr, warned, monkeypatch):
    monkeypatch.setattr(decoding, "_told", set())
    expected = decode_compressed(JPEG, "jpeg")
    for padding in (7, 12, 9, 1):  # libjpeg has read about six of them already
        np.testing.assert_array_equal(decode_compressed(_webcam_jpeg(padding), "jpeg"), expected)
    assert len(warned) == 1 and re.search(r"[1-8] extraneous bytes before marker 0xd9", warned[0])
    assert foreign_stderr() == []


def test_lines_of_other_threads_come_out(capfd, monkeypatch):
    data, said = np.frombuffer(_broken_jpeg(), np.uint8), []
    original = cv2.imdecode

    def imdecode(*args):
        thread = threading.Thread(target=os.write, args=(2, b"another thread\nCorrupt habits\n"))
        thread.start()
        thread.join()
        said.append(True)
        return original(*args)

    monkeypatch.setattr(cv2, "imdecode", imdecode)
    assert decode(data, cv2.IMREAD_COLOR).damage.startswith("Corrupt JPEG data")
    assert said and capfd.readouterr().err == "another thread\nCorrupt habits\n"


def test_threads_decode_their_own(capfd):
    """Each gets what was said of its own image."""
    good, bad = np.frombuffer(JPEG, np.uint8), np.frombuffer(_broken_jpeg(), np.uint8)
    wrong = []

    def work(encoded, damaged):
        for _ in range(50):
            if bool(decode(encoded, cv2.IMREAD_COLOR).damage) != damaged:
                wrong.append(damaged)

    threads = [threading.Thread(target=work, args=one) for one in [(good, False), (bad, True)] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and capfd.readouterr().err == ""


def test_a_closed_stderr_is_no_fault():
    kept = os.dup(2)
    try:
        os.close(2)
        assert decode(np.frombuffer(JPEG, np.uint8), cv2.IMREAD_COLOR).pixels is not None
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_descriptors_are_given_back():
    data = np.frombuffer(_broken_jpeg(), np.uint8)
    decode(data, cv2.IMREAD_COLOR)
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        decode(data, cv2.IMREAD_COLOR)
    assert os.listdir("/proc/self/fd") == before
