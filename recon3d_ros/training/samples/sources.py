"""What a run learns from: the world's scenes, and data sets with depth, each in a store of its own."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from recon3d_ros.datasets import open_dataset
from recon3d_ros.datasets.shapes import is_shape_source, open_shapes
from recon3d_ros.datasets.spec import parse_spec
from recon3d_ros.errors import DataError
from recon3d_ros.evaluation.world_clouds import DEPTH_SOURCES
from recon3d_ros.evaluation.world_objects import OBJECT_DEPTH_SOURCES, pack_object
from recon3d_ros.model_zoo.manifest import Manifest, TrainingSource
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.training.config import TrainConfig, parse_sources
from recon3d_ros.training.samples.augment_view import resized
from recon3d_ros.training.samples.store import SampleStore, pack_view

WORLD = "world"
# name of a source -> what it is, and its licence; what is not here is the user's own.
KNOWN_SOURCES = {
    WORLD: TrainingSource("procedural world of recon3d_ros", "Apache-2.0"),
    "nyuv2_train": TrainingSource("NYU Depth v2", "research use"),
}
# Frames of a film look alike: so many between those that validate and those that train belong to neither.
GUARD_FRAMES = 10
# Of a large set so many places validate, one for each `FRAMES_PER_BLOCK`: a single one says little.
LARGEST_BLOCKS, FRAMES_PER_BLOCK = 4, 200

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataStores:
    """Stores of a run.

    Attributes:
        training: Each with how often it is drawn from; the sum is 1.
        held_out: What validates: of the first source that the run names.
        world: The store of rendered scenes, which may still grow; None when nothing is rendered.
    """

    training: tuple[tuple[SampleStore, float], ...]
    held_out: SampleStore
    world: SampleStore | None


def open_stores(config: TrainConfig, channels: int) -> DataStores:
    """The stores of a run, before they are filled."""
    out = Path(config.out)
    folders = {name: out / "data" / _slug(name) for name in config.sources}
    held_out = SampleStore(out / "validation", channels)
    if WORLD in folders:
        folders[WORLD] = Path(config.pairs) if config.pairs else out / "pairs"
    stores = {name: SampleStore(folder, channels) for name, folder in folders.items()}
    training = tuple((stores[name], share) for name, share in config.sources.items())
    return DataStores(training, held_out, stores.get(WORLD))


def import_data(config: TrainConfig, sources: DataStores) -> None:
    """Bring data sets into their stores; what is there already stays.

    Frames of the first source validate, and none of them, nor of the guards around them, trains. Images
    larger than those that a run renders are shrunk.

    Raises:
        DataError: A data set cannot be read, has no depth or too few frames.
        OutputError: The disk is full or the folder not writable.
    """
    for place, (name, (store, _)) in enumerate(zip(config.sources, sources.training)):
        if name == WORLD:
            continue
        if is_shape_source(name):
            import_shapes(config, name, store, sources.held_out if place == 0 else None)
            continue
        samples = open_dataset(name)
        held, rest = split(len(samples), config.validation_pairs if place == 0 else 0)
        if not rest:
            raise DataError(f"expected more frames in {name} than {len(samples)}: add some")
        largest_wh = (config.render_width, config.render_height)
        parts = [(sources.held_out, held), (store, rest)]
        for target, frames in parts:
            for index in frames:
                if target.path(index).exists():
                    continue
                sample = samples[index]
                if sample.depth is None:
                    raise DataError(
                        f"expected depth beside the images of {name}, got none: choose another set"
                    )
                frame = sample.frame
                image, depth, fy = shrunk(frame.image, sample.depth, frame.camera.fy, largest_wh)
                target.write(index, pack_view(image, depth, fy))
            target.refresh()
        _LOG.info("%s: %d frames to learn from, %d held out", name, len(rest), len(held))


def import_shapes(config: TrainConfig, name: str, store: SampleStore, held_out: SampleStore | None) -> None:
    """Bring objects of `meshes:` or `shapenet:` into a store; with `held_out`, some shapes validate.

    Views of one shape never do both.
    """
    size_wh = (config.render_width, config.render_height)
    source = open_shapes(name, size_wh)
    total = len(source.views)
    wanted = max(1, min(config.validation_pairs, total // 5)) if held_out is not None else 0
    count = sum(shape <= source.shapes[wanted - 1] for shape in source.shapes) if wanted else 0
    if count == total:
        raise DataError(f"expected more shapes in {name} than {source.shapes[-1] + 1}: add some")
    for index in range(total):
        target = held_out if index < count and held_out is not None else store
        if not target.path(index).exists():
            target.write(index, pack_object(source.views[index]))
    for target in filter(None, (store, held_out)):
        target.refresh()
    _LOG.info("%s: %d views to learn from, %d held out", name, total - count, count)


def split(count: int, wanted: int) -> tuple[list[int], list[int]]:
    """Which of `count` frames validate, and which train.

    About `wanted` validate, a fifth at most of few frames, in blocks spread from the first frame on; guards
    around them do neither.
    """
    if not wanted:
        return [], list(range(count))
    held = max(1, min(wanted, count // 5))
    blocks = min(max(1, count // FRAMES_PER_BLOCK), LARGEST_BLOCKS, held)
    length, guard = held // blocks, min(GUARD_FRAMES, held // 4)
    firsts = [count * block // blocks for block in range(blocks)]
    validates = [first + i for first in firsts for i in range(length)]
    away = {frame for first in firsts for frame in range(first - guard, first + length + guard)}
    return validates, [frame for frame in range(count) if frame not in away]


def shrunk(
    image: np.ndarray, depth: np.ndarray, fy: float, largest_wh: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, float]:
    """An image, its depth and its focal length, no larger than `largest_wh`: a crop reads the less."""
    height, width = depth.shape
    ratio = min(1.0, largest_wh[0] / width, largest_wh[1] / height)
    if ratio == 1.0:
        return image, depth, fy
    size_wh = (round(width * ratio), round(height * ratio))
    return *resized(image, depth, size_wh), fy * size_wh[1] / height


def first_source(run: Mapping[str, Any]) -> str:
    """Of the options that a checkpoint keeps: the source whose frames validate; older ones name none."""
    return next(iter(parse_sources(run.get("data", WORLD))))


def source_name(name: str) -> str:
    """What a manifest calls a source: no folders of whoever trained, no part, no topics."""
    return Path(parse_spec(name).place).name


def _slug(name: str) -> str:
    """A folder's name of its own: `robot[:40]` and `robot[40:]` differ in more than their letters."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    return plain if plain == name else f"{plain}_{crc32(os.fsencode(name)):08x}"


