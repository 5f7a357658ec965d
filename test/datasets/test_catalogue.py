"""Opening data sets by name: on tiny folders in the formats of the real ones, and on the real ones."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from recon3d_ros.datasets import DATASETS, GROUPS, WORLDS, open_dataset
from recon3d_ros.datasets.rgbd.sets import split_frames
from recon3d_ros.errors import CalibrationError, DataError, ImageError

WIDTH, HEIGHT = 12, 7
NYUV2_SPLIT = {"block_frames": 5, "test_blocks": [1, 3], "guard_frames": 2}


def _scene(set_name, name, **values):
    scene = {
        "id": f"{set_name}_{name}",
        "set": set_name,
        "left": f"{name}/left.png",
        "right": f"{name}/right.png",
        "gt": f"{name}/gt.png",
        "gt_to_px": 1 / 256,
        "gt_invalid": 0,
        "fx": 700.0,
        "cx": 5.0,
        "cy": 3.0,
        "baseline_m": 0.5,
        "doffs_px": 0.0,
        "width": WIDTH,
        "height": HEIGHT,
    }
    return {**scene, **values}


def _write_scene(root, name, truth, left=None):
    (root / name).mkdir()
    image = np.full((HEIGHT, WIDTH), 90, np.uint8) if left is None else left
    cv2.imwrite(str(root / name / "left.png"), image)
    cv2.imwrite(str(root / name / "right.png"), image)
    cv2.imwrite(str(root / name / "gt.png"), truth)


def _write_index(root, scenes=(), sequences=()):
    (root / "INDEX.json").write_text(
        json.dumps({"stereo_scenes": list(scenes), "sequences": list(sequences)}), encoding="utf-8"
    )


def test_stereo_truth_is_scaled_unknown_is_nan_and_depth_follows(tmp_path):
    truth = np.full((HEIGHT, WIDTH), 35 * 256 + 128, np.uint16)
    truth[0, 2] = 0
    _write_scene(tmp_path, "a", truth)
    _write_index(tmp_path, [_scene("kitti2012", "a")])
    (sample,) = open_dataset("kitti2012", tmp_path)
    assert sample.name == "kitti2012_a"
    assert sample.disparity.dtype == np.float32
    assert np.isnan(sample.disparity[0, 2]) and np.isnan(sample.depth[0, 2])
    assert np.count_nonzero(np.isnan(sample.disparity)) == 1
    assert sample.disparity[6, 11] == 35.5
    assert sample.depth[6, 11] == pytest.approx(700 * 0.5 / 35.5)
    assert (sample.frame.camera.cx, sample.frame.camera.cy) == (5.0, 3.0)
    assert sample.frame.image.shape == (HEIGHT, WIDTH)


def test_middleburys_doffs_is_added(tmp_path):
    truth = np.full((HEIGHT, WIDTH), 30, np.uint8)
    _write_scene(tmp_path, "Art", truth)
    scene = _scene("middlebury2005", "Art", gt_to_px=1 / 3, doffs_px=60.0, cx=None, cy=None)
    _write_index(tmp_path, [scene])
    (sample,) = open_dataset("middlebury2005", tmp_path)
    assert sample.disparity[1, 1] == pytest.approx(10.0)
    assert sample.depth[1, 1] == pytest.approx(700 * 0.5 / (10.0 + 60.0))
    assert sample.frame.rig.doffs_px == pytest.approx(-60.0)


def test_without_calibration_there_is_disparity_but_no_depth(tmp_path):
    _write_scene(tmp_path, "tsukuba", np.full((HEIGHT, WIDTH), 80, np.uint8))
    nothing = {"fx": None, "cx": None, "cy": None, "baseline_m": None, "doffs_px": None}
    _write_index(tmp_path, [_scene("middlebury2001", "tsukuba", gt_to_px=0.0625, **nothing)])
    (sample,) = open_dataset("middlebury2001", tmp_path)
    assert sample.disparity[0, 0] == 5.0
    assert sample.depth is None
    assert sample.frame.rig.fx == WIDTH


def test_colours_arrive_as_rgb(tmp_path):
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 2] = 200  # OpenCV writes BGR
    _write_scene(tmp_path, "Cones", np.ones((HEIGHT, WIDTH), np.uint8), left=red)
    _write_index(tmp_path, [_scene("middlebury2003", "Cones")])
    image = open_dataset("middlebury2003", tmp_path)[0].frame.image
    assert image[0, 0].tolist() == [200, 0, 0]


def test_a_group_is_the_sum_of_its_sets(tmp_path):
    for name in ("a", "b", "c"):
        _write_scene(tmp_path, name, np.ones((HEIGHT, WIDTH), np.uint8))
    _write_index(tmp_path, [_scene(s, n) for s, n in zip(GROUPS["middlebury"], ("a", "b", "c"))])
    names = [sample.name for sample in open_dataset("middlebury", tmp_path)]
    assert names == ["middlebury2001_a", "middlebury2003_b", "middlebury2005_c"]


def _write_rgbd(root, entry, count, depth):
    for kind in ("rgb", "depth"):
        (root / kind).mkdir()
    for i in range(count):
        image = np.full((HEIGHT, WIDTH, 3), i, np.uint8)
        image[:, 0] = 255
        cv2.imwrite(str(root / f"rgb/{i:04d}.png"), image)
        cv2.imwrite(str(root / f"depth/{i:04d}.png"), depth)
    _write_index(root, sequences=[entry])


def _rgbd_entry(name, count, **values):
    return {
        "id": name,
        "n": count,
        "rgb": "rgb/{i:04d}.png",
        "depth": "depth/{i:04d}.png",
        "width": WIDTH,
        "height": HEIGHT,
        "fx": 50.0,
        "fy": 51.0,
        "cx": 6.0,
        "cy": 3.5,
        **values,
    }


def test_hololens_depth_is_millimetres_and_0_is_unknown(tmp_path):
    depth = np.full((HEIGHT, WIDTH), 1234, np.uint16)
    depth[5, 1] = 0
    _write_rgbd(tmp_path, _rgbd_entry("hololens", 3, gt_to_m=0.001, gt_invalid=[0]), 3, depth)
    samples = open_dataset("hololens", tmp_path)
    assert len(samples) == 3
    assert samples[2].depth[0, 0] == pytest.approx(1.234)
    assert np.isnan(samples[2].depth[5, 1])
    assert samples[2].disparity is None and not samples[2].frame.is_stereo
    assert samples[1].frame.camera.fy == 51.0
    assert samples[2].frame.stamp_ns > samples[1].frame.stamp_ns


def test_nyuv2_is_cropped_with_its_camera_and_unquantised(tmp_path):
    depth = np.full((HEIGHT, WIDTH), 100, np.uint8)
    depth[2, 1] = 200
    crop = {"top": 2, "left": 1, "bottom": 1, "right": 3}
    _write_rgbd(tmp_path, _rgbd_entry("nyuv2", 20, crop_px=crop, split=NYUV2_SPLIT), 20, depth)
    samples = open_dataset("nyuv2", tmp_path)
    assert [sample.name for sample in samples][:2] == ["nyuv2_0005", "nyuv2_0006"]
    sample = samples[0]
    assert sample.depth.shape == sample.frame.image.shape[:2] == (4, 8)
    assert sample.depth[0, 0] == pytest.approx(200.5 / 25.51, rel=1e-3)
    assert sample.depth[3, 7] == pytest.approx(100.5 / 25.51, rel=1e-3)
    assert sample.frame.image[0, 0].tolist() == [5, 5, 5]
    assert (sample.frame.camera.cx, sample.frame.camera.cy) == (5.0, 1.5)


def test_nyuv2_is_scored_within_the_crop_of_eigen(data_dir):
    """Rows 45 to 470, columns 41 to 600 of the whole frame, less 6 and 8 cut off; training sees all."""
    sample = open_dataset("nyuv2", data_dir)[0]
    known = np.isfinite(sample.depth)
    assert known.shape == (467, 627)
    expected = np.zeros_like(known)
    expected[45 - 6 : 471 - 6, 41 - 8 : 601 - 8] = True
    np.testing.assert_array_equal(known, expected)
    assert np.isfinite(open_dataset("nyuv2_train", data_dir)[0].depth).all()


def test_training_frames_keep_their_distance_from_test_blocks():
    entry = {"id": "nyuv2", "n": 25, "split": NYUV2_SPLIT}
    test = split_frames(entry, "test")
    train = split_frames(entry, "train")
    assert test == [5, 6, 7, 8, 9, 15, 16, 17, 18, 19]
    assert train == [0, 1, 2, 12, 22, 23, 24]


@pytest.mark.parametrize("name", DATASETS)
def test_without_a_data_folder_the_error_says_what_to_set(monkeypatch, name):
    monkeypatch.delenv("RECON3D_DATA", raising=False)
    with pytest.raises(DataError, match="export RECON3D_DATA"):
        open_dataset(name)


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"euroc"}))
def test_a_set_that_is_not_in_the_index_is_named(tmp_path, name):
    _write_index(tmp_path)
    with pytest.raises(DataError, match=name.partition("_")[0]):
        open_dataset(name, tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(DataError, match="did you mean kitti2012"):
        open_dataset("kiti2012", tmp_path)


def test_broken_data_is_one_error_each(tmp_path):
    (tmp_path / "INDEX.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="readable JSON"):
        open_dataset("kitti2012", tmp_path)

    _write_index(tmp_path, [_scene("kitti2012", "gone")])
    with pytest.raises(DataError, match="gone"):
        open_dataset("kitti2012", tmp_path)[0]

    _write_scene(tmp_path, "small", np.ones((HEIGHT, WIDTH), np.uint8))
    _write_index(tmp_path, [_scene("kitti2012", "small", width=WIDTH + 1)])
    with pytest.raises((CalibrationError, ImageError)):
        open_dataset("kitti2012", tmp_path)[0]

    scene = _scene("kitti2012", "small")
    del scene["gt_to_px"]
    _write_index(tmp_path, [scene])
    with pytest.raises(DataError, match="gt_to_px"):
        open_dataset("kitti2012", tmp_path)[0]

    _write_index(tmp_path, [1])
    with pytest.raises(DataError, match="list stereo_scenes of objects"):
        open_dataset("kitti2012", tmp_path)


@pytest.mark.parametrize("split", [{}, {"block_frames": 5}, [5]])
def test_an_index_without_its_split_rule_names_the_key(split):
    with pytest.raises(DataError, match=r"key split\.\w+ in the INDEX.json entry nyuv2"):
        split_frames({"id": "nyuv2", "n": 25, "split": split}, "test")


@pytest.mark.parametrize("name", WORLDS)
def test_worlds_need_no_data_folder_and_have_exact_truth(monkeypatch, name):
    monkeypatch.delenv("RECON3D_DATA", raising=False)
    samples = open_dataset(name)
    first = samples[0]
    assert first.frame.is_stereo
    near = np.isfinite(first.depth)
    again = first.frame.rig.depth_from_disparity(first.disparity)
    np.testing.assert_allclose(again[near], first.depth[near], rtol=1e-3)
    second = samples[1]
    assert second.name != first.name
    assert not np.array_equal(np.nan_to_num(second.depth), np.nan_to_num(first.depth))
    np.testing.assert_array_equal(samples[0].frame.image, first.frame.image)


# (frames, median of the first sample's truth within) of the real sets
REAL = {
    "kitti2012": (25, (5, 60)),
    "middlebury": (10, (3, 60)),
    "middlebury2001": (2, (3, 20)),
    "middlebury2003": (2, (15, 60)),
    "middlebury2005": (6, (20, 75)),
    "hololens": (80, (0.5, 6.5)),
    "nyuv2": (200, (0.7, 10)),
    "nyuv2_train": (870, (0.7, 10)),
    "nyuv2_pairs": (100, (5, 160)),
    "nyuv2_pairs_seen": (100, (5, 160)),
    "euroc": (40, None),
}


def test_every_set_has_its_expectation():
    assert REAL.keys() == DATASETS.keys()


@pytest.mark.parametrize("name", REAL)
def test_the_real_sets(data_dir, name):
    count, limits = REAL[name]
    samples = open_dataset(name, data_dir)
    assert len(samples) == count
    truth = samples[0].depth if samples[0].disparity is None else samples[0].disparity
    if limits is None:
        assert truth is None and samples[0].frame.is_stereo
        return
    assert limits[0] < np.nanmedian(truth) < limits[1]
    assert np.nanmin(truth) > 0


def test_the_real_index_agrees_with_our_depth(data_dir):
    """INDEX.json states percentiles of depth: our scale, baseline and doffs reproduce them."""
    index = json.loads((data_dir / "INDEX.json").read_text(encoding="utf-8"))
    stated = {s["id"]: s["gt_depth_m_p1_p99"] for s in index["stereo_scenes"] if "gt_depth_m_p1_p99" in s}
    checked = 0
    for sample in [*open_dataset("kitti2012", data_dir)[:4], *open_dataset("middlebury2005", data_dir)]:
        known = sample.depth[np.isfinite(sample.depth)]
        np.testing.assert_allclose(np.percentile(known, [1, 99]), stated[sample.name], rtol=0.01, atol=0.01)
        checked += 1
    assert checked == 10


def test_real_frames_of_every_kind_can_be_opened(data_dir):
    for name in DATASETS:
        samples = open_dataset(name, data_dir)
        for sample in samples[:: len(samples) // 8 or 1]:
            if name in ("nyuv2", "nyuv2_train", "hololens"):
                assert np.isfinite(sample.depth).mean() > 0.3
            else:
                assert sample.frame.is_stereo
