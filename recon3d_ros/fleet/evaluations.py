"""Many methods on many sets, each pair of them in a folder: what `recon3d evaluate --out` does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recon3d_ros.config import ModelConfig
from recon3d_ros.datasets import DATASETS, GROUPS, WORLDS
from recon3d_ros.errors import ConfigError, Recon3dError
from recon3d_ros.estimation.kept_estimator import KeptEstimator
from recon3d_ros.evaluation import EvaluationSet, Gallery, SgbmEstimator, open_sets, score_set
from recon3d_ros.evaluation.degradation import UNCHANGED, Degradation
from recon3d_ros.evaluation.page import evaluation_page
from recon3d_ros.evaluation.records import to_record
from recon3d_ros.evaluation.runs import (
    SGBM,
    EvaluationRun,
    Method,
    config_of,
    list_runs,
    method_of,
    with_denoiser,
)
from recon3d_ros.files import write_json
from recon3d_ros.fleet.storage import fetched, find_inputs, fingerprint, is_pattern, split_suffix
from recon3d_ros.fleet.tasks import Outcome, Task, key_of, model_identity, names_of, opened
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.reports import write_page

FORMATS = ("json", "pictures", "html")


class EvaluationPart(NamedTuple):
    """One method on one set.

    Attributes:
        run: The method.
        identity: Of its model; empty for the baseline.
        label: The set as it was named; its name in the report.
        zoom: See `zoomed`.
        degradation: Of the images.
        denoiser: Of `DENOISERS`, or none.
    """

    run: EvaluationRun
    identity: str
    label: str
    zoom: float
    degradation: Degradation
    denoiser: str


@dataclass(frozen=True)
class EvaluateJob:
    """What holds for all methods and sets.

    Attributes:
        out: Folder or URL.
        model: Options of the models, apart from name and precision.
        root: Folder with INDEX.json of the sets that have a name; empty = of the environment of the worker.
        limit: Only so many first frames of each set.
        by: Names of breakdowns.
        formats: Of `FORMATS`; json is always written.
        picture_frames: Frames to draw of a set without pairs.
    """

    out: str
    model: ModelConfig
    root: str = ""
    limit: int | None = None
    by: tuple[str, ...] = ()
    formats: tuple[str, ...] = ("json",)
    picture_frames: int = 12

    def fingerprint(self, task: Task) -> str:
        """Of the files of a set, or of the samples of one that has a name."""
        place, _ = split_suffix(task.source)
        if place in WORLDS:
            return ""  # of this version, which is in every key
        if place not in DATASETS:
            return fingerprint(place)
        with self.opened_set(task.source, task.source) as one:
            return _content_of(one)

    def work(self, task: Task, draft: Path, outcome: Outcome, opener: KeptEstimator) -> None:
        """Score one method on one set."""
        part: EvaluationPart = task.part
        drawn = {"pictures", "html"} & set(self.formats)
        folder = draft / "pictures" if "pictures" in self.formats else None
        with self.opened_set(task.source, part.label, part.zoom, part.degradation) as one:
            method = with_denoiser(self._method(part, opener), part.denoiser, one)
            gallery = Gallery(folder, self.picture_frames) if drawn else None
            labels = (method.name, method.precision)
            scores = score_set(method.estimator, one, labels, gallery, self.by)
        outcome.frames = outcome.written = len(scores.score.frames)
        outcome.valid_share = scores.score.metrics.get("coverage", float("nan"))
        outcome.result = to_record(scores)
        write_json(draft / "scores.json", outcome.result)
        if gallery is not None:
            curves = [] if scores.reliability is None else [scores.reliability]
            gallery.write(curves)
            if "html" in self.formats:
                page = evaluation_page([scores.score], curves, scores.groups, gallery)
                write_page(draft / "report.html", page)

    def _method(self, part: EvaluationPart, opener: KeptEstimator) -> Method:
        if part.run.method == SGBM:
            return Method(SgbmEstimator(), SgbmEstimator.name, None)
        config = config_of(part.run, self.model)
        return method_of(opened(config, part.identity, True, opener))

    @contextmanager
    def opened_set(
        self, source: str, label: str, zoom: float = 1.0, degradation: Degradation = UNCHANGED
    ) -> Iterator[EvaluationSet]:
        """A set with what is to be done to its images; one that lies elsewhere is fetched for the block.

        Raises:
            DataError: It is not there, or empty.
        """
        place, suffix = split_suffix(source)
        if place in (*DATASETS, *WORLDS):
            yield self._set(source, label, zoom, degradation)
            return
        with fetched(place) as path:
            yield self._set(f"{path}{suffix}", label, zoom, degradation)

    def _set(self, spec: str, label: str, zoom: float, degradation: Degradation) -> EvaluationSet:
        root = Path(self.root) if self.root else None
        (one,) = open_sets(spec, root, self.limit, (zoom,), (degradation,))
        return one._replace(name=label + one.name.removeprefix(spec))


def plan_evaluations(
    sources: Sequence[str],
    job: EvaluateJob,
    methods: tuple[str, str, str],
    changes: tuple[Sequence[float], Sequence[Degradation], Sequence[str]] = ((1.0,), (UNCHANGED,), ("none",)),
    tell: Callable[[str], None] = lambda words: None,
) -> list[Task]:
    """The tasks of methods and sets: the methods one after the other, as a worker keeps one model.

    Every set is opened once, to see whether it has pairs; one that lies elsewhere is fetched for that. What
    cannot be opened is a task with a fault.

    Args:
        sources: Names of sets, paths, and patterns of paths or URLs.
        job: What holds for all.
        methods: Models, baseline and precisions, as of `list_runs`.
        changes: Zooms, degradations and denoisers.
        tell: Gets what a reader has to say of a set, and why a method leaves one out.

    Raises:
        ConfigError: Nothing is left to do.
        DataError: Nothing matches a pattern.
        Recon3dError: There is no such model.
    """
    places = _places(sources)
    stems = dict(zip(places, names_of([split_suffix(place)[0].rstrip("/") for place in places])))
    zooms, degradations, denoisers = changes
    kinds, faults = _kinds(places, job, zooms, tell)
    models, baseline, precisions = methods
    runs = list_runs(models, baseline, precisions, set(kinds.values()), job.model)
    tasks: list[Task] = []
    for run in runs:
        identity, needs_pairs, method = _of_run(run, job.model)
        for place, zoom, degradation in product(places, zooms, degradations):
            has_pairs = kinds.get((place, zoom))
            if None not in (has_pairs, run.pairs) and has_pairs != run.pairs:
                continue
            if needs_pairs and has_pairs is False:
                if run.method != baseline or models == "none":
                    tell(f"{method} needs pairs and {place} has none: left out")
                continue
            for denoiser in denoisers:
                part = EvaluationPart(run, identity, place, zoom, degradation, denoiser)
                tasks.append(_task(job, stems[place], part, faults.get(place, "")))
    if not tasks:
        raise ConfigError("expected a method for the sets, got none: give a mono model, such as recon3d_mono")
    return tasks


def _kinds(
    places: Sequence[str], job: EvaluateJob, zooms: Sequence[float], tell: Callable[[str], None]
) -> tuple[dict[tuple[str, float], bool], dict[str, str]]:
    """Whether sets have pairs, by place and zoom; what is wrong with those that cannot be opened."""
    kinds: dict[tuple[str, float], bool] = {}
    faults: dict[str, str] = {}
    for place, zoom in product(places, zooms):
        try:
            with job.opened_set(place, place, zoom) as one:
                kinds[place, zoom] = one.has_pairs
                if one.note and zoom == zooms[0]:
                    tell(one.note)
        except Recon3dError as exc:
            faults[place] = str(exc)
    return kinds, faults


def _of_run(run: EvaluationRun, config: ModelConfig) -> tuple[str, bool, str]:
    """Identity of the model, whether it needs pairs, and its name."""
    if run.method == SGBM:
        return "", True, SGBM
    manifest = find_model(run.method, config.models_dir)
    manifest.require_depth()
    return model_identity(manifest), manifest.is_stereo, manifest.name


def _task(job: EvaluateJob, stem: str, part: EvaluationPart, fault: str) -> Task:
    run, (_, suffix) = part.run, split_suffix(part.label)
    method = "-".join(filter(None, (Path(run.method).stem, run.precision)))
    changes = (
        suffix.replace("/", "_").replace(":", "_"),
        f"_x{part.zoom:g}" if part.zoom != 1 else "",
        f"_{part.degradation.label.replace(' ', '')}" if part.degradation.kind else "",
        f"_{part.denoiser}" if part.denoiser != "none" else "",
    )
    key = key_of("evaluate", part, job.model, job.limit, job.by, job.formats, job.picture_frames)
    return Task(job, part.label, f"{stem}{''.join(changes)}/{method}", key, part, fault)


def _places(sources: Sequence[str]) -> list[str]:
    places: list[str] = []
    for source in sources:
        for member in GROUPS.get(source, (source,)):
            place, suffix = split_suffix(member)
            if place in (*DATASETS, *WORLDS) or not is_pattern(place) or Path(place).exists():
                places.append(member)
            else:
                places += [f"{found}{suffix}" for found in find_inputs(place)]
    return list(dict.fromkeys(places))


def _content_of(one: EvaluationSet) -> str:
    """The sha256 of all samples of a set."""
    digest = hashlib.sha256()
    for sample in one.samples:
        frame = sample.frame
        for array in (frame.image, frame.right, sample.disparity, sample.depth):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        cameras = [frame.camera, *([] if frame.rig is None else [frame.rig.right])]
        digest.update(repr((sample.name, [camera.to_dict() for camera in cameras])).encode())
    return digest.hexdigest()
