"""Which frames are kept, and which files come of them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from recon3d_ros.errors import OutputError
from recon3d_ros.evaluation.gallery import Gallery, evenly_spaced
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, Sample, StereoRig

WIDTH, HEIGHT = 60, 40
CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, 50.0)
DEPTH = np.tile(np.linspace(1, 3, WIDTH, dtype=np.float32), (HEIGHT, 1))


def _mono(name):
    return Sample(Frame(0, np.full((HEIGHT, WIDTH, 3), 80, np.uint8), CAMERA, name=name), None, DEPTH, name)


@pytest.mark.parametrize(
    ("count", "wanted", "places"),
    [(10, 4, [0, 3, 6, 9]), (3, 12, [0, 1, 2]), (200, 2, [0, 199]), (1, 5, [0]), (7, 1, [0])],
)
def test_evenly_spaced_from_the_first_to_the_last(count, wanted, places):
    assert evenly_spaced(count, wanted) == places


def test_frames_of_one_camera_become_a_sheet_and_two_clouds(tmp_path):
    gallery = Gallery(tmp_path / "new", frames=4)
    for title in ("one", "two"):
        watch = gallery.recorder("set x1.5", 9, title)
        for i in range(9):
            watch(_mono(str(i)), DepthMap(DEPTH, CAMERA))
    gallery.write([])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "set_x1.5.jpg",
        "set_x1.5_clouds.jpg",
    ]
    sheet = cv2.imread(str(tmp_path / "new" / "set_x1.5.jpg"))
    assert sheet.shape == (4 * (160 + 22) + 2 * 22, 6 * 240, 3)
    clouds = cv2.imread(str(tmp_path / "new" / "set_x1.5_clouds.jpg"))
    assert clouds.shape[1] == 4 * 420


def test_of_pairs_the_first_one_is_drawn(tmp_path):
    rig = StereoRig.simple(WIDTH, HEIGHT, 50.0, 0.2)
    image = np.full((HEIGHT, WIDTH), 80, np.uint8)
    truth = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    gallery = Gallery(tmp_path, frames=4)
    watch = gallery.recorder("pairs", 3, "ours")
    sample = Sample(Frame(0, image, rig.left, image, rig, "a"), truth, None, "a")
    for name, shift in (("a", 0), ("b", 3), ("c", 3)):
        prediction = truth + np.float32(shift)
        watch(
            replace(sample, name=name), DepthMap(rig.depth_from_disparity(prediction), rig.left, prediction)
        )
    gallery.write([])
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.png"]
    picture = cv2.imread(str(tmp_path / "pairs.png"))
    assert picture.shape == (2 * (HEIGHT + 22), 2 * WIDTH, 3)
    error = picture[-20:, WIDTH:]
    assert (error[..., 2] < 80).all()  # of the first pair, which is right: not red


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Gallery(tmp_path / "file", frames=1)


def test_two_folders_of_one_name_have_pictures_of_their_own(tmp_path):
    gallery = Gallery(tmp_path, frames=1)
    for data in ("monday/walk", "friday/walk"):
        gallery.recorder(data, 1, "ours")(_mono(data), DepthMap(DEPTH, CAMERA))
    gallery.write([])
    assert sorted(path.name for path in tmp_path.glob("*.jpg")) == [
        "walk.jpg",
        "walk_2.jpg",
        "walk_2_clouds.jpg",
        "walk_clouds.jpg",
    ]
