from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from recon3d_ros import files
from recon3d_ros.errors import CalibrationError, DataError, ImageError, OutputError
from recon3d_ros.geometry import OrganizedCloud, PinholeCamera, PointPacker, StereoRig


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


def test_alpha_and_16_bit_become_plain_uint8(tmp_path, rgb):
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([rgb[..., ::-1], np.full((7, 13), 9, np.uint8)]))
    assert np.array_equal(files.read_image(tmp_path / "a.png"), rgb)
    cv2.imwrite(str(tmp_path / "w.png"), rgb[..., 0].astype(np.uint16) * 256 + 255)
    assert np.array_equal(files.read_image(tmp_path / "w.png"), rgb[..., 0])


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_image_is_an_image_error(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.png"):
        files.read_image(tmp_path / "x.png")
    with pytest.raises(DataError, match="absent"):
        files.read_image(tmp_path / "absent.png")


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


def test_ply_holds_the_valid_points_with_their_colours(tmp_path, rgb):
    depth = np.full((7, 13), 2.0, np.float32)
    depth[2, 3], depth[4, 5] = np.nan, np.inf
    cloud = PointPacker(PinholeCamera.simple(13, 7, 10.0)).pack(depth, rgb)
    files.write_ply(tmp_path / "c.ply", cloud)
    xyz, colours = files.read_ply_points(tmp_path / "c.ply")
    assert len(xyz) == 7 * 13 - 2
    assert np.array_equal(xyz, cloud.xyz[cloud.valid])
    assert np.array_equal(colours, rgb[cloud.valid])


def test_ply_is_read_by_others(tmp_path, rgb):
    open3d = pytest.importorskip("open3d")
    cloud = PointPacker(PinholeCamera.simple(13, 7, 10.0)).pack(np.full((7, 13), 3.0, np.float32), rgb)
    files.write_ply(tmp_path / "c.ply", cloud)
    read = open3d.io.read_point_cloud(str(tmp_path / "c.ply"))
    assert np.allclose(np.asarray(read.points), cloud.xyz.reshape(-1, 3))
    assert np.allclose(np.asarray(read.colors) * 255, rgb.reshape(-1, 3))


def test_truncated_ply_is_a_data_error(tmp_path):
    files.write_ply(tmp_path / "c.ply", OrganizedCloud(np.ones((3, 2, 4), np.float32)))
    (tmp_path / "c.ply").write_bytes((tmp_path / "c.ply").read_bytes()[:-1])
    with pytest.raises(DataError, match=r"c\.ply"):
        files.read_ply_points(tmp_path / "c.ply")


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


def test_camera_yaml_of_one_and_of_two(tmp_path):
    rig = StereoRig.simple(64, 48, 50.0, 0.12, doffs_px=1.5)
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(rig.left.to_dict()))
    (tmp_path / "two.yaml").write_text(
        yaml.safe_dump({"left": rig.left.to_dict(), "right": rig.right.to_dict()})
    )
    assert files.read_camera_yaml(tmp_path / "one.yaml") == rig.left
    assert files.read_camera_yaml(tmp_path / "two.yaml") == rig


def test_camera_yaml_as_camera_calibration_writes_it(tmp_path):
    (tmp_path / "ost.yaml").write_text(
        """image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [535.4, 0., 320.1, 0., 539.2, 247.6, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.27, -0.04, 1e-05, -0.0018, 0.]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [400., 0., 320., 0., 0., 410., 240., 0., 0., 0., 1., 0.]
"""
    )
    camera = files.read_camera_yaml(tmp_path / "ost.yaml")
    assert (camera.fx, camera.fy, camera.k[0, 0]) == (400, 410, 535.4)
    assert camera.d.tolist() == [-0.27, -0.04, 1e-05, -0.0018, 0]  # YAML 1.1 reads 1e-05 as text
    assert not camera.rectified


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: [", DataError),
        ("\x00", DataError),
        ("calibrated: 2020-99-99", DataError),
        (
            "camera_matrix: {data: [9, 0, 4, 0, 9, 4, 0, 0, 1]}\nimage_width: .inf\nimage_height: 4",
            CalibrationError,
        ),
        ("- 1", CalibrationError),
        ("image_width: 640", CalibrationError),
        ("camera_matrix: {data: [1, 2]}\nimage_width: 4\nimage_height: 4", CalibrationError),
    ],
)
def test_wrong_camera_yaml_is_one_sentence(tmp_path, text, error):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(error, match=r"c\.yaml") as caught:
        files.read_camera_yaml(tmp_path / "c.yaml")
    assert "\n" not in str(caught.value)


def test_swapped_rig_says_so_and_names_the_file(tmp_path):
    rig = StereoRig.simple(64, 48, 50.0, 0.12)
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump({"left": rig.right.to_dict(), "right": rig.left.to_dict()})
    )
    with pytest.raises(CalibrationError, match=r"s\.yaml.*swapped"):
        files.read_camera_yaml(tmp_path / "s.yaml")


def test_failed_write_keeps_the_old_file_and_leaves_no_draft(tmp_path, rgb, monkeypatch):
    files.write_image(tmp_path / "a.png", rgb)
    before = (tmp_path / "a.png").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        files.write_image(tmp_path / "a.png", 255 - rgb)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_bad_targets_are_output_errors(tmp_path, rgb):
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent" / "a.png", tmp_path / "file" / "a.png", tmp_path / "a.nonsense"):
        with pytest.raises(OutputError):
            files.write_image(path, rgb)
    with pytest.raises(OutputError, match=r"a \.jpg file can hold"):
        files.write_image(tmp_path / "wide.jpg", np.zeros((1, 70_000), np.uint8))
    with pytest.raises(OutputError, match="name of a file"):
        files.write_atomically(Path(""), b"")


def test_folders_are_made_once_and_a_file_in_the_way_is_an_output_error(tmp_path):
    for _ in range(2):
        files.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot make the folder .*choose another place"):
        files.make_folder(tmp_path / "file" / "folder")
