"""`recon3d evaluate` for models of whole objects, against the mean shape and the nearest training shape."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from recon3d_ros import files
from recon3d_ros.cli.evaluate_labels import evaluate_labels, labels_points
from recon3d_ros.cli.flags import positive_integer, refuse
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.datasets.shapes import is_shape_source, open_shapes
from recon3d_ros.errors import ConfigError, ManifestError
from recon3d_ros.estimation.completion import ObjectCompleter
from recon3d_ros.estimation.objects import ObjectModel
from recon3d_ros.evaluation import shape_scores
from recon3d_ros.evaluation.world_objects import OBJECT_SIZE_WH, part_and_truth, view_and_truth
from recon3d_ros.files.shape_picture import draw_shape
from recon3d_ros.geometry.object_in_view import ObjectInView
from recon3d_ros.geometry.unit_frame import ObjectView
from recon3d_ros.model_zoo.registry import find_model

WORLD_OBJECTS = "world_objects"
Points = NDArray[np.float32]


def add_shape_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flag that is for models of whole objects."""
    parser.add_argument(
        "--library",
        type=positive_integer,
        default=shape_scores.LIBRARY_VIEWS,
        metavar="N",
        help="of models of whole objects: training views that the baselines choose from (default "
        "%(default)s; rendered)",
    )


def evaluate_points(args: argparse.Namespace) -> int | None:
    """Evaluate models that label points or give those of objects; None when the models make depth."""
    names = [name for name in args.model.split(",") if name not in ("", "auto", "none")]
    try:
        shapes = bool(names) and find_model(names[0], args.models_dir).gives_shape
    except ManifestError:
        return None  # told where models of depth are opened
    if shapes:
        return evaluate_shapes(args)
    return evaluate_labels(args) if labels_points(args) else None


def evaluate_shapes(args: argparse.Namespace) -> int:
    """Print the table, write the JSON and the pictures.

    Raises:
        ConfigError: Models of several tasks, a set that has no objects, or an option for models of depth.
    """
    refuse(args, ("html", "by"), "models of whole objects")
    manifests = [find_model(name, args.models_dir) for name in args.model.split(",")]
    if len({manifest.task for manifest in manifests}) > 1:
        raise ConfigError(
            "expected models of one task, got "
            f"{', '.join(sorted({m.task for m in manifests}))}: evaluate each by itself"
        )
    sets = {name: _objects(name, args.limit) for name in args.data.split(",")}
    completes = manifests[0].takes_points
    kind = ObjectCompleter if completes else ObjectModel
    models = [kind.open(name, args.models_dir, args.threads or 0) for name in args.model.split(",")]
    try:
        methods = _methods(models, args)
        pictures = _Pictures(args, completes) if args.pictures is not None else None
        scores = []
        with tqdm(unit="object", disable=None, leave=False) as bar:

            def look(one: ObjectInView, found: Mapping[str, Points]) -> None:
                bar.update()
                if pictures is not None:
                    pictures.add(one, found)

            for name, objects in sets.items():
                truth_of = _truth_of(models[0])
                scores += shape_scores.score_shapes(name, objects, methods, truth_of, look)
    finally:
        for model in models:
            model.close()
    print(shape_scores.to_text(scores))
    if args.json is not None:
        files.write_json(args.json, {"rows": [score.to_row() for score in scores]})
    tell_written(args.json, args.pictures)
    return 0


def _objects(name: str, limit: int | None) -> Iterable[ObjectInView]:
    if name == WORLD_OBJECTS:
        return shape_scores.test_objects(limit or shape_scores.TEST_VIEWS)
    if not is_shape_source(name):
        raise ConfigError(
            f"expected sets of objects, {WORLD_OBJECTS}, meshes:FOLDER or shapenet:FOLDER, got {name}: name "
            "these with --data"
        )
    views = open_shapes(name, OBJECT_SIZE_WH).views
    return (views[k] for k in range(min(len(views), limit or len(views))))


def _methods(
    models: Sequence[ObjectModel | ObjectCompleter], args: argparse.Namespace
) -> dict[str, shape_scores.Method]:
    methods: dict[str, shape_scores.Method] = {}
    for model in models:
        name = model.manifest.name
        if isinstance(model, ObjectCompleter):
            methods[name] = shape_scores.of_parts(model)
        else:
            methods[name] = shape_scores.of_images(model)
            methods[f"{name} with mask"] = shape_scores.of_images(model, masked=True)
    if args.baseline == "none":
        return methods
    library = shape_scores.training_objects(args.library)
    first = models[0]
    if isinstance(first, ObjectCompleter):
        count = first.manifest.completion_contracts[0].count
        return methods | shape_scores.part_baselines(library, count)
    return methods | shape_scores.image_baselines(library)


def _truth_of(model: ObjectModel | ObjectCompleter) -> shape_scores.Truth:
    if isinstance(model, ObjectCompleter):
        count = model.manifest.completion_contracts[0].count
        return lambda one: part_and_truth(one, count)[1]
    return lambda one: view_and_truth(one, model.side_px)[1]


class _Pictures:
    """One picture for each of the first objects: image, truth, and what each method made of it."""

    def __init__(self, args: argparse.Namespace, completes: bool) -> None:
        self._folder, self._left, self._completes = args.pictures, args.picture_frames, completes
        self._count = 0
        files.make_folder(self._folder)

    def add(self, one: ObjectInView, found: Mapping[str, Points]) -> None:
        if self._count >= self._left * 4 or self._count % 4:  # every fourth view is of another shape
            self._count += 1
            return
        crop = ObjectView.of_box(one.camera, one.box).crop(one.image, one.camera, 192)
        part = part_and_truth(one, 1024)
        truth = part[1] if self._completes else view_and_truth(one, 8)[1]
        rows = [("truth", truth), *found.items()]
        picture = draw_shape(crop, rows, measured=part[0] if self._completes else None)
        files.write_image(self._folder / f"object_{self._count // 4:02d}.png", picture)
        self._count += 1
