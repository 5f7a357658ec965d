"""The cache of built engines: a description beside each, one builder at a time, nothing trusted unread."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from recon3d_ros.errors import BackendError, DataError, OutputError
from recon3d_ros.files.disk import make_folder, read_json, write_atomically, write_json
from recon3d_ros.system.progress import NO_PROGRESS, Progress

log = logging.getLogger(__name__)

_POLL_S = 0.2
_SUFFIX = ".engine"
_MAX_SIDECAR_BYTES = 1 << 20
# Flavours that compile for one size each, while the model serves.
ONE_PER_SIZE = frozenset({"openvino"})


@dataclass(frozen=True)
class EngineOptions:
    """How a backend gets its engine.

    Args:
        flavour: auto, tensorrt or tensorrt_rtx.
        arithmetic: Of OpenVINO: auto, bf16, f16 or f32.
        sizes_wh: Sizes of the network's input, one optimisation profile each; none = that of the manifest.
        rebuild: Build even if there is one.
        progress: Gets how far a build is.
    """

    flavour: str = "auto"
    sizes_wh: tuple[tuple[int, int], ...] = ()
    rebuild: bool = False
    progress: Progress = NO_PROGRESS
    arithmetic: str = "auto"


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on; two engines with equal keys may stand in for each other.

    Attributes:
        model: name and
        precision: of the artifact and
        onnx_sha256: its sum, with those of the files that hold its weights, and of plug-in libraries.
        flavour: tensorrt, tensorrt_rtx or openvino and
        version: of it.
        target: device, compute capability, driver and CUDA; of portable engines the set of devices.
        shapes: of the inputs, a profile each.
        options: of the builder.
    """

    model: str
    precision: str
    onnx_sha256: str
    flavour: str
    version: str
    target: Mapping[str, str]
    shapes: tuple[str, ...]
    options: str

    @property
    def stem(self) -> str:
        """Name of the files, without suffix: model, precision and a digest of everything."""
        digest = hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()
        return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', self.model)}-{self.precision}-{digest[:16]}"

    def as_dict(self) -> dict[str, Any]:
        """The key as it stands in the sidecar."""
        return {**asdict(self), "target": dict(self.target), "shapes": list(self.shapes)}


@dataclass(frozen=True)
class StoredEngine:
    """What the JSON beside an engine says: its key, sum and size, and the result of its self-check.

    ``verdict`` is empty before the self-check, then ``passed``, or why the engine must not serve.
    """

    key: Mapping[str, Any]
    sha256: str = ""
    size: int = 0
    build_seconds: float = 0.0
    built: str = ""
    verdict: str = ""
    stem: str = field(default="", compare=False)

    @property
    def quarantined(self) -> bool:
        """Whether the engine failed its self-check."""
        return self.verdict not in ("", "passed")


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/recon3d_ros/engines`, or below `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "recon3d_ros" / "engines"


