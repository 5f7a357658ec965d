from __future__ import annotations

import numpy as np
import pytest
import yaml

from recon3d_ros import files
from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.geometry import StereoRig


def test_camera_yaml_of_one_and_of_two(tmp_path):
    rig = StereoRig.simple(64, 48, 50.0, 0.12, doffs_px=1.5)
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(rig.left.to_dict()))
    (tmp_path / "two.yaml").write_text(
        yaml.safe_dump({"left": rig.left.to_dict(), "right": rig.right.to_dict()})
    )
    assert files.read_camera(tmp_path / "one.yaml") == rig.left
    assert files.read_camera(tmp_path / "two.yaml") == rig


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
    camera = files.read_camera(tmp_path / "ost.yaml")
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
        files.read_camera(tmp_path / "c.yaml")
    assert "\n" not in str(caught.value)


def test_swapped_rig_says_so_and_names_the_file(tmp_path):
    rig = StereoRig.simple(64, 48, 50.0, 0.12)
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump({"left": rig.right.to_dict(), "right": rig.left.to_dict()})
    )
    with pytest.raises(CalibrationError, match=r"s\.yaml.*swapped"):
        files.read_camera(tmp_path / "s.yaml")


K = np.array([[525.5, 0, 31.25], [0, 520, 20], [0, 0, 1]])


@pytest.mark.parametrize(
    "text",
    [
        "525.5 0 31.25\n0 520 20\n0 0 1\n",
        "525.5, 0, 31.25, 0, 520, 20, 0, 0, 1",
        "525.5 0 31.25 0\n0 520 20 0\n0 0 1 0\n0 0 0 1",
    ],
)
def test_k_is_nine_numbers_or_scannets_sixteen(tmp_path, text):
    (tmp_path / "K.txt").write_text(text)
    np.testing.assert_array_equal(files.read_intrinsics(tmp_path / "K.txt"), K)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("525.5 0 31.25 0 520 20 0 0", "got 8"),
        ("", "got 0"),
        ("nan 0 31.25 0 520 20 0 0 1", "nan"),
        ("fx 0 31.25 0 520 20 0 0 1", "numbers only"),
        ("\xff\xfe", "numbers only"),
        ("-525 0 31.25 0 520 20 0 0 1", "positive focal lengths"),
        ("525 3 31.25 0 520 20 0 0 1", "fx 0 cx"),
        ("525 0 0 0 520 0 31 20 1", "fx 0 cx"),
    ],
)
def test_what_is_no_k_is_one_sentence(tmp_path, text, said):
    (tmp_path / "K.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(CalibrationError, match=said) as raised:
        files.read_intrinsics(tmp_path / "K.txt")
    assert "K.txt" in str(raised.value) and "\n" not in str(raised.value)