def depth_sources(models: Iterable[str]) -> list[list[str]]:
    """[name, licence] of the networks whose depth has a part in clouds of the world; "" is exact depth."""
    pairs = []
    for model in filter(None, models):
        licence = find_model(model).licence
        pairs.append([f"depth of {model}", licence.weights])
        pairs += [[source.name, source.licence] for source in licence.sources]
    return pairs


def sources_of(names: Iterable[str], teacher: Manifest | None, inherited: list[list[str]]) -> list[list[str]]:
    """[name, licence] of everything that has a part in the weights of a run.

    Args:
        names: Of the sources that the run names.
        teacher: What also teaches.
        inherited: Of the weights it starts from.
    """
    found = [
        # A part of a set has the licence of the set.
        KNOWN_SOURCES.get(
            parse_spec(name).place, TrainingSource(source_name(name), "of the owner of these images")
        )
        for name in names
    ]
    if teacher is not None:
        found += [
            TrainingSource(f"predictions of {teacher.name}", teacher.licence.weights),
            *teacher.licence.sources,
        ]
    pairs = [*inherited, *([source.name, source.licence] for source in found)]
    return [list(pair) for pair in dict.fromkeys(map(tuple, pairs))]


def all_sources(config: TrainConfig, saved: dict[str, Any]) -> list[list[str]]:
    """[name, licence] of what a run learns from, and of what is in the weights that it goes on with."""
    teacher = load_manifest(config.teacher) if config.teacher else None
    measured = {"points": DEPTH_SOURCES, "completion": OBJECT_DEPTH_SOURCES}.get(config.task, ())
    inherited = [*saved.get("sources", []), *depth_sources(name for name, _ in measured)]
    return sources_of(config.sources, teacher, inherited)
