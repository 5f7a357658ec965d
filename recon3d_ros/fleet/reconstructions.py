"""Recordings to models, each in a folder: what `recon3d reconstruct --inputs` does."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ModelError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.kept_estimator import KeptEstimator
from recon3d_ros.fleet.storage import fetched, fingerprint
from recon3d_ros.fleet.tasks import Outcome, Task, key_of, names_of, opened, pinned
from recon3d_ros.offline.reconstruct_options import ReconstructOptions
from recon3d_ros.offline.reconstruct_recording import reconstruct_recording

#: Models by what an option names and whether pairs are meant: the one that it is, and its identity.
Models = Mapping[tuple[str, bool], tuple[ModelConfig, str]]


@dataclass(frozen=True)
class ReconstructJob:
    """What holds for all recordings.

    Attributes:
        out: Folder or URL; every recording gets a folder of its name in it.
        options: How. Its files of poses and calibration are named as they are inside every recording.
        suffix: Topics and part, as in ":/image:/depth[0:100]".
        calibration: Content of those files of `options.camera` that all recordings share, by name.
        models: That may be needed; `plan_reconstructions` fills it in.
    """

    out: str
    options: ReconstructOptions
    suffix: str = ""
    calibration: Mapping[str, bytes] = field(default_factory=dict)
    models: Models = field(default_factory=dict)

    def fingerprint(self, task: Task) -> str:
        """Of the files of the recording."""
        return fingerprint(task.source)

    def work(self, task: Task, draft: Path, outcome: Outcome, opener: KeptEstimator) -> None:
        """Reconstruct one recording."""

        def open_meant(config: ModelConfig, stereo: bool) -> Estimator:
            if (config.model, stereo) not in self.models:
                return opener(config, stereo)  # which says that it is not there
            model, identity = self.models[config.model, stereo]
            return opened(model, identity, stereo, opener)

        with fetched(task.source) as path, self._inside(path) as options:
            done = reconstruct_recording(f"{path}{self.suffix}", draft, options, open_meant)
        summary = done.summary
        outcome.images, outcome.unmatched = done.frames, summary["frames_without_parallax"]
        outcome.frames, outcome.written = done.frames - outcome.unmatched, summary["frames_used"]
        if done.skipped:
            outcome.dropped["not used"] = len(done.skipped)
            outcome.reasons["not used"] = ": ".join(next(iter(done.skipped.items())))
        if done.no_grid:
            outcome.missing = f"no map: {done.no_grid}"
        elif done.dropped_blocks:
            outcome.missing = f"{done.dropped_blocks} blocks did not fit into --max-mb: raise it"
        outcome.valid_share = done.valid_share
        outcome.result = {key: summary[key] for key in ("path_m", "faces", "size_m")}

    @contextmanager
    def _inside(self, recording: Path) -> Iterator[ReconstructOptions]:
        """The options for one recording, with the places of its files."""
        with tempfile.TemporaryDirectory(prefix="recon3d-camera-") as folder:
            files = []
            for name in self.options.camera:
                if name in self.calibration:
                    shared = Path(folder) / Path(name).name
                    shared.write_bytes(self.calibration[name])
                    files.append(str(shared))
                else:
                    files.append(str(recording / name))
            poses = self.options.poses and str(recording / self.options.poses)
            yield replace(self.options, camera=tuple(files), poses=poses)


def plan_reconstructions(recordings: Sequence[str], job: ReconstructJob) -> Iterator[Task]:
    """The tasks of recordings, in their order.

    Raises:
        ModelError: There is no model of the name that the options give.
    """
    models = dict(_models(job.options.model))
    job = replace(job, models=models)
    shared = {name: hashlib.sha256(data).hexdigest() for name, data in job.calibration.items()}
    identities = sorted(identity for _, identity in models.values())
    key = key_of("reconstruct", job.options, job.suffix, shared, identities)
    for recording, name in zip(recordings, names_of(recordings)):
        yield Task(job, recording, name, key)


def _models(model: ModelConfig) -> Iterator[tuple[tuple[str, bool], tuple[ModelConfig, str]]]:
    for name in dict.fromkeys((model.model, "auto")):  # auto: where depth from motion has no poses
        for stereo in (True, False):
            try:
                yield (name, stereo), pinned(replace(model, model=name), stereo)
            except ModelError:
                if name != "auto":  # else perhaps nobody needs it
                    raise
