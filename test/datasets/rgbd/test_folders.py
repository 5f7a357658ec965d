"""Folders of colour and depth: calibrations, scales, sizes, and each fault in one sentence."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
import yaml
from rgbd_writers import in_mm, write_k, write_nyuv2, write_png, write_rgbd, write_scannet

from recon3d_ros.cli.main import main
from recon3d_ros.datasets import open_dataset
from recon3d_ros.errors import Recon3dError
from recon3d_ros.files import write_pfm
from recon3d_ros.geometry import PinholeCamera, Rectifier


@pytest.fixture
def folder(tmp_path, rooms):
    return write_rgbd(tmp_path / "own", rooms)


def said(path, read=True):
    """The one sentence that opening, or reading the first frame, ends with."""
    with pytest.raises(Recon3dError) as raised:
        samples = open_dataset(path)
        if read:
            samples[0]
    text = str(raised.value)
    assert text and "\n" not in text
    return text


def test_depth_in_floats_is_metres(folder, rooms):
    shutil.rmtree(folder / "depth")
    (folder / "depth").mkdir()
    np.save(folder / "depth" / "0.npy", rooms[0].depth)
    write_pfm(folder / "depth" / "1.pfm", rooms[1].depth)
    cv2.imwrite(str(folder / "depth" / "2.tif"), rooms[2].depth)
    for sample, wanted in zip(open_dataset(folder), rooms):
        np.testing.assert_array_equal(sample.depth, wanted.depth)


def test_depth_scale_says_the_units_of_a_metre(folder, rooms):
    (folder / "depth_scale.txt").write_text("500\n")
    np.testing.assert_allclose(open_dataset(folder)[0].depth, 2 * rooms[0].depth, rtol=1e-6)
    for text in ("0", "mm", "nan", "", "1 2", "inf"):
        (folder / "depth_scale.txt").write_text(text)
        assert "stored units of a metre" in said(folder, read=False)


def test_names_of_nanoseconds_are_stamps_and_order_is_natural(tmp_path, rooms):
    for i in (10, 9, 100):
        write_png(tmp_path / "a" / "rgb" / f"{i}.png", rooms[0].frame.image)
        write_png(tmp_path / "a" / "depth" / f"{i}.png", in_mm(rooms[0].depth))
    write_k(tmp_path / "a" / "K.txt", rooms[0].frame.camera.k)
    samples = open_dataset(tmp_path / "a")
    assert [s.name for s in samples] == ["9", "10", "100"]
    assert [s.frame.stamp_ns for s in samples] == [0, 100_000_000, 200_000_000]


def test_a_raw_camera_rectifies_image_and_depth(folder, rooms):
    camera = rooms[0].frame.camera
    raw = PinholeCamera(camera.width, camera.height, camera.k, np.array([-0.3, 0.1, 0, 0, 0]))
    (folder / "K.txt").unlink()
    (folder / "camera.yaml").write_text(yaml.safe_dump(raw.to_dict()))
    sample, rectifier = open_dataset(folder)[1], Rectifier(raw)
    np.testing.assert_array_equal(sample.frame.image, rectifier.rectify(rooms[1].frame.image))
    np.testing.assert_array_equal(sample.depth, rectifier.rectify_depth(rooms[1].depth))
    assert not np.array_equal(sample.depth, rooms[1].depth, equal_nan=True)
    assert sample.frame.camera == raw.as_rectified()


def test_depth_of_half_the_size_takes_the_image_along(tmp_path, rooms):
    half = (38, 27)  # of 75x53: rounded apart by half a percent
    for i, room in enumerate(rooms):
        write_png(tmp_path / "a" / "rgb" / f"{i}.png", room.frame.image)
        small = cv2.resize(in_mm(room.depth), half, interpolation=cv2.INTER_NEAREST)
        write_png(tmp_path / "a" / "depth" / f"{i}.png", small)
    write_k(tmp_path / "a" / "K.txt", rooms[0].frame.camera.k)
    sample = open_dataset(tmp_path / "a")[0]
    assert sample.frame.image.shape == (27, 38, 3) and sample.depth.shape == (27, 38)
    assert sample.frame.camera == rooms[0].frame.camera.scaled(half)


def test_faults_of_a_folder_are_one_sentence_each(folder, rooms):
    def fault(change, *words, read=True):
        copy = folder.with_name("faulty")
        shutil.copytree(folder, copy)
        change(copy)
        text = said(copy, read)
        assert all(word in text for word in words), text
        shutil.rmtree(copy)

    fault(lambda f: (f / "depth" / "1.png").unlink(), "1 have no partner, first 1", read=False)
    fault(lambda f: (f / "rgb" / "2.png").unlink(), "1 have no partner, first 2", read=False)
    fault(lambda f: [p.unlink() for p in (f / "rgb").iterdir()], "expected images", "rgb", read=False)
    fault(lambda f: [p.unlink() for p in (f / "depth").iterdir()], ".npy", "depth", read=False)
    fault(lambda f: (f / "K.txt").unlink(), "camera.yaml or K.txt", "found none", read=False)
    fault(lambda f: (f / "camera.yaml").write_text("a: 1"), "found both", read=False)
    fault(lambda f: (f / "K.txt").write_text("1 0 nan 0 1 0 0 0 1"), "K.txt", "nan", read=False)
    fault(lambda f: (f / "K.txt").write_text("1 0 5 0 1 5 0"), "got 7", read=False)
    fault(
        lambda f: write_k(f / "K.txt", [[500, 0, 320], [0, 500, 240], [0, 0, 1]]), "another size", read=False
    )
    grey = (np.nan_to_num(rooms[0].depth) * 20).astype(np.uint8)
    fault(lambda f: write_png(f / "depth" / "0.png", grey), "depth/0.png", "8 bits are too coarse")
    fault(lambda f: write_png(f / "depth" / "0.png", 0 * in_mm(rooms[0].depth)), "depth/0.png", "unknown (0)")
    fault(lambda f: write_png(f / "depth" / "0.png", in_mm(rooms[0].depth)[:-9]), "75x53", "got 75x44")
    for name in ("rgb/0.png", "depth/0.png"):
        fault(lambda f, name=name: (f / name).write_bytes((f / name).read_bytes()[:-200]), name)
    assert len(open_dataset(folder)) == 3  # the copy, not the folder, was hurt


def test_an_empty_folder_is_one_sentence(tmp_path):
    assert "expected images" in said(tmp_path)
    (tmp_path / "rgb").mkdir()
    (tmp_path / "depth").mkdir()
    assert "expected images" in said(tmp_path)


def test_the_command_line_ends_with_that_sentence(folder, capsys):
    (folder / "depth" / "1.png").unlink()
    assert main(["evaluate", "--data", str(folder), "--model", "none"]) == 7
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "have no partner" in err


def test_nyuv2_needs_its_own_size_and_a_name_that_says_so(tmp_path, rooms, big_rooms):
    path = write_nyuv2(tmp_path / "small", rooms)
    assert "640x480" in said(path) and "got 75x53" in said(path)
    (tmp_path / "else").mkdir()
    moved = write_nyuv2(tmp_path / "big", big_rooms).rename(tmp_path / "else" / "where")
    assert "camera.yaml or K.txt" in said(moved)
    write_k(path / "K.txt", rooms[0].frame.camera.k)  # a calibration makes it a plain folder
    np.testing.assert_array_equal(open_dataset(path)[0].depth, rooms[0].depth)


# The numbers of scene0000_00: 1296x968 and 640x480 from one place.
COLOUR_K = np.array([[1170.187988, 0, 647.75], [0, 1170.187988, 483.75], [0, 0, 1]])
DEPTH_K = np.array([[577.870605, 0, 319.5], [0, 577.870605, 239.5], [0, 0, 1]])


@pytest.mark.parametrize("names", [("intrinsic/intrinsic_{}.txt",), ("intrinsics_{}.txt",)])
def test_scannets_colour_comes_to_the_grid_of_its_depth(tmp_path, big_rooms, names):
    wanted = big_rooms[0]
    depth_camera = PinholeCamera(640, 480, DEPTH_K)
    # Colour made from a picture on the depth's grid: what comes back must look like that picture.
    small = cv2.GaussianBlur(wanted.frame.image, (0, 0), 3)
    u = (np.arange(1296) - COLOUR_K[0, 2]) / COLOUR_K[0, 0] * DEPTH_K[0, 0] + DEPTH_K[0, 2]
    v = (np.arange(968) - COLOUR_K[1, 2]) / COLOUR_K[1, 1] * DEPTH_K[1, 1] + DEPTH_K[1, 2]
    columns, rows = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
    colour = cv2.remap(small, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    folder = tmp_path / "scene"
    write_png(folder / "color" / "0.png", colour)
    write_png(folder / "depth" / "0.png", in_mm(wanted.depth))
    for name, k in (("color", COLOUR_K), ("depth", DEPTH_K)):
        write_k(folder / names[0].format(name), k, side=4)
    (sample,) = open_dataset(folder)
    assert sample.frame.camera == depth_camera
    known = np.isfinite(sample.depth)
    np.testing.assert_array_equal(sample.depth[known], wanted.depth[known])
    lost = np.isfinite(wanted.depth) & ~known  # rows that colour, a little less high, does not show
    assert set(np.nonzero(lost)[0]) <= {0, 479}
    error = np.abs(sample.frame.image.astype(int) - small)[2:-2, 2:-2]
    assert error.max() <= 8 and error.mean() < 0.7
    resized = np.abs(cv2.resize(colour, (640, 480), interpolation=cv2.INTER_AREA).astype(int) - small)
    assert error.mean() < 0.7 * resized[2:-2, 2:-2].mean()  # than by plain resizing


def test_scannet_without_intrinsics_names_the_file(tmp_path, rooms):
    path = write_scannet(tmp_path / "scene", rooms)
    shutil.rmtree(path / "intrinsic")
    assert "intrinsic_color.txt" in said(path)
    path = write_scannet(tmp_path / "scene", rooms)
    (path / "intrinsic" / "intrinsic_depth.txt").write_text("1 2 3")
    assert "intrinsic_depth.txt" in said(path) and "got 3" in said(path)
