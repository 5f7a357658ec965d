"""Recordings and results in folders or object stores, through fsspec; local paths need nothing."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from recon3d_ros.datasets.bags.reader import METADATA_FILE, SUFFIXES
from recon3d_ros.errors import ConfigError, DataError, OutputError
from recon3d_ros.files import finite, write_json
from recon3d_ros.files.disk import make_folder, open_regular
from recon3d_ros.system.lazy import require

DONE = "done.json"  # written last: a folder with it is whole
_DRAFT = ".tmp"
_CHUNK = 1 << 20
_SUFFIX = re.compile(r"(?P<place>.+?)(?P<suffix>(?::/(?!/)[^:\[]*)*(?:\[\d*:\d*\])?)")


def find_recordings(pattern: str) -> list[str]:
    """The bags that a pattern names, sorted: files `.mcap` and `.db3`, and folders with metadata.yaml.

    Args:
        pattern: A path or URL with `*`, `?`, `[...]` and `**`, such as `/data/**/*.mcap` or `s3://fleet/*`.

    Raises:
        DataError: Nothing matches.
        ConfigError: The protocol of the URL is not installed.
    """
    filesystem, path = open_store(pattern)
    matches = sorted(set(filesystem.glob(path)) or ({path} if filesystem.exists(path) else set()))
    folders = {match for match in matches if filesystem.exists(f"{match}/{METADATA_FILE}")}
    files = [
        match
        for match in matches
        # The files of a folder that is a bag itself are no bags of their own.
        if match.endswith(SUFFIXES) and str(PurePosixPath(match).parent) not in folders
    ]
    found = sorted([*folders, *files])
    if not found:
        raise DataError(
            f"expected bags (.mcap, .db3 or folders with {METADATA_FILE}) at {pattern}, found none: check it"
        )
    return _as_urls(filesystem, found, pattern)


def find_inputs(pattern: str) -> list[str]:
    """Whatever a pattern names, sorted: bags, other files, and folders, without what lies inside of those.

    Args:
        pattern: As of `find_recordings`.

    Raises:
        DataError: Nothing matches.
        ConfigError: The protocol of the URL is not installed.
    """
    filesystem, path = open_store(pattern)
    matches = sorted(set(filesystem.glob(path)) or ({path} if filesystem.exists(path) else set()))
    found: list[str] = []
    for match in matches:  # in order, so that a folder comes before what is in it
        if not any(match.startswith(f"{other.rstrip('/')}/") for other in found):
            found.append(match)
    if not found:
        raise DataError(f"expected recordings at {pattern}, found none: check it")
    return _as_urls(filesystem, found, pattern)


def split_suffix(text: str) -> tuple[str, str]:
    """A path or URL, and the topics and the part behind it, as in ":/image:/depth[0:9]"."""
    found = _SUFFIX.fullmatch(text)
    return (found["place"], found["suffix"]) if found else (text, "")


def is_pattern(text: str) -> bool:
    """Whether a text has characters of a pattern, or is a URL."""
    return "://" in text or any(character in text for character in "*?[")


def fingerprint(url: str) -> str:
    """What changes when a recording changes: sha256 of its files; of an object store, its own checksums.

    Raises:
        DataError: It cannot be read.
    """
    filesystem, path = open_store(url)
    digest = hashlib.sha256()
    try:
        files = filesystem.find(path) if filesystem.isdir(path) else [path]
        for file in sorted(files):
            digest.update(os.fsencode(PurePosixPath(file).name))
            if _is_remote(url):
                digest.update(str(filesystem.checksum(file)).encode())
                continue
            with open_regular(file) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
    except OSError as exc:
        raise DataError(f"cannot read {url} ({exc}): check the path and its permissions") from exc
    return digest.hexdigest()


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """A recording on this machine: the path itself, or a copy that is removed afterwards.

    Raises:
        DataError: It cannot be fetched.
    """
    filesystem, path = open_store(url)
    if not _is_remote(url):
        yield Path(path)
        return
    with _own_folder("recon3d-in-", Path(tempfile.gettempdir())) as folder:
        target = folder / PurePosixPath(path).name
        try:
            if filesystem.isdir(path):
                _fetch_folder(filesystem, path, target)
            else:
                filesystem.get_file(path, str(target))
        except Exception as exc:  # every protocol has errors of its own
            raise DataError(
                f"cannot fetch {url} ({exc}): check its address, your credentials and the space in "
                f"{folder.parent}"
            ) from exc
        yield target


def _fetch_folder(filesystem: Any, path: str, target: Path) -> None:
    # Not `get(recursive=True)`, which puts the files elsewhere when the folder is there.
    files = filesystem.find(path)
    if not files:
        raise FileNotFoundError(path)
    for file in files:
        place = target / PurePosixPath(file).relative_to(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        filesystem.get_file(file, str(place))


def read_done(folder: str) -> bytes | None:
    """The record of a result that is whole; None where there is none."""
    filesystem, path = open_store(folder)
    try:
        data: bytes = filesystem.cat_file(f"{path}/{DONE}")
    except (OSError, ValueError):
        return None
    return data


def write_document(url: str, document: Mapping[str, Any]) -> None:
    """Write a JSON file to a path or URL.

    Raises:
        OutputError: It cannot be written.
    """
    filesystem, path = open_store(url)
    if not _is_remote(url):
        write_json(Path(path), document)
        return
    try:
        filesystem.pipe_file(path, json.dumps(finite(document), indent=1).encode())
    except Exception as exc:  # every protocol has errors of its own
        raise OutputError(f"cannot write {url} ({exc}): check its address and permissions") from exc


def publish(draft: Path, folder: str) -> None:
    """Bring a finished local folder, which holds `DONE`, to its place; what was there is replaced.

    A local folder appears under its name whole. An object store gets `DONE` as its last file.

    Raises:
        OutputError: It cannot be written.
    """
    filesystem, path = open_store(folder)
    try:
        if not _is_remote(folder):
            _replace(draft, Path(path))
            return
        if filesystem.exists(path):
            filesystem.rm(path, recursive=True)
        files = sorted(
            (file for file in draft.rglob("*") if file.is_file()), key=lambda file: file.name == DONE
        )
        for file in files:
            filesystem.put_file(str(file), f"{path}/{file.relative_to(draft).as_posix()}")
    except Exception as exc:  # every protocol has errors of its own
        raise OutputError(f"cannot write {folder} ({exc}): check its address, permissions and space") from exc


@contextmanager
def drafted(folder: str) -> Iterator[Path]:
    """A local folder for results on their way to `folder`, removed afterwards unless it was published."""
    _, path = open_store(folder)
    if _is_remote(folder):
        with _own_folder("recon3d-out-", Path(tempfile.gettempdir())) as draft:
            yield draft
        return
    parent = Path(path).parent  # on the same disk, so that it can be renamed
    make_folder(parent)
    with _own_folder(f".{Path(path).name}.", parent) as draft:
        yield draft


def remove_stale(folder: str) -> None:
    """Remove the drafts of a result whose writers are dead."""
    _, path = open_store(folder)
    if not _is_remote(folder):
        _sweep(f".{Path(path).name}.", Path(path).parent)


@contextmanager
def _own_folder(prefix: str, parent: Path) -> Iterator[Path]:
    """A new folder, locked as long as its process lives, and removed at the end of the block.

    Those of the same prefix whose process was killed go as well.
    """
    _sweep(prefix, parent)
    try:
        new = Path(tempfile.mkdtemp(prefix=".recon3d-", dir=parent))
        new.chmod(0o755)
        lock = os.open(new, os.O_RDONLY)
        with suppress(OSError):  # a filesystem without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It gets its name when it is locked: what has such a name and is not locked has no owner.
        folder = new.rename(parent / f"{prefix}{uuid.uuid4().hex}{_DRAFT}")
    except OSError as exc:
        raise OutputError(f"cannot make a folder in {parent} ({exc.strerror}): choose another place") from exc
    try:
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(prefix: str, parent: Path) -> None:
    for folder in parent.glob(f"{glob.escape(prefix)}*{_DRAFT}"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def open_store(url: str) -> tuple[Any, str]:
    """The filesystem of a path or URL, and the path in it.

    Raises:
        ConfigError: The protocol of the URL is unknown or not installed.
    """
    fsspec: Any = require("fsspec", "ray")
    try:
        filesystem, path = fsspec.core.url_to_fs(os.path.expanduser(url))
    except (ImportError, ValueError) as exc:
        raise ConfigError(f"cannot open {url} ({exc}): install the filesystem of its protocol") from exc
    return filesystem, str(path)


def _as_urls(filesystem: Any, paths: Sequence[str], pattern: str) -> list[str]:
    return [filesystem.unstrip_protocol(path) if _is_remote(pattern) else path for path in paths]


def _is_remote(url: str) -> bool:
    protocol = url.partition("://")[0] if "://" in url else "file"
    return protocol not in ("file", "local")


def _replace(draft: Path, place: Path) -> None:
    former = place.with_name(f".{place.name}.{uuid.uuid4().hex}.tmp")
    if place.exists():
        os.rename(place, former)
    try:
        os.rename(draft, place)
    except OSError:
        if former.exists():
            os.rename(former, place)
        raise
    shutil.rmtree(former, ignore_errors=True)
