"""TUM RGB-D: stamps, association, the calibration by the folder's name, each fault in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from rgbd_writers import write_tum

from recon3d_ros.cli.main import main
from recon3d_ros.datasets import open_dataset
from recon3d_ros.datasets.rgbd.tum import FREIBURG
from recon3d_ros.errors import DataError, Recon3dError
from recon3d_ros.geometry import Rectifier


@pytest.fixture
def recording(tmp_path, rooms):
    return write_tum(tmp_path / "rgbd_dataset_own_desk", rooms)


def edit(path, change):
    """Change the lines of a list, its comment aside."""
    comment, *lines = path.read_text().splitlines()
    path.write_text("\n".join([comment, *change(lines)]) + "\n")


def test_stamps_are_exact_to_the_nanosecond_and_name_the_frames(recording):
    (first, second, _) = open_dataset(recording)
    assert (first.name, first.frame.stamp_ns) == ("1305031102.175304", 1_305_031_102_175_304_000)
    assert second.frame.stamp_ns == 1_305_031_102_208_637_000


def test_images_without_depth_in_time_are_left_out_and_counted(recording, rooms, capsys):
    edit(recording / "depth.txt", lambda lines: [lines[0], lines[2]])
    samples = open_dataset(recording)
    assert [s.frame.stamp_ns for s in samples] == [1_305_031_102_175_304_000, 1_305_031_102_241_971_000]
    np.testing.assert_array_equal(samples[1].depth, rooms[2].depth)
    assert samples.note.startswith("2 pairs; left out: 1 of 3 images and 0 of 2 depth images")
    assert samples[:1].note == samples.note
    words = ["evaluate", "--data", str(recording), "--model", "fake_mono", "--backend", "fake"]
    assert main([*words, "--baseline", "none"]) == 0
    assert "left out: 1 of 3 images" in capsys.readouterr().err


def test_an_image_waits_for_the_nearest_depth_not_the_first(recording, rooms):
    """Depth is 13 ms late and comes every 33 ms, so that a later image is 20 ms after the one before."""

    def crowd(lines):
        stamp = lines[1].split()[0]
        return [lines[0], f"{float(stamp) - 0.012:.6f} {lines[0].split()[1]}", *lines[1:]]

    edit(recording / "depth.txt", crowd)
    samples = open_dataset(recording)
    assert len(samples) == 3 and "1 of 4 depth images" in samples.note
    np.testing.assert_array_equal(samples[1].depth, rooms[0].depth)  # the one 1 ms after it


@pytest.mark.parametrize("sensor", FREIBURG)
def test_the_folders_name_tells_the_sensor(tmp_path, big_rooms, sensor):
    path = write_tum(tmp_path / f"rgbd_dataset_{sensor}_desk", big_rooms)
    (path / "K.txt").unlink()
    (sample,) = open_dataset(path)
    camera = sample.frame.camera
    (fx, fy, cx, cy), d = FREIBURG[sensor]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (fx, fy, cx, cy)
    changed = not np.array_equal(sample.depth, big_rooms[0].depth, equal_nan=True)
    assert changed == bool(d)  # raw images and their depth are rectified, freiburg3's are as they were
    if d:
        raw = type(camera)(640, 480, camera.k, np.array(d))
        np.testing.assert_array_equal(sample.depth, Rectifier(raw).rectify_depth(big_rooms[0].depth))


def test_a_calibration_in_the_folder_goes_before_the_name(tmp_path, big_rooms):
    path = write_tum(tmp_path / "rgbd_dataset_freiburg1_desk", big_rooms)
    assert open_dataset(path)[0].frame.camera == big_rooms[0].frame.camera


def test_faults_of_a_recording_are_one_sentence_each(recording):
    def fault(change, *words, file="rgb.txt"):
        kept = (recording / file).read_text()
        edit(recording / file, change)
        with pytest.raises(Recon3dError) as raised:
            open_dataset(recording)[0]
        (recording / file).write_text(kept)
        text = str(raised.value)
        assert "\n" not in text and all(word in text for word in words), text

    fault(lambda lines: [lines[1], lines[0], lines[2]], "rising stamps", "rgb.txt", "line 3", "sort the list")
    fault(lambda lines: [lines[0], *lines], "rising stamps", "depth.txt", file="depth.txt")
    fault(lambda lines: ["soon rgb/0.png"], "line 2", "stamp in seconds")
    fault(lambda lines: ["nan rgb/0.png"], "line 2", "stamp in seconds")
    fault(lambda lines: ["1.5"], "line 2", "file name")
    fault(lambda lines: [], "found none", "rgb.txt")
    fault(lambda lines: [line.replace("rgb/", "gone/") for line in lines], "cannot read", "gone/")
    fault(lambda lines: [f"9{line}" for line in lines], "within 20 ms", "no two")
    assert len(open_dataset(recording)) == 3


def test_without_any_calibration_the_three_ways_are_named(recording):
    (recording / "K.txt").unlink()
    with pytest.raises(DataError, match=r"camera\.yaml or K\.txt.*freiburg1, freiburg2, freiburg3"):
        open_dataset(recording)
