"""`recon3d evaluate` for models that label points, against a plane and a threshold of height."""

from __future__ import annotations

import argparse
from itertools import chain

from tqdm import tqdm

from recon3d_ros.cli.flags import refuse
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.errors import ConfigError, ManifestError
from recon3d_ros.estimation.point_labels import PointLabeller
from recon3d_ros.evaluation import label_scores
from recon3d_ros.evaluation.label_pictures import LabelPictures
from recon3d_ros.evaluation.label_sets import MARKED, WORLD_CLOUDS, WORLD_SETS, marked_clouds, world_clouds
from recon3d_ros.files import write_json
from recon3d_ros.model_zoo.registry import find_model


def labels_points(args: argparse.Namespace) -> bool:
    """Whether the models to evaluate label points.

    Raises:
        ConfigError: Some do, others make depth.
    """
    names = [name for name in args.model.split(",") if name not in ("", "auto", "none")]
    try:
        kinds = {find_model(name, args.models_dir).labels_points for name in names}
    except ManifestError:
        return False  # told where models of depth are opened
    if len(kinds) > 1:
        raise ConfigError(
            f"expected models of one kind, got some of depth and some that label points in {args.model}: "
            "evaluate each kind by itself"
        )
    return kinds == {True}


def evaluate_labels(args: argparse.Namespace) -> int:
    """Print the table, write the JSON and the pictures.

    Raises:
        ConfigError: A set has no clouds whose classes are known, or an option is for models of depth.
    """
    refuse(args, ("html", "by", "out"), "models that label points")
    names = args.data.split(",")
    if strangers := [name for name in names if name not in (*WORLD_SETS, MARKED)]:
        raise ConfigError(
            f"expected sets with labelled points, {', '.join((*WORLD_SETS, MARKED))}, got "
            f"{', '.join(strangers)}: name these with --data"
        )
    sets = [
        marked_clouds(root=args.root, limit=args.limit)
        if name == MARKED
        else world_clouds(name, args.limit or WORLD_CLOUDS)
        for name in names
    ]
    labellers = {
        name: PointLabeller.open(name, args.models_dir, args.threads) for name in args.model.split(",")
    }
    methods: dict[str, label_scores.Method] = {
        labeller.manifest.name: label_scores.network(labeller) for labeller in labellers.values()
    }
    if args.baseline != "none":
        methods |= label_scores.BASELINES
    pictures = LabelPictures(args.pictures, args.picture_frames) if args.pictures is not None else None
    try:
        with tqdm(unit="cloud", disable=None, leave=False) as bar:

            def advance(cloud: label_scores.LabelledCloud, found: label_scores.Found) -> None:
                bar.update()
                if pictures is not None:
                    pictures.add(cloud, next(iter(found.values())))

            scores = label_scores.score_labels(chain.from_iterable(sets), methods, advance)
    finally:
        for labeller in labellers.values():
            labeller.close()
    print(label_scores.to_text(scores))
    if args.json is not None:
        write_json(args.json, {"rows": [score.to_row() for score in scores]})
    tell_written(args.json, args.pictures)
    return 0
