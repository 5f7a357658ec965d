"""Messages that no driver should send: the node lives, its memory is bounded, good frames come out right.

RECON3D_FUZZ messages go to each of three nodes, a few hundred unless it says more.
"""

from __future__ import annotations

import math
import os
import struct
import time
import zlib
from array import array

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from recon3d_ros.errors import Recon3dError
from recon3d_ros.messages.camera_info import CalibrationCache
from recon3d_ros.ros.bench.soak import process_sample
from recon3d_ros.ros.bridge.conversions import camera_to_info, compressed_to_msg, image_to_msg, msg_to_image

MESSAGES = int(os.environ.get("RECON3D_FUZZ", "300"))
BATCH = 5
GROWTH_MB = 150  # buffers for the largest thing that is let through; a bomb is gigabytes

u32 = st.one_of(st.sampled_from([0, 1, 2, 47, 48, 63, 64, 65, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))
small = st.integers(0, 70)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
real = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 50.0, -50.0, 1e308, 5e-324, math.nan, math.inf, -math.inf]), st.floats()
)
encodings = st.one_of(
    st.sampled_from("rgb8 bgr8 rgba8 mono8 mono16 yuv422 yuyv bayer_rggb8 bayer_grbg16 32FC1 8UC1".split()),
    st.sampled_from(["", "nv21", "8UC0", "64FC999999999", "rgb16", "16UC3"]),
    text,
)


@st.composite
def images(draw):
    msg = Image(encoding=draw(encodings), is_bigendian=draw(st.integers(0, 255)))
    size = small if draw(st.booleans()) else u32
    msg.height, msg.width, msg.step = draw(size), draw(size), draw(st.one_of(small, u32))
    if draw(st.booleans()):  # a length that nearly fits
        length = min(msg.height * msg.step, 40_000) + draw(st.integers(-3, 3))
        msg.data = array("B", bytes(max(length, 0)))
    else:
        msg.data = array("B", draw(st.binary(max_size=2000)))
    return msg


def png_bomb(side: int) -> bytes:
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", BLACK) + chunk(b"IEND", b"")


BLACK = zlib.compress(bytes(4_000_000))
GOOD_FILES = [
    cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
    for suffix in (".png", ".jpg", ".bmp", ".tiff")
]


@st.composite
def compressed(draw):
    kind = draw(st.sampled_from(["noise", "changed", "cut", "bomb"]))
    data = bytearray(draw(st.sampled_from(GOOD_FILES)))
    if kind == "noise":
        data = bytearray(draw(st.binary(max_size=500)))
    elif kind == "bomb":
        data = bytearray(png_bomb(draw(st.sampled_from([20_000, 65_535, 2**31 - 1]))))
    elif kind == "cut":
        del data[draw(st.integers(0, len(data))) :]
    else:
        for at, value in draw(
            st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=9)
        ):
            data[at] = value
    return CompressedImage(format=draw(text), data=array("B", bytes(data)))


@st.composite
def infos(draw):
    msg = CameraInfo(width=draw(st.one_of(st.just(64), u32)), height=draw(st.one_of(st.just(48), u32)))
    msg.distortion_model = draw(st.one_of(st.sampled_from(["plumb_bob", "equidistant", "none"]), text))
    msg.d = draw(st.lists(real, max_size=14))
    good = [50.0, 0.0, 30.0, 0.0, 50.0, 25.0, 0.0, 0.0, 1.0]
    for name, start in (("k", good), ("r", np.eye(3).ravel().tolist())):
        setattr(msg, name, _changed(draw, start))
    msg.p = _changed(draw, [*good[:3], 0.0, *good[3:6], 0.0, *good[6:], 0.0])
    msg.binning_x, msg.binning_y = draw(u32), draw(st.sampled_from([0, 1, 2]))
    roi = msg.roi
    roi.x_offset, roi.y_offset, roi.width, roi.height = (draw(st.one_of(small, u32)) for _ in range(4))
    return msg


def _changed(draw, values):
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(values) - 1), real), max_size=3)):
        values[at] = value
    return values


