"""Saved maps come back as they were; damaged ones are refused, and a killed writer leaves none."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest

from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.errors import DataError, OutputError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.mapping.live_map import LiveMap
from recon3d_ros.mapping.map_folder import VOLUME, load_map, newest_map, save_map

pytest.importorskip("skimage")
CAMERA = PinholeCamera.simple(163, 121, 140.0)
CONFIG = MappingConfig(voxel_m=0.05)


def made(frames: int = 2) -> LiveMap:
    live = LiveMap(CONFIG, engine="numpy")
    for i in range(frames):
        depth = DepthMap(np.full((121, 163), 1.5, np.float32), CAMERA)
        live.add(depth, np.full((121, 163, 3), 90, np.uint8), np.eye(4), i * 10**8 + 1, "front/left")
    return live


def test_a_map_comes_back_as_it_was(tmp_path):
    live = made()
    saved = save_map(tmp_path, live, GridConfig(), "odom")
    assert saved.folder.name == "map_0001" and "floor" in saved.without_grid  # there is only a wall
    again = LiveMap(CONFIG)
    assert load_map(tmp_path, again, "odom") == saved.folder
    for name in ("coords", "distance", "weight", "colour"):
        assert np.array_equal(getattr(again.fusion.store, name), getattr(live.fusion.store, name))
    assert len(again.paths["front/left"]) == 2
    ahead = np.array([[0.0, 0, 1.0], [0.0, 0, 1.3], [0.0, 0, 2.0]])
    assert again.space.empty(ahead).tolist() == live.space.empty(ahead).tolist() == [True, True, False]
    assert sum(mesh is not None for _, mesh in again.mesh_changes()) > 0
    assert (saved.folder / "trajectory_front_left.txt").is_file()


def test_the_last_one_is_taken_by_its_number(tmp_path):
    for _ in range(2):
        save_map(tmp_path, made(), GridConfig(), "odom")
    (tmp_path / "map_0002").rename(tmp_path / "map_10000")
    (tmp_path / "map_9").mkdir()
    assert newest_map(tmp_path).name == "map_10000"
    assert newest_map(tmp_path / "map_0001").name == "map_0001"
    assert save_map(tmp_path, made(), GridConfig(), "odom").folder.name == "map_10001"


def test_there_is_none(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="call ~/save_map first"):
            load_map(place, made(), "odom")


@pytest.mark.parametrize(("frame", "voxel_m"), [("map", 0.05), ("odom", 0.03)])
def test_another_frame_or_voxel_is_refused(tmp_path, frame, voxel_m):
    save_map(tmp_path, made(), GridConfig(), "odom")
    live = LiveMap(MappingConfig(voxel_m=voxel_m))
    with pytest.raises(DataError, match="set voxel_m and map_frame"):
        load_map(tmp_path, live, frame)


def test_damaged_files_are_refused_and_the_map_stays(tmp_path):
    folder = save_map(tmp_path, made(), GridConfig(), "odom").folder
    data, live = (folder / VOLUME).read_bytes(), made(1)
    before = len(live.fusion.store)
    for damaged in (b"", data[:1000], data[:-400], b"x" * 5000):
        (folder / VOLUME).write_bytes(damaged)
        with pytest.raises(DataError, match="restore it"):
            load_map(tmp_path, live, "odom")
    store = live.fusion.store
    arrays = {name: np.array(getattr(store, name)) for name in ("coords", "distance", "weight", "colour")}
    arrays |= {"space_coords": live.space.coords, "space_counts": live.space.counts}
    for changed in (
        {"weight": arrays["weight"][:-1]},
        {"distance": arrays["distance"].astype(np.int32)},
        {"coords": np.zeros_like(arrays["coords"])},
        {"coords": np.array(3, np.int32)},
        {"colour": np.array([{}], object)},
        {"space_counts": live.space.counts[:, :, 0]},
        {"space_coords": np.zeros_like(live.space.coords)},
    ):
        np.savez(folder / "volume.npz", **{**arrays, **changed})
        with pytest.raises(DataError):
            load_map(tmp_path, live, "odom")
    (folder / "map.json").write_text("[1")
    with pytest.raises(DataError, match="JSON"):
        load_map(tmp_path, live, "odom")
    assert len(live.fusion.store) == before


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_map(tmp_path / "file", made(), GridConfig(), "odom")


def test_what_a_killed_process_left_is_removed(tmp_path):
    ended = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    dead, mine = (tmp_path / f".map_draft_{pid}_x" for pid in (int(ended.stdout), os.getpid()))
    for folder in (dead, mine):
        folder.mkdir()
    save_map(tmp_path, made(), GridConfig(), "odom")
    assert not dead.exists() and mine.exists()
