"""Which samples are scored: data sets, parts of them, and what was done to their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from recon3d_ros.datasets import GROUPS, open_dataset
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.spec import parse_spec
from recon3d_ros.errors import ConfigError, DataError
from recon3d_ros.evaluation.degradation import UNCHANGED, Degradation
from recon3d_ros.evaluation.zoom import zoomed
from recon3d_ros.geometry import Sample
from recon3d_ros.mapping.trajectory import Trajectory


class EvaluationSet(NamedTuple):
    """A data set as it is scored: its name in the report, its samples, what was done to their images.

    `has_pairs` is what its first sample has, `note` what its reader has to say of it.
    """

    name: str
    samples: Sequence[Sample]
    has_pairs: bool
    degradation: Degradation = UNCHANGED
    note: str = ""


def open_sets(
    data: str,
    root: Path | None = None,
    limit: int | None = None,
    zooms: Sequence[float] = (1.0,),
    degradations: Sequence[Degradation] = (UNCHANGED,),
    poses: Trajectory | None = None,
) -> list[EvaluationSet]:
    """Open every data set with every zoom and every degradation; samples are made when they are asked for.

    Args:
        data: Names or folders with commas between them; a group's name stands for its members.
        root: Of the data folder; None takes it from the environment.
        limit: Only so many first frames of each.
        zooms: See `zoomed`.
        degradations: Of the images.
        poses: Of the camera; with them the (left) images are scored alone, each with its pose.

    Raises:
        ConfigError: No name was given, or a degradation cannot be applied to a set.
        DataError: A set is not there, or empty.
    """
    names = [name for name in data.split(",") if name]
    if not names:
        raise ConfigError(f"expected data sets after --data, got {data!r}: name a data set")
    sets = []
    for name in dict.fromkeys(member for group in names for member in GROUPS.get(group, (group,))):
        whole = open_dataset(name, root)
        if not whole:
            raise DataError(f"expected frames in {name}, got none: correct its entry in INDEX.json")
        samples: Sequence[Sample] = whole[:limit]
        if poses is not None:
            samples = _posed(samples, poses, parse_spec(name).first)
        note = f"{name}: {whole.note}" if whole.note else ""
        for zoom in zooms:
            for degradation in degradations:
                words = filter(None, (name, f"x{zoom:g}" if zoom != 1 else "", degradation.label))
                changed = _changed(samples, zoom, degradation)
                has_pairs = changed[0].frame.is_stereo
                sets.append(EvaluationSet(" ".join(words), changed, has_pairs, degradation, note))
    return sets


def _posed(samples: Sequence[Sample], poses: Trajectory, first: int) -> LazySequence[Sample]:
    def load(i: int) -> Sample:
        sample = samples[i]
        return replace(sample, frame=poses.posed(sample.frame.single, first + i))

    return LazySequence(range(len(samples)), load)


def _changed(samples: Sequence[Sample], zoom: float, degradation: Degradation) -> Sequence[Sample]:
    """The samples as another lens and a worse camera would show them."""
    return LazySequence(range(len(samples)), lambda i: degradation.apply(zoomed(samples[i], zoom), seed=i))
