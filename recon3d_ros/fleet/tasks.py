"""What is to be done: a task is a recording, or a piece of one, with the options it is processed with."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath

from recon3d_ros import __version__
from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig, ScaleConfig
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.fleet.storage import fetched, fingerprint
from recon3d_ros.model_zoo.registry import find_model

FORMATS = ("bag", "ply", "html")


@dataclass(frozen=True)
class Job:
    """What holds for all recordings.

    Attributes:
        out: Folder or URL; every recording gets a folder of its name in it.
        process: Which topics, and how.
        model: The model.
        pipeline: Limits and filters.
        scale: What gives the scale of a mono model.
        formats: Of `FORMATS`: clouds and depth as a bag, clouds as PLY, a report page.
        piece_s: Recordings are cut into pieces of this length; 0 = not at all.
        warm_up_s: A piece reads this much before its beginning, for filters with a memory and late partners.
    """

    out: str
    process: ProcessConfig
    model: ModelConfig
    pipeline: PipelineConfig
    scale: ScaleConfig
    formats: tuple[str, ...] = ("bag",)
    piece_s: float = 0.0
    warm_up_s: float = 1.0


@dataclass(frozen=True)
class Task:
    """One recording, or the part of it that was recorded in [from_ns, until_ns).

    Attributes:
        job: What holds for all.
        recording: Path or URL.
        folder: Where its results go.
        key: Changes with the content of the recording, the options, the model and the version.
        from_ns: None = from its beginning.
        until_ns: None = to its end.
    """

    job: Job
    recording: str
    folder: str
    key: str
    from_ns: int | None = None
    until_ns: int | None = None

    @property
    def name(self) -> str:
        """The end of its folder, for tables."""
        return self.folder.removeprefix(self.job.out.rstrip("/")).lstrip("/")


@dataclass
class Outcome:
    """How a task went; what it wrote is in its folder.

    Attributes:
        name: Of the task.
        error: Why it failed; empty = it did not.
        skipped: Whether it had been done before.
        frames: Frames of the recording.
        written: Those that came through.
        dropped: The others, by cause.
        valid_share: Mean share of pixels with depth of the written frames.
        seconds: Wall time.
        worker: Host and process.
    """

    name: str
    error: str = ""
    skipped: bool = False
    frames: int = 0
    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    valid_share: float = float("nan")
    seconds: float = 0.0
    worker: str = ""


def plan(recordings: Sequence[str], job: Job) -> Iterator[Task]:
    """The tasks of recordings, in their order.

    Raises:
        DataError: A recording cannot be read; nobody has to wait for hours to hear it.
        Recon3dError: There is no such model.
    """
    manifest = find_model(job.model.model, job.model.models_dir, stereo=job.process.is_stereo)
    models = sorted(artifact.sha256 for artifact in manifest.artifacts)
    options = [asdict(config) for config in (job.process, job.model, job.pipeline, job.scale)]
    shared = [__version__, manifest.name, models, options, job.formats, job.warm_up_s]
    for recording, name in zip(recordings, _names(recordings)):
        content = [*shared, fingerprint(recording)]
        folder = f"{job.out.rstrip('/')}/{name}"
        pieces = list(_pieces(recording, job.piece_s))
        for number, (from_ns, until_ns) in enumerate(pieces):
            key = hashlib.sha256(json.dumps([*content, from_ns, until_ns]).encode()).hexdigest()
            own = f"{folder}/piece_{number:04d}" if len(pieces) > 1 else folder
            yield Task(job, recording, own, key, from_ns, until_ns)


def _names(recordings: Sequence[str]) -> list[str]:
    """A name for each: that of its file or folder, numbered where another has it."""
    names: list[str] = []
    for recording in recordings:
        stem = PurePosixPath(recording).stem or "recording"
        count = 1
        name = stem
        while name in names:
            count += 1
            name = f"{stem}_{count}"
        names.append(name)
    return names


def _pieces(recording: str, piece_s: float) -> Iterator[tuple[int | None, int | None]]:
    if piece_s <= 0:
        yield None, None
        return
    with fetched(recording) as path, Bag(path) as bag:
        first_ns, last_ns = bag.span_ns
    step_ns = round(piece_s * 1e9)
    starts = range(first_ns, max(last_ns, first_ns + 1), step_ns)
    for start in starts:
        # The first and the last piece are open, as nothing must fall between them.
        yield (
            None if start == starts[0] else start,
            None if start == starts[-1] else start + step_ns,
        )
