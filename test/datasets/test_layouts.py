"""Every layout of the table, written and read back: pixels, depth and K are those that were written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from rgbd_writers import WRITERS, in_mm, write_png

from recon3d_ros.cli.main import main
from recon3d_ros.datasets import LAYOUTS, layout_of, open_dataset
from recon3d_ros.datasets.rgbd.folders import NYUV2_BORDER_PX, NYUV2_CAMERA
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import PinholeCamera, StereoRig

WITHOUT_TRUTH = {"euroc", "images"}


def written(name, tmp_path, request):
    """Write a layout; return its path and the samples that must come back."""
    if name == "bag":
        pytest.importorskip("rosbags")
    samples = request.getfixturevalue("big_rooms" if name == "nyuv2" else "rooms")
    return WRITERS[name](tmp_path, samples), samples


def test_every_layout_with_truth_has_a_writer():
    assert {layout.name for layout in LAYOUTS} - WITHOUT_TRUTH == WRITERS.keys()
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)


@pytest.mark.parametrize("name", WRITERS)
def test_a_layout_is_known_and_comes_back_exactly(tmp_path, request, name):
    path, samples = written(name, tmp_path, request)
    assert layout_of(path).name == name
    again = open_dataset(path)
    assert len(again) == len(samples) and not again.note
    assert len({sample.name for sample in again}) == len(samples)
    for sample, wanted in zip(again, samples):
        image, depth, camera = wanted.frame.image, wanted.depth, wanted.frame.camera
        if name == "nyuv2":
            left, top, right, bottom = NYUV2_BORDER_PX
            inside = (slice(top, -bottom), slice(left, -right))
            image, depth = image[inside], depth[inside]
            camera = NYUV2_CAMERA.cropped(left, top, image.shape[1], image.shape[0])
        np.testing.assert_array_equal(sample.frame.image, image)
        np.testing.assert_array_equal(sample.depth, depth)
        assert sample.frame.camera == camera
        assert np.isnan(sample.depth).any() and sample.disparity is None and not sample.frame.is_stereo
    stamps = [sample.frame.stamp_ns for sample in again]
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize("name", WRITERS)
def test_a_layout_is_evaluated_with_its_truth(tmp_path, request, name, capsys):
    path, _ = written(name, tmp_path, request)
    words = ["evaluate", "--data", f"{path}[0:1]", "--model", "fake_mono", "--backend", "fake"]
    assert main([*words, "--json", str(tmp_path / "scores.json")]) == 0
    rows = json.loads((tmp_path / "scores.json").read_text())["rows"]
    assert rows[0]["model"] == "fake_mono" and rows[0]["abs_rel"] > 0
    assert f"{path}[0:1]" in capsys.readouterr().out


@pytest.mark.parametrize("name", WRITERS)
def test_reading_needs_no_second_layout(tmp_path, request, name):
    """Detectors are tried in order; none but the last one, of any folder, claims another's files."""
    path, _ = written(name, tmp_path, request)
    claims = [layout.name for layout in LAYOUTS if layout.detect(path)]
    assert [claim for claim in claims if claim not in ("images", "rgbd")] in ([], [name])
    assert claims[0] == name


def test_layouts_without_truth_are_told_apart(tmp_path):
    write_png(tmp_path / "plain" / "0.png", np.zeros((7, 9), np.uint8))
    assert layout_of(tmp_path / "plain").name == "images"
    for camera in ("cam0", "cam1"):
        write_png(tmp_path / "mav" / camera / "0.png", np.zeros((7, 9), np.uint8))
        (tmp_path / "mav" / f"{camera}.yaml").write_text("", encoding="utf-8")
    assert layout_of(tmp_path / "mav").name == "euroc"
    assert layout_of(tmp_path / "nothing") is None


@pytest.mark.parametrize("name", [layout.name for layout in LAYOUTS if not layout.takes_camera])
def test_a_camera_for_a_layout_with_its_own_is_refused(tmp_path, request, name):
    if name == "euroc":
        pytest.skip("recon3d run says it for euroc: test/cli/test_run.py")
    path, samples = written(name, tmp_path, request)
    with pytest.raises(DataError, match="has its own"):
        open_dataset(path, camera=samples[0].frame.camera)


@pytest.mark.parametrize("name", ["tum", "rgbd"])
def test_a_camera_that_is_given_goes_before_the_one_in_the_folder(tmp_path, request, name):
    path, samples = written(name, tmp_path, request)
    camera = PinholeCamera.simple(*samples[0].frame.camera.image_size_wh, 99.0)
    assert open_dataset(path, camera=camera)[0].frame.camera == camera
    with pytest.raises(DataError, match="one camera"):
        open_dataset(path, camera=StereoRig.simple(75, 53, 60.0, 0.1))


def test_run_takes_a_folder_with_depth_and_its_part(tmp_path, request, capsys):
    path, _ = written("rgbd", tmp_path, request)
    out = str(tmp_path / "out")
    words = ["run", "--input", f"{path}[1:3]", "--model", "fake_mono", "--backend", "fake", "--no-view"]
    assert main([*words, "--out", out]) == 0
    assert "2 frames" in capsys.readouterr().out
    assert (tmp_path / "out" / "2_depth.pfm").is_file() and not (tmp_path / "out" / "0_depth.pfm").exists()
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(PinholeCamera.simple(75, 53, 70.0).to_dict()))
    assert main([*words, "--out", out, "--camera", str(tmp_path / "own.yaml")]) == 0


@pytest.fixture(scope="module")
def walk(data_dir):
    """Four frames of HoloLens, two of them neighbours."""
    samples = open_dataset("hololens", data_dir)
    return [samples[i] for i in (0, 1, 40, 79)]


def statistics(samples):
    """Per frame: pixels that are known, and sum and percentiles of their depth in whole mm."""
    rows = []
    for sample in samples:
        mm = in_mm(sample.depth).astype(np.int64)
        known = mm[mm > 0]
        rows.append((known.size, int(known.sum()), *np.percentile(known, (1, 50, 99)).tolist()))
    return rows


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "nyuv2"])
def test_hololens_in_every_layout_has_the_same_statistics(tmp_path, walk, name):
    if name == "bag":
        pytest.importorskip("rosbags")
    again = open_dataset(WRITERS[name](tmp_path, walk))
    assert statistics(again) == statistics(walk)
    for sample, wanted in zip(again, walk):
        np.testing.assert_array_equal(sample.frame.image, wanted.frame.image)
        # The index multiplies by 0.001, a file is divided by 1000 or 5000: one step of a float apart.
        np.testing.assert_allclose(sample.depth, wanted.depth, rtol=2e-7, equal_nan=True)
        assert sample.frame.camera == wanted.frame.camera


def test_the_indexed_nyuv2_by_its_path_is_refused_for_its_8_bits(data_dir):
    with pytest.raises(Exception, match="8 bits are too coarse"):
        open_dataset(Path(data_dir) / "mono" / "nyuv2")[0]
