"""What is to be done: a task is a piece of work on one input, whose results are a folder of their own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from recon3d_ros import __version__
from recon3d_ros.backends import device_of
from recon3d_ros.config import Config, ModelConfig, options
from recon3d_ros.errors import ModelError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.kept_estimator import KeptEstimator
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import find_model


class Job(Protocol):
    """What holds for all tasks of a run, and what is done for each; a worker gets a copy of it."""

    @property
    def out(self) -> str:
        """Folder or URL; every task gets a folder in it."""
        ...

    def fingerprint(self, task: Task) -> str:
        """What changes with the content of the input of a task; computed in a worker.

        Raises:
            Recon3dError: It cannot be read.
        """
        ...

    def work(self, task: Task, draft: Path, outcome: Outcome, opener: KeptEstimator) -> None:
        """Do a task in a worker.

        Args:
            task: Which one.
            draft: A folder for its results, which appears in its place when this returns.
            outcome: To fill in.
            opener: For models.

        Raises:
            Recon3dError: Why it cannot be done; that becomes its outcome.
        """
        ...


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes:
        job: What holds for all.
        source: Path or URL of its input, or the name of a data set.
        name: The end of its folder, for tables.
        key: Changes with the options, the model and the version; see `key_of`.
        part: Which part of the input, or what to do with it; known to the job.
        fault: Why it cannot even be planned; empty = it can.
    """

    job: Job
    source: str
    name: str
    key: str
    part: Any = None
    fault: str = ""

    @property
    def folder(self) -> str:
        """Where its results go."""
        return f"{self.job.out.rstrip('/')}/{self.name}"


@dataclass
class Outcome:
    """How a task went; what it wrote is in its folder.

    Attributes:
        name: Of the task.
        source: Of the task.
        error: Why it failed; empty = it did not.
        skipped: Whether it had been done before.
        missing: Which part of the results could not be made, or is of no use; empty = none.
        images: Images read; of a pair both count.
        unmatched: Those of them without a partner: the other side of a pair, or an earlier view of a moving
            camera that shows their depth.
        frames: Complete frames, of one image or two: written + the sum of dropped.
        written: Those that came through.
        dropped: The others, by cause.
        reasons: A sentence for each cause.
        valid_share: Mean share of pixels with depth of the written frames.
        seconds: Wall time.
        cpu_s: Processor time, of all threads of the worker.
        memory_mb: Peak memory of the worker, since it started.
        worker: Host and process.
        content: Fingerprint of the input.
        result: Of a kind of task that leaves more than files.
    """

    name: str
    source: str = ""
    error: str = ""
    missing: str = ""
    skipped: bool = False
    images: int = 0
    unmatched: int = 0
    frames: int = 0
    written: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    valid_share: float = float("nan")
    seconds: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0
    worker: str = ""
    content: str = ""
    result: Any = None

    @property
    def lost(self) -> int:
        """Number of dropped frames."""
        return sum(self.dropped.values())

    @property
    def complaint(self) -> str:
        """Why it failed, or else what it lost; empty = nothing."""
        if self.error or self.missing or not self.dropped:
            return self.error or self.missing
        cause = min(self.dropped)
        return (
            f"{self.lost} of {self.frames} frames were dropped, first of {cause}: "
            f"{self.reasons.get(cause, cause)}"
        )


def key_of(*content: Any) -> str:
    """The sha256 of this version and of whatever decides about a result.

    Args:
        content: What JSON knows, and dataclasses. A file that an option names counts with its content.
    """
    text = json.dumps([__version__, *content], default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def model_identity(manifest: Manifest) -> str:
    """Changes with the weights of a model and with what its manifest says of them."""
    document = asdict(manifest)
    document.pop("path")
    return hashlib.sha256(json.dumps(document, default=str, sort_keys=True).encode()).hexdigest()


def pinned(model: ModelConfig, stereo: bool) -> tuple[ModelConfig, str]:
    """A config that means the same model on every machine, and its identity: `auto` depends on the device.

    Raises:
        Recon3dError: There is no such model.
    """
    device = device_of(model.backend)
    manifest = find_model(model.model, model.models_dir, device=device, stereo=stereo)
    manifest.require_depth()
    name = manifest.name if model.model == "auto" else model.model
    return replace(model, model=name), model_identity(manifest)


def opened(model: ModelConfig, identity: str, stereo: bool, opener: KeptEstimator) -> Estimator:
    """The model that was meant.

    Raises:
        ModelError: That of this machine differs from that of who planned, or cannot be opened.
        MissingDependencyError, BackendError: It cannot be opened.
    """
    estimator = opener(model, stereo)
    if model_identity(estimator.manifest) != identity:
        raise ModelError(
            f"expected the model {estimator.manifest.name} that the command was started with, this machine "
            "has another one of that name: install the same one on every machine"
        )
    return estimator


def names_of(sources: Sequence[str]) -> Iterator[str]:
    """A name for each: that of its file or folder, numbered where another has it."""
    given: set[str] = set()
    for source in sources:
        stem = PurePosixPath(source).stem or "recording"
        name, count = stem, 1
        while name in given:
            count += 1
            name = f"{stem}_{count}"
        given.add(name)
        yield name


def _plain(value: Any) -> Any:
    """What JSON does not know, as something it knows."""
    if not is_dataclass(value):
        return str(value)
    document = {item.name: getattr(value, item.name) for item in fields(value)}
    named = [spec.name for spec in options(type(value)) if spec.path] if isinstance(value, Config) else []
    for name in named:
        if os.path.isfile(path := os.path.expanduser(document[name])):
            document[name] = hashlib.sha256(read_bytes(path)).hexdigest()
    return document
