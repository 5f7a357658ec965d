from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros import files
from recon3d_ros.errors import DataError, ImageError, OutputError


@pytest.fixture
def rgb():
    """13 x 7, every pixel and channel different."""
    return np.arange(7 * 13 * 3, dtype=np.uint8).reshape(7, 13, 3)


def test_images_keep_their_colour_order(tmp_path, rgb):
    files.write_image(tmp_path / "a.png", rgb)
    assert np.array_equal(files.read_image(tmp_path / "a.png"), rgb)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png")), rgb[..., ::-1])
    files.write_image(tmp_path / "m.png", rgb[..., 1])
    assert np.array_equal(files.read_image(tmp_path / "m.png"), rgb[..., 1])


@pytest.mark.skipif(not hasattr(cv2, "imencodeanimation"), reason="OpenCV is older than 4.11")
@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_an_animation_has_its_images_in_order_and_repeats(tmp_path, suffix):
    colours = np.array([(200, 30, 20), (20, 180, 40), (10, 40, 220)], np.uint8)
    images = [np.full((24, 40, 3), colour, np.uint8) for colour in colours]
    files.write_animation(tmp_path / f"a{suffix}", images, image_ms=80)
    done, read = cv2.imreadanimation(str(tmp_path / f"a{suffix}"))
    assert done and read.loop_count == 0 and list(read.durations) == [80] * 3
    for frame, colour in zip(read.frames, colours):
        assert np.argmax(frame[12, 20, 2::-1]) == np.argmax(colour)  # GIF has few colours
    with pytest.raises(OutputError, match=r"\.webp or \.gif, got .*a\.txt"):
        files.write_animation(tmp_path / "a.txt", images, image_ms=80)


def test_alpha_and_16_bit_become_plain_uint8(tmp_path, rgb):
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([rgb[..., ::-1], np.full((7, 13), 9, np.uint8)]))
    assert np.array_equal(files.read_image(tmp_path / "a.png"), rgb)
    cv2.imwrite(str(tmp_path / "w.png"), rgb[..., 0].astype(np.uint16) * 256 + 255)
    assert np.array_equal(files.read_image(tmp_path / "w.png"), rgb[..., 0])


@pytest.mark.parametrize("white", [1, 15, 200, 255])
@pytest.mark.parametrize("kind", ["P5", "P6"])
def test_white_of_a_pnm_is_white(tmp_path, kind, white):
    size = (5, 7, 3) if kind == "P6" else (5, 7)
    levels = np.random.default_rng(white).integers(0, white + 1, size, np.uint8)
    levels[0, 0] = white
    path = tmp_path / "a.pnm"
    path.write_bytes(f"{kind}\n# by hand\n7 5\n{white}\n".encode() + levels.tobytes())
    np.testing.assert_array_equal(files.read_image(path), np.rint(levels * (255 / white)))


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_image_is_an_image_error(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.png"):
        files.read_image(tmp_path / "x.png")
    with pytest.raises(DataError, match="absent"):
        files.read_image(tmp_path / "absent.png")


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("seed", range(8))
def test_what_stands_behind_a_jpeg_does_not_count(tmp_path, seed, progressive):
    """Phones write the video of a motion photo there; its bytes may look like markers."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (31, 47, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    video = b"\0\0\0\x18ftypmp42" + rng.integers(0, 256, 4000, np.uint8).tobytes() + b"\xff\xda\xff"
    path = tmp_path / "MVIMG_1.jpg"
    path.write_bytes(jpeg + video)
    assert files.read_image(path).shape == pixels.shape
    path.write_bytes(jpeg[: len(jpeg) // 2] + b"\0" * 99)
    with pytest.raises(ImageError):
        files.read_image(path)


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_that_is_cut_off_is_no_image(tmp_path, progressive):
    """Some versions of OpenCV would fill it with grey; what cameras append behind the end does no harm."""
    noise = cv2.resize(np.random.default_rng(0).integers(0, 255, (9, 11, 3), np.uint8), (131, 97))
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    whole = cv2.imencode(".jpg", noise, flags)[1].tobytes()
    path = tmp_path / "a.jpg"
    for kept in (2, len(whole) // 2, len(whole) - 60, len(whole) - 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(ImageError, match=r"whole.*a\.jpg"):
            files.read_image(path)
    for behind in (b"", bytes(64), b"made by a phone"):
        path.write_bytes(whole + behind)
        assert files.read_image(path).shape == (97, 131, 3)


def test_depth_png_is_millimetres(tmp_path):
    depth = np.array([[1.2344, np.nan, np.inf], [65.535, 70.0, -1.0]], np.float32)
    files.write_depth_png16(tmp_path / "d.png", depth)
    read = cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint16
    assert read.tolist() == [[1234, 0, 0], [65535, 65535, 0]]


def test_pfm_round_trip_and_what_opencv_reads(tmp_path):
    plane = np.linspace(-3, 900, 5 * 8, dtype=np.float32).reshape(5, 8)
    plane[1, 2], plane[3, 4] = np.nan, np.inf
    files.write_pfm(tmp_path / "d.pfm", plane)
    assert np.array_equal(files.read_pfm(tmp_path / "d.pfm"), plane, equal_nan=True)
    other = cv2.imread(str(tmp_path / "d.pfm"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(other, plane, equal_nan=True)


def test_pfm_of_others_big_endian_and_colour(tmp_path):
    pixels = np.arange(2 * 3 * 3, dtype=">f4").reshape(2, 3, 3)
    (tmp_path / "c.pfm").write_bytes(b"PF\n3 2\n1.0\n" + pixels[::-1].tobytes())
    read = files.read_pfm(tmp_path / "c.pfm")
    assert read.dtype == np.float32
    assert np.array_equal(read, pixels)


@pytest.mark.parametrize("content", [b"", b"P6\n1 1\n255\n...", b"Pf\n4 4\n-1.0\nshort"])
def test_broken_pfm_is_a_data_error(tmp_path, content):
    (tmp_path / "x.pfm").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.pfm"):
        files.read_pfm(tmp_path / "x.pfm")


def test_colours_of_depth_go_from_red_to_blue():
    depth = np.array([[0.5, 1.0, 20.0, 50.0, np.inf, np.nan, 0.0]], np.float32)
    near, first, last, beyond, sky, unknown, zero = files.colour_depth(depth, 1.0, 20.0)[0].astype(int)
    assert first[0] > 100 > first[2]
    assert last[2] > last[0]
    assert near.tolist() == first.tolist()
    assert beyond.tolist() == sky.tolist() == last.tolist()
    assert unknown.tolist() == zero.tolist() == [0, 0, 0]


def test_relative_inverse_depth_of_any_sign_has_colours():
    values = np.array([[9, 4, 0, -4, -9, np.nan]], np.float32)
    beyond, near, middle, far, below, unknown = files.colour_inverse_depth(values, -4.0, 4.0)[0].astype(int)
    assert near[0] > 100 > near[2] and far[2] > far[0] and middle[1] > 200
    assert beyond.tolist() == near.tolist() and below.tolist() == far.tolist()
    assert unknown.tolist() == [0, 0, 0]
