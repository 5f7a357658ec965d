"""Folders of somebody's own images."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
import yaml

from recon3d_ros.datasets import folder_frames, folder_images, open_dataset
from recon3d_ros.datasets.folders import stamps_of
from recon3d_ros.errors import CalibrationError, DataError, ImageError, Recon3dError
from recon3d_ros.geometry import PinholeCamera, Rectifier, StereoRig, upright

WIDTH, HEIGHT = 31, 18
RAW_CAMERA = PinholeCamera(
    WIDTH,
    HEIGHT,
    np.array([[30.0, 0, 15], [0, 30.0, 9], [0, 0, 1]]),
    np.array([-0.3, 0.1, 0.0, 0.0, 0.0]),
    "plumb_bob",
)


def _write(path, grey_or_bgr):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.broadcast_to(
        np.uint8(grey_or_bgr), (HEIGHT, WIDTH, 3) if np.ndim(grey_or_bgr) else (HEIGHT, WIDTH)
    )
    assert cv2.imwrite(str(path), image)


def test_images_come_in_natural_order_with_stamps_by_rate(tmp_path):
    for number in (10, 9, 100):
        _write(tmp_path / f"frame{number}.png", number)
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    images = folder_images(tmp_path, rate_hz=4.0)
    assert [raw.left[0, 0] for raw in images] == [9, 10, 100]
    assert [raw.stamp_ns for raw in images] == [0, 250_000_000, 500_000_000]
    assert images[0].right is None and images[0].left.shape == (HEIGHT, WIDTH)


def test_names_of_nanoseconds_are_the_stamps(tmp_path):
    for stamp in (1403715273262142976, 1403715273312143104):
        _write(tmp_path / f"{stamp}.png", 5)
    assert [raw.stamp_ns for raw in folder_images(tmp_path)] == [1403715273262142976, 1403715273312143104]


def test_a_pair_is_joined_by_name_whatever_the_suffix(tmp_path):
    _write(tmp_path / "left/a.png", (0, 0, 200))  # red, as OpenCV writes BGR
    _write(tmp_path / "right/a.bmp", (200, 0, 0))
    (raw,) = folder_images(tmp_path)
    assert raw.left[0, 0].tolist() == [200, 0, 0]
    assert raw.right[0, 0].tolist() == [0, 0, 200]


def test_an_image_without_partner_is_named(tmp_path):
    for path in ("left/a.png", "left/b.png", "right/a.png"):
        _write(tmp_path / path, 1)
    with pytest.raises(DataError, match="first b"):
        folder_images(tmp_path)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("left.png",), ("right.png",)),
        (("left_0001.png", "left_0002.png"), ("right_0001.png", "right_0002.png")),
        (("0001-LEFT.jpg", "0002-LEFT.jpg"), ("0001-RIGHT.jpg", "0002-RIGHT.jpg")),
        (("Left1.bmp",), ("Right1.bmp",)),
        (("im0.png",), ("im1.png",)),
        (("image_0.png",), ("image_1.png",)),
        (("image_0/7.png", "image_0/8.png"), ("image_1/7.png", "image_1/8.png")),
        (("image_2/7.png",), ("image_3/7.png",)),
        (("image_00/7.png",), ("image_01/7.png",)),
    ],
)
def test_a_pair_is_known_by_its_names(tmp_path, left, right):
    for names, value in ((left, 50), (right, 150)):
        for name in names:
            _write(tmp_path / name, value)
    images = folder_images(tmp_path)
    assert [(int(raw.left.mean()), int(raw.right.mean())) for raw in images] == [(50, 150)] * len(left)


@pytest.mark.parametrize(
    "names", [("left_1", "left_2"), ("im0", "im1", "im2"), ("cleft", "cright"), ("a", "b")]
)
def test_images_of_one_camera_are_no_pair(tmp_path, names):
    for name in names:
        _write(tmp_path / f"{name}.png", 1)
    assert [raw.right for raw in folder_images(tmp_path)] == [None] * len(names)


def test_an_image_beside_pairs_is_named(tmp_path):
    for name in ("left_1", "right_1", "left_2", "mask"):
        _write(tmp_path / f"{name}.png", 1)
    with pytest.raises(DataError, match="2 beside the pairs have no partner, first left_2"):
        folder_images(tmp_path)


def test_hidden_files_and_folders_are_no_images(tmp_path):
    for side in ("left", "right"):
        _write(tmp_path / side / "000.png", 1)
        (tmp_path / side / "._000.png").write_bytes(b"\0\5\x16\7Mac OS X")
        (tmp_path / side / "thumbnails.png").mkdir()
    assert len(folder_images(tmp_path)) == 1


def test_two_images_of_one_name_are_refused(tmp_path):
    """Their results would overwrite each other, and a pair would be joined by chance."""
    for path in ("a.png", "a.bmp", "left/b.png", "left/b.bmp", "right/b.png"):
        _write(tmp_path / path, 1)
    with pytest.raises(DataError, match="several of b"):
        folder_images(tmp_path)
    with pytest.raises(DataError, match="several of a"):
        (tmp_path / "right").rename(tmp_path / "other")
        folder_images(tmp_path)


def test_the_camera_is_read_from_the_folder(tmp_path):
    _write(tmp_path / "0.png", 77)
    camera = PinholeCamera.simple(WIDTH, HEIGHT, 40.0, cx=14.0)
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(camera.to_dict()), encoding="utf-8")
    (frame,) = folder_frames(tmp_path)
    assert (frame.camera.fx, frame.camera.cx, frame.name) == (40.0, 14.0, "0")
    (sample,) = open_dataset(tmp_path)
    assert sample.depth is None and sample.name == "0"
    np.testing.assert_array_equal(sample.frame.image, frame.image)


def test_raw_images_are_rectified(tmp_path):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (5, 8), np.uint8), (WIDTH, HEIGHT))
    cv2.imwrite(str(tmp_path / "a.png"), image)
    (frame,) = folder_frames(tmp_path, RAW_CAMERA)
    assert frame.camera.rectified
    np.testing.assert_array_equal(frame.image, Rectifier(RAW_CAMERA).rectify(image))
    assert not np.array_equal(frame.image, image)


def test_pairs_need_a_rig_and_single_images_one_camera(tmp_path):
    rig = StereoRig.simple(WIDTH, HEIGHT, 30.0, 0.1)
    _write(tmp_path / "pair/left/a.png", 1)
    _write(tmp_path / "pair/right/a.png", 2)
    _write(tmp_path / "single/a.png", 3)
    (frame,) = folder_frames(tmp_path / "pair", rig)
    assert frame.is_stereo and frame.right[0, 0] == 2 and frame.rig.baseline_m == pytest.approx(0.1)
    with pytest.raises(DataError, match="matching camera"):
        folder_frames(tmp_path / "pair", rig.left)
    with pytest.raises(DataError, match="matching camera"):
        folder_frames(tmp_path / "single", rig)


def test_what_is_missing_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="found none"):
        folder_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected images"):
        folder_images(tmp_path)
    _write(tmp_path / "a.png", 1)
    with pytest.raises(DataError, match=r"camera\.yaml"):
        folder_frames(tmp_path)
    with pytest.raises(DataError, match="rate above 0"):
        folder_images(tmp_path, rate_hz=0.0)


def test_bad_images_raise_when_they_are_read(tmp_path):
    _write(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_bytes(b"no png")
    frames = folder_frames(tmp_path, PinholeCamera.simple(WIDTH, HEIGHT, 40.0))
    assert frames[0].name == "a"
    with pytest.raises(Recon3dError):
        frames[1]
    with pytest.raises((CalibrationError, ImageError)):
        folder_frames(tmp_path, PinholeCamera.simple(WIDTH, HEIGHT + 1, 40.0))[0]


def sideways(path, image, orientation):
    """Write a JPEG that is to be shown turned."""
    body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", 0x0112, 3, 1, orientation, 0, 0)
    encoded = cv2.imencode(".jpg", image)[1].tobytes()
    path.write_bytes(encoded[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + encoded[2:])


def test_a_photograph_is_turned_upright_with_its_calibration(tmp_path):
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[: HEIGHT // 2] = 255
    for name, orientation in (("a", 6), ("b", 3), ("c", 1)):
        sideways(tmp_path / f"{name}.jpg", image, orientation)
    stored = PinholeCamera.simple(WIDTH, HEIGHT, 30.0, 11.0, 9.0, 33.0)
    frames = folder_frames(tmp_path, stored)
    assert [frame.image.shape[:2] for frame in frames] == [(WIDTH, HEIGHT), (HEIGHT, WIDTH), (HEIGHT, WIDTH)]
    assert [(frame.camera.fx, frame.camera.cx, frame.camera.cy) for frame in frames] == [
        (33.0, HEIGHT - 1 - 9.0, 11.0),
        (30.0, WIDTH - 1 - 11.0, HEIGHT - 1 - 9.0),
        (30.0, 11.0, 9.0),
    ]
    assert frames[0].image[:, -1].min() > 200 > 50 > frames[0].image[:, 0].max()
    assert frames[1].image[-1].min() > 200


def test_a_calibration_of_the_upright_size_is_of_the_upright_image(tmp_path):
    sideways(tmp_path / "a.jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8), 8)
    camera = PinholeCamera.simple(HEIGHT, WIDTH, 30.0, 7.0, 12.0)
    (frame,) = folder_frames(tmp_path, camera)
    assert frame.image.shape[:2] == (WIDTH, HEIGHT) and frame.camera == camera


RIG = StereoRig.simple(WIDTH, HEIGHT, 30.0, 0.1)


def _pair_shown_as(folder, shown, orientation):
    """Write both images of a pair with an EXIF orientation; both have the same marks when they are shown."""
    stored = next(
        image
        for image in (upright(shown, back) for back in range(1, 9))
        if np.array_equal(upright(image, orientation), shown)
    )
    for side in ("left", "right"):
        sideways(folder / f"{side}.jpg", stored, orientation)
    return stored


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pair_is_turned_to_the_rig_of_its_shown_images(tmp_path, orientation):
    shown = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    shown[: HEIGHT // 2, : WIDTH // 2] = 255
    _pair_shown_as(tmp_path, shown, orientation)
    (frame,) = folder_frames(tmp_path, RIG, as_shown=True)
    for image in (frame.image, frame.right):
        assert np.abs(image.astype(int) - shown).mean() < 20
    assert frame.rig == RIG


def test_the_rig_of_the_stored_pixels_leaves_a_pair_as_it_is(tmp_path):
    shown = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    shown[: HEIGHT // 2] = 255
    stored = _pair_shown_as(tmp_path, shown, 3)
    (frame,) = folder_frames(tmp_path, RIG)
    assert np.abs(frame.right.astype(int) - stored).mean() < 20 and frame.rig == RIG
    _pair_shown_as(tmp_path, shown, 6)
    (frame,) = folder_frames(tmp_path, RIG)  # which has the size of the shown images alone
    assert np.abs(frame.image.astype(int) - shown).mean() < 20


def test_the_images_of_a_pair_have_one_orientation(tmp_path):
    _pair_shown_as(tmp_path, np.zeros((HEIGHT, WIDTH, 3), np.uint8), 3)
    sideways(tmp_path / "right.jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8), 1)
    with pytest.raises(ImageError, match=r"one EXIF orientation of both .*, got 3 in .*left"):
        folder_images(tmp_path)[0]


def test_a_layout_is_that_of_the_shown_image(tmp_path):
    both = np.zeros((HEIGHT, 2 * WIDTH, 3), np.uint8)
    both[:, WIDTH:] = 255
    sideways(tmp_path / "a.jpg", cv2.rotate(both, cv2.ROTATE_90_COUNTERCLOCKWISE), 6)
    (raw,) = folder_images(tmp_path, layout="side_by_side")
    assert raw.left.shape == raw.right.shape == (HEIGHT, WIDTH, 3) and raw.orientation == 1
    assert raw.left.mean() < 10 and raw.right.mean() > 245


def test_grey_of_ten_bits_is_not_dark(tmp_path):
    grey = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        assert cv2.imwrite(str(tmp_path / side / "a.png"), grey.astype(np.uint16) << 2)
    (raw,) = folder_images(tmp_path)
    assert np.abs(raw.left.astype(int) - grey).max() <= 1
    np.testing.assert_array_equal(raw.left, raw.right)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["1403636579763555584", "1403636579813555456"], [1403636579763555584, 1403636579813555456]),
        (["1403636579763555", "1403636579813555"], [1403636579763555000, 1403636579813555000]),
        (["0000000012345678901"], [12345678901]),  # as ~/save writes a stamp of simulated time
        (["000000000012345"], [0]),  # a frame number
    ],
)
def test_names_are_stamps_in_nanoseconds_or_microseconds(names, expected):
    assert stamps_of(names, 10.0) == expected
