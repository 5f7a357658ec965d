"""Bags are found and results appear whole, in folders and in an object store."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from recon3d_ros.errors import ConfigError, DataError, OutputError

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (.[ray])")

from recon3d_ros.fleet.storage import (  # noqa: E402
    DONE,
    drafted,
    fetched,
    find_recordings,
    fingerprint,
    publish,
    read_done,
    write_document,
)


@pytest.fixture
def store():
    """An object store in memory, as s3 would be one far away."""
    memory = fsspec.filesystem("memory")
    yield "memory://fleet"
    memory.store.clear()


def test_files_and_folders_are_found_and_the_files_of_a_folder_are_not_counted_twice(tmp_path):
    (tmp_path / "a.mcap").write_bytes(b"a")
    (tmp_path / "notes.txt").write_bytes(b"b")
    folder = tmp_path / "deep" / "bag"
    folder.mkdir(parents=True)
    (folder / "metadata.yaml").write_text("")
    (folder / "bag_0.db3").write_bytes(b"c")
    assert find_recordings(f"{tmp_path}/**") == [str(tmp_path / "a.mcap"), str(folder)]
    assert find_recordings(str(tmp_path / "a.mcap")) == [str(tmp_path / "a.mcap")]
    with pytest.raises(DataError, match="found none"):
        find_recordings(f"{tmp_path}/*.bag")
    with pytest.raises(ConfigError, match="protocol"):
        find_recordings("nosuchprotocol://x/*")


def test_the_fingerprint_is_that_of_the_content(tmp_path, store):
    for place in (str(tmp_path), store):
        filesystem, path = fsspec.core.url_to_fs(place)
        filesystem.pipe_file(f"{path}/a.mcap", b"first")
        first = fingerprint(f"{place}/a.mcap")
        assert first == fingerprint(f"{place}/a.mcap")
        filesystem.pipe_file(f"{path}/a.mcap", b"other")
        assert fingerprint(f"{place}/a.mcap") != first
    with pytest.raises(DataError):
        fingerprint(str(tmp_path / "none.mcap"))


@pytest.mark.parametrize("remote", [False, True])
def test_a_result_appears_whole_and_replaces_the_one_before(tmp_path, store, remote):
    place = f"{store}/out/bag" if remote else str(tmp_path / "out" / "bag")
    assert read_done(place) is None
    for number in (1, 2):
        with drafted(place) as draft:
            (draft / "ply").mkdir()
            (draft / "ply" / f"{number}.ply").write_bytes(b"points")
            (draft / DONE).write_text(json.dumps({"number": number}))
            publish(draft, place)
        assert not draft.exists()
        assert json.loads(read_done(place)) == {"number": number}
    filesystem, path = fsspec.core.url_to_fs(place)
    names = {Path(file).name for file in filesystem.find(path)}
    assert names == {DONE, "2.ply"}
    if not remote:
        assert [one.name for one in (tmp_path / "out").iterdir()] == ["bag"]


def test_what_fails_leaves_the_result_before_and_no_draft(tmp_path):
    place = tmp_path / "out" / "bag"
    place.mkdir(parents=True)
    (place / DONE).write_text("{}")
    with pytest.raises(RuntimeError), drafted(str(place)) as draft:
        (draft / "half.ply").write_bytes(b"")
        raise RuntimeError
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["bag"]
    assert (place / DONE).exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError), drafted(str(tmp_path / "file" / "bag")):
        pass


def test_a_remote_bag_is_fetched_and_the_copy_removed(store):
    filesystem, path = fsspec.core.url_to_fs(store)
    filesystem.pipe_file(f"{path}/a.mcap", b"content")
    with fetched(f"{store}/a.mcap") as local:
        assert local.name == "a.mcap" and local.read_bytes() == b"content"
    assert not local.parent.exists()
    with pytest.raises(DataError, match="credentials"), fetched(f"{store}/none.mcap"):
        pass


def test_a_document_goes_anywhere(tmp_path, store):
    for place in (str(tmp_path), store):
        write_document(f"{place}/summary.json", {"share": float("nan")})
        filesystem, path = fsspec.core.url_to_fs(f"{place}/summary.json")
        assert json.loads(filesystem.cat_file(path)) == {"share": None}


@pytest.mark.timeout(60)
def test_a_pipe_has_no_fingerprint(tmp_path):
    os.mkfifo(tmp_path / "a.mcap")
    with pytest.raises(DataError, match="pipe or a device"):
        fingerprint(str(tmp_path / "a.mcap"))