class EngineStore:
    """A folder of engines, each `<stem>.engine` with `<stem>.json` beside it.

    Args:
        folder: Made when something is put there; None for `default_folder`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def path(self, stem: str) -> Path:
        """Where the engine lies."""
        return self.folder / f"{stem}{_SUFFIX}"

    def entries(self) -> list[StoredEngine]:
        """Every sidecar that can be read, and an empty entry for every engine without."""
        stems = {path.stem for path in [*self.folder.glob(f"*{_SUFFIX}"), *self.folder.glob("*.json")]}
        return [self.entry(stem) or StoredEngine({}, stem=stem) for stem in sorted(stems)]

    def entry(self, stem: str) -> StoredEngine | None:
        """The sidecar of an engine; None when it is missing or not one."""
        try:
            content = read_json(self.folder / f"{stem}.json", _MAX_SIDECAR_BYTES)
            entry = StoredEngine(**content, stem=stem)
        except (DataError, TypeError):
            return None
        texts = (entry.sha256, entry.built, entry.verdict)
        good = isinstance(entry.key, dict) and all(isinstance(text, str) for text in texts)
        good &= isinstance(entry.size, int) and isinstance(entry.build_seconds, (int, float))
        return entry if good else None

    def get_or_build(self, key: EngineKey, build: Callable[[], bytes], options: EngineOptions) -> bytes:
        """Return the engine of a key, or have it built and kept.

        Args:
            key: Of the engine.
            build: Builds it, which may take minutes; called by one process at a time.
            options: Whether to build in any case, and who hears that another process builds it.

        Raises:
            BackendError: it is in quarantine, or the build failed.
        """
        began = time.monotonic()
        with self._lock(key, options.progress):
            waited = time.monotonic() - began > _POLL_S
            content, reason = (None, "") if options.rebuild and not waited else self._load(key)
            if content is not None:
                return content
            if reason:
                log.warning("%s: building %s (%s) again", reason, key.model, key.precision)
            began = time.monotonic()
            content = build()
            try:
                self.put(key, content, time.monotonic() - began)
            except OutputError as exc:
                log.warning("%s; the engine is used, but built again at the next start", exc)
            return content

    def put(self, key: EngineKey, content: bytes, build_seconds: float) -> None:
        """Keep an engine: the engine first, then its description, each whole or not at all.

        Raises:
            OutputError: the folder is read-only, the disk is full.
        """
        make_folder(self.folder)
        built = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        digest = hashlib.sha256(content).hexdigest()
        write_atomically(self.path(key.stem), content)
        self._describe(
            StoredEngine(key.as_dict(), digest, len(content), round(build_seconds, 3), built, "", key.stem)
        )

    def record_check(self, key: EngineKey, verdict: str) -> None:
        """Write the result of the self-check into the description.

        Raises:
            OutputError: it cannot be written.
        """
        entry = self.entry(key.stem)
        if entry is not None and entry.verdict != verdict:
            self._describe(replace(entry, verdict=verdict))

    def discard(self, stem: str) -> None:
        """Remove an engine and all that lies beside it.

        Raises:
            OutputError: it cannot be removed.
        """
        try:
            for path in (self.path(stem), *self.folder.glob(f"{stem}.*")):
                path.unlink(missing_ok=True)
        except OSError as exc:
            raise OutputError(
                f"cannot remove {self.path(stem)} ({exc.strerror}): check the permissions of {self.folder}"
            ) from exc

    @contextmanager
    def _lock(self, key: EngineKey, progress: Progress) -> Iterator[None]:
        """Hold the lock of a key; waits while another process or thread holds it.

        The kernel gives it back when its holder dies, however that comes. Where no file can be made, there
        is nothing to share and nothing to lock.
        """
        try:
            make_folder(self.folder)
            file = open(self.folder / f"{key.stem}.lock", "a+")
        except (OSError, OutputError):
            yield
            return
        with file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    file.seek(0)
                    progress.update(f"process {file.read(20).strip() or 'unknown'} builds it")
                    time.sleep(_POLL_S)
            with suppress(OSError):  # a full disk: the number is for people only
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            yield

    def _load(self, key: EngineKey) -> tuple[bytes | None, str]:
        """Return the engine of a key, or None and why there is none that can be trusted ("" = never built).

        Raises:
            BackendError: it is in quarantine.
        """
        path, entry = self.path(key.stem), self.entry(key.stem)
        if entry is None:
            return None, f"{path.name} has no readable description" if path.exists() else self._stale(key)
        if entry.quarantined and entry.key == key.as_dict():
            again = f"recon3d engines build {key.model} --precision {key.precision} --force"
            if key.flavour in ONE_PER_SIZE:
                again = "recon3d engines prune, which removes it"
            raise BackendError(
                f"engine {path.name} is in quarantine since its self-check ({entry.verdict}): build it "
                f"again with {again}"
            )
        return self._read(path, entry, key)

    def _describe(self, entry: StoredEngine) -> None:
        content = {name: value for name, value in asdict(entry).items() if name != "stem"}
        write_json(self.folder / f"{entry.stem}.json", content)

    def _read(self, path: Path, entry: StoredEngine, key: EngineKey) -> tuple[bytes | None, str]:
        if entry.key != key.as_dict():
            return None, f"{path.name} is described as another engine ({_difference(entry.key, key)})"
        try:
            content = path.read_bytes()
        except OSError as exc:
            return None, f"{path.name} cannot be read ({exc.strerror})"
        if len(content) != entry.size:
            return None, f"{path.name} is truncated: expected {entry.size} bytes, got {len(content)}"
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            return None, f"{path.name} is damaged: its sha256 is not the one it was written with"
        return content, ""

    def _stale(self, key: EngineKey) -> str:
        """Why an engine of the same model and precision does not do; empty when there is none."""
        for entry in self.entries() if key.flavour not in ONE_PER_SIZE else ():
            same = (entry.key.get("model"), entry.key.get("precision")) == (key.model, key.precision)
            if same and entry.key.get("flavour") == key.flavour:
                return f"{entry.stem}{_SUFFIX} is for another configuration ({_difference(entry.key, key)})"
        return ""


def _difference(words: Mapping[str, Any], key: EngineKey) -> str:
    """What differs, in words: "version 10.3 instead of 10.7"."""
    here, there = _flat(key.as_dict()), _flat(words)
    parts = [
        f"{name} {there.get(name)} instead of {here[name]}" for name in here if here[name] != there.get(name)
    ]
    return "; ".join(parts) or "nothing known differs"


def _flat(words: Mapping[str, Any]) -> dict[str, str]:
    target = words.get("target")
    flat = {name: _text(value) for name, value in words.items() if name != "target"}
    return flat | {
        name: str(value) for name, value in (target if isinstance(target, Mapping) else {}).items()
    }


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