@settings(max_examples=3 * settings.default.max_examples)
@given(msg=st.one_of(images(), compressed()))
def test_an_image_is_pixels_or_one_error(msg):
    try:
        pixels = msg_to_image(msg)
    except Recon3dError:
        return
    assert pixels.dtype == np.uint8 and pixels.size > 0
    assert pixels.ndim == 2 or pixels.shape[2] == 3


@settings(max_examples=2 * settings.default.max_examples)
@given(left=infos(), right=infos(), rectify=st.booleans(), pair=st.booleans())
def test_a_calibration_makes_a_frame_or_one_error(left, right, rectify, pair):
    topics = ("left", "right") if pair else ("left",)
    cache = CalibrationCache(topics, rectify)
    for topic, info in zip(topics, (left, right)):
        cache.update(topic, info)
    picture = np.zeros((48, 64, 3), np.uint8)
    try:
        frame = cache.at(0).frame(0, picture, picture if pair else None)
    except Recon3dError:
        return
    assert frame.image.shape == (48, 64, 3) and np.isfinite(frame.camera.p).all()


NODES = {
    "stereo": {},
    "raw_mono": {"mode": "mono", "model": "fake_mono", "rectify": "true"},
    "compressed_mono": {"mode": "mono", "model": "fake_mono", "image_transport": "compressed"},
}


@pytest.mark.timeout(120 + MESSAGES / 10)
@pytest.mark.parametrize("kind", NODES)
def test_a_node_lives_through_them_and_the_good_frame_in_between_is_right(kind, make_robot, scene):
    robot = make_robot(**NODES[kind])
    good, fuzz = _good_and_fuzz(kind, scene)
    robot.expect_cloud(*good, "before the fuzz")
    before_mb = process_sample(robot.node.pid, 0)["rss_mb"]
    sent = [0]

    @settings(
        max_examples=max(1, MESSAGES // BATCH),
        phases=[Phase.generate],  # a node that died cannot be asked again with less
        suppress_health_check=list(HealthCheck),
    )
    @given(batch=st.lists(fuzz, min_size=BATCH, max_size=BATCH))
    def send_all(batch):
        for messages in batch:
            robot.send(messages, {})
            time.sleep(0.003)
        sent[0] += len(batch)
        if sent[0] % (10 * BATCH) == 0:
            robot.expect_cloud(*good, f"after {sent[0]} messages")

    send_all()
    robot.expect_cloud(*good, "after the fuzz")
    time.sleep(1.2)  # one period of diagnostics
    values = robot.status()[2]
    dropped = {key: int(value) for key, value in values.items() if key.startswith("dropped_")}
    assert dropped["dropped_internal"] == 0, robot.said()[-3000:]
    assert dropped["dropped_image"] + dropped["dropped_camera_info"] > 0
    assert process_sample(robot.node.pid, 0)["rss_mb"] < before_mb + GROWTH_MB
    assert "Traceback" not in robot.said()


def _good_and_fuzz(kind, scene):
    """(images, infos, picture) that are right, and a strategy of messages by topic."""
    picture = scene.picture(0)
    if kind == "stereo":
        good = scene.images(), scene.infos(), picture
        sides = [st.fixed_dictionaries({f"{s}/image_rect": images() for s in ("left", "right")})]
        sides += [st.fixed_dictionaries({f"{s}/camera_info": infos()}) for s in ("left", "right")]
        # A good pair under whatever calibration came last, and one good image beside a bad one.
        sides += [st.just(scene.images())]
        sides += [images().map(lambda bad: scene.images() | {"right/image_rect": bad})]
        return good, st.one_of(sides)
    info = {"camera_info": camera_to_info(scene.camera, 0, "optical")}
    if kind == "raw_mono":
        shown = {"image_raw": image_to_msg(picture, 0, "optical", "bgr8")}
        fuzz = st.fixed_dictionaries({"image_raw": images()})
    else:
        shown = {"image/compressed": compressed_to_msg(picture, 0, "optical", "png")}
        fuzz = st.fixed_dictionaries({"image/compressed": compressed()})
    return (shown, info, picture), st.one_of(
        fuzz, st.fixed_dictionaries({"camera_info": infos()}), st.just(shown)
    )
