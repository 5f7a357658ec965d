"""EuRoC recordings: the format, and that real rows align after rectification."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros.datasets import euroc_frames, euroc_raw, is_euroc, open_dataset
from recon3d_ros.errors import DataError

WIDTH, HEIGHT = 47, 30
YAML = """%YAML:1.0
T_BS:
  cols: 4
  rows: 4
  data: [0.0, -1.0, 0.0, 0.0,
         1.0, 0.0, 0.0, {y},
         0.0, 0.0, 1.0, 0.0,
         0.0, 0.0, 0.0, 1.0]
rate_hz: 20
resolution: [47, 30]
camera_model: pinhole
intrinsics: [40.0, 40.0, 23.0, 14.5]
distortion_model: {model}
distortion_coefficients: [-0.1, 0.01, 0.0, 0.0]
"""
STAMPS = (1403715273262142976, 1403715273312143104, 1403715273362142976)


def _record(folder, original_layout=False, model="radial-tangential", stamps=STAMPS):
    """The sensors' x axis is the body's y axis, cam1 stands 0.11 m further along it."""
    root = folder / "mav0" if original_layout else folder
    for camera, y in (("cam0", -0.05), ("cam1", 0.06)):
        images = root / camera / "data" if original_layout else root / camera
        images.mkdir(parents=True)
        text = YAML.format(y=y, model=model)
        where = root / camera / "sensor.yaml" if original_layout else root / f"{camera}.yaml"
        where.write_text(text, encoding="utf-8")
        for i, stamp in enumerate(stamps):
            cv2.imwrite(str(images / f"{stamp}.png"), np.full((HEIGHT, WIDTH), 50 * i + 1, np.uint8))
    return folder


@pytest.mark.parametrize("original_layout", [False, True])
@pytest.mark.parametrize("model", ["radial-tangential", "equidistant"])
def test_rig_and_raw_images_in_both_layouts(tmp_path, original_layout, model):
    folder = _record(tmp_path, original_layout, model)
    assert is_euroc(folder)
    rig, raw = euroc_raw(folder)
    assert rig.baseline_m == pytest.approx(0.11)
    assert not rig.left.rectified
    np.testing.assert_allclose(rig.left.r, np.eye(3), atol=1e-9)
    assert [images.stamp_ns for images in raw] == list(STAMPS)
    assert raw[1].left.shape == raw[1].right.shape == (HEIGHT, WIDTH)
    assert raw[2].right[15, 20] == 101


def test_frames_are_rectified_and_open_by_path(tmp_path):
    frames = euroc_frames(_record(tmp_path))
    assert [frame.stamp_ns for frame in frames] == list(STAMPS)
    assert frames[0].camera.rectified and frames[0].rig.baseline_m == pytest.approx(0.11)
    samples = open_dataset(tmp_path)
    assert samples[0].name == str(STAMPS[0]) and samples[0].disparity is None


def test_swapped_cameras_are_refused(tmp_path):
    folder = _record(tmp_path)
    left, right = folder / "cam0.yaml", folder / "cam1.yaml"
    texts = left.read_text(), right.read_text()
    left.write_text(texts[1]), right.write_text(texts[0])
    with pytest.raises(Exception, match="left and right are swapped") as info:
        euroc_raw(folder)
    assert type(info.value).__name__ == "CalibrationError"


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("radial-tangential", "omni", "omni"),
        ("intrinsics: [40.0, 40.0, 23.0, 14.5]", "", "intrinsics"),
        ("intrinsics: [40.0, 40.0, 23.0, 14.5]", "intrinsics: [40.0, 40.0]", "intrinsics"),
        ("data: [0.0, -1.0, 0.0, 0.0,", "data: [", "T_BS"),
        ("data: [0.0, -1.0, 0.0, 0.0,", "data: [0.0, 0.0, 0.0, 0.0,", "no rotation"),
        ("resolution: [47, 30]", "resolution: [.inf, 30]", "infinity"),
        ("rate_hz: 20", "recorded: 2020-99-99", "can be read"),
        ("resolution: [47, 30]", "resolution: [47", "can be read"),
        ("resolution: [47, 30]", "resolution: [46, 30]", "equal size"),
    ],
)
def test_a_garbled_yaml_is_one_sentence(tmp_path, old, new, match):
    folder = _record(tmp_path)
    path = folder / "cam1.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=match):
        euroc_raw(folder)


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(DataError, match="cam0"):
        euroc_raw(tmp_path)
    assert not is_euroc(tmp_path)
    folder = _record(tmp_path / "x")
    (folder / "cam1" / f"{STAMPS[1]}.png").unlink()
    with pytest.raises(DataError, match=str(STAMPS[1])):
        euroc_raw(folder)


def _offsets(left, right):
    """(N, 2) px, left minus right position of corners followed with sub-pixel accuracy, there and back."""
    options = {"winSize": (15, 15), "maxLevel": 3, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
    corners = cv2.goodFeaturesToTrack(left, 800, 0.01, 7)
    start = corners - np.float32([24, 0])
    there, found, _ = cv2.calcOpticalFlowPyrLK(left, right, corners, start, **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(right, left, there, corners.copy(), **options)
    same = np.linalg.norm(back - corners, axis=2) < 0.3
    return (corners - there)[(found == 1) & (found_back == 1) & same]


def test_real_rows_align_and_disparities_are_those_of_the_room(data_dir):
    """Corners of the 40 real pairs lie on equal rows once rectified; before, they do not."""
    _, raw = euroc_raw(data_dir / "video/euroc")
    frames = euroc_frames(data_dir / "video/euroc")
    assert len(frames) == len(raw) == 40
    disparities = []
    for frame in frames:
        offsets = _offsets(frame.image, frame.right)
        assert len(offsets) > 100
        assert np.median(np.abs(offsets[:, 1])) < 0.3
        assert np.percentile(np.abs(offsets[:, 1]), 90) < 1.0
        disparities.append(np.median(offsets[:, 0]))
    assert 21 < np.median(disparities) < 27
    unrectified = _offsets(raw[0].left, raw[0].right)
    assert np.median(np.abs(unrectified[:, 1])) > 3.0
