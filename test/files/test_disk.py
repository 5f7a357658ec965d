from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros import files
from recon3d_ros.errors import DataError, OutputError
from recon3d_ros.files.disk import read_bytes


@pytest.fixture
def rgb():
    """13 x 7, every pixel and channel different."""
    return np.arange(7 * 13 * 3, dtype=np.uint8).reshape(7, 13, 3)


def test_failed_write_keeps_the_old_file_and_leaves_no_draft(tmp_path, rgb, monkeypatch):
    files.write_image(tmp_path / "a.png", rgb)
    before = (tmp_path / "a.png").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
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


def test_the_folder_of_a_json_is_made(tmp_path):
    files.write_json(tmp_path / "new" / "deep" / "rows.json", {"a": float("nan")})
    assert json.loads((tmp_path / "new" / "deep" / "rows.json").read_text()) == {"a": None}


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link"):
        with pytest.raises(DataError, match=f"regular file, .*{name} is a pipe or a device"):
            read_bytes(tmp_path / name)
        with pytest.raises(DataError, match="regular file"):
            files.read_image(tmp_path / name)
        with pytest.raises(DataError, match="regular file"):
            files.read_camera(tmp_path / name)


def test_a_name_that_is_no_utf8_in_a_text_becomes_an_escape(tmp_path):
    files.write_text(tmp_path / "page.txt", os.fsdecode(b"Z\xc3\xbcrich, caf\xe9"))
    assert (tmp_path / "page.txt").read_text(encoding="utf-8") == "Zürich, caf\\udce9"
