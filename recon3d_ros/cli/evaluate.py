"""`recon3d evaluate`: models and SGBM on data sets, as a table and as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tqdm import tqdm

from recon3d_ros.backends import device_of
from recon3d_ros.cli.evaluate_labels import evaluate_labels, labels_points
from recon3d_ros.cli.evaluate_reconstruction import add_reconstruction_arguments, evaluate_reconstruction
from recon3d_ros.cli.flags import (
    add_options,
    numbers_from,
    positive_integer,
    read_options,
    some_of,
    user_path,
)
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.evaluation import (
    BREAKDOWNS,
    DENOISERS,
    DenoisingEstimator,
    EvaluationSet,
    Gallery,
    SetScore,
    SetScores,
    SgbmEstimator,
    breakdown,
    open_sets,
    reliability,
    score_set,
    to_rows,
    to_text,
)
from recon3d_ros.evaluation.page import evaluation_page
from recon3d_ros.files import write_json
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.reports import write_page

HELP = (
    "Measure the accuracy of models and of OpenCV's SGBM on data sets. In bad_px, pixels without a value "
    "count as errors; epe_px, abs_rel, rmse_m and delta_1 are over the pixels with a value, so compare "
    "the coverage too. SGBM's disparities of exactly 0 px count as missing, which is unfair on "
    "world_outdoor, where the sky has disparity 0; SGBM is left out for sets without pairs. Pairs without "
    "ground truth (euroc) are evaluated by left-right consistency. nyuv2 uses the crop of Eigen et al. "
    "2014. For models with a confidence output, its calibration follows: confidence is the probability of "
    "an error below 3 px, or for a single camera below 25 % of the depth. Models that label points are "
    "evaluated on world_indoor, world_outdoor, world_mono and marked (real frames with marked ground)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "--data",
        help="comma-separated names: kitti2012, middlebury (= "
        "middlebury2001,middlebury2003,middlebury2005), hololens, nyuv2, nyuv2_train, nyuv2_pairs, "
        "nyuv2_pairs_seen, euroc, world_indoor, world_outdoor; or paths: folders of images, of "
        "colour and depth (rgb/ depth/ K.txt, TUM RGB-D, ScanNet, NYUv2), bags; see "
        "docs/datasets.md. 'hololens[60:80]' selects the frames 60 to 79",
    )
    parser.add_argument(
        "--model",
        default=ModelConfig().model,
        help="comma-separated names of models or paths of manifests; auto = our stereo model for sets "
        "with pairs, our mono model for others; none = only the baseline (default %(default)s)",
    )
    parser.add_argument(
        "--baseline",
        choices=("sgbm", "none"),
        default="sgbm",
        help="method to compare with (default %(default)s)",
    )
    parser.add_argument(
        "--limit", type=positive_integer, metavar="N", help="use only the first N frames of each set"
    )
    parser.add_argument(
        "--json",
        type=user_path,
        metavar="FILE",
        help="also write everything to FILE: rows (ratios in percent, except delta_1) and calibration",
    )
    parser.add_argument(
        "--root", type=user_path, metavar="DIR", help="folder with INDEX.json (default $RECON3D_DATA)"
    )
    parser.add_argument(
        "--precision", default="", help="comma-separated: fp32, fp16, int8 (default: all that a model has)"
    )
    _add_details(parser)
    _add_changes(parser)
    add_reconstruction_arguments(parser)
    add_options(parser, ModelConfig, skip=("model", "precision"))


def _add_details(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by",
        type=some_of(BREAKDOWNS),
        default=(),
        metavar="NAME,NAME",
        help=f"also score pixels by groups: {', '.join(BREAKDOWNS)}, or all of these (pairs only)",
    )
    parser.add_argument(
        "--pictures",
        type=user_path,
        metavar="DIR",
        help="draw image, ground truth, and each method's depth and error: for the first pair of a set, "
        "or for several frames of a set without pairs, with two point clouds seen from above and "
        "from the side; and the confidence curves",
    )
    parser.add_argument(
        "--html",
        type=user_path,
        metavar="FILE",
        help="write a report page: one HTML file with tables, pictures, charts and a 3-D view",
    )
    parser.add_argument(
        "--picture-frames",
        type=positive_integer,
        default=12,
        metavar="N",
        help="number of frames to draw of a set without pairs, evenly spaced (default %(default)s)",
    )


def _add_changes(parser: argparse.ArgumentParser) -> None:
    changes = parser.add_argument_group("modified images (each adds rows)")
    changes.add_argument(
        "--zoom",
        type=numbers_from(1.0),
        default=(1.0,),
        metavar="X,X",
        help="crop the centre of the (left) image and resize it, as with a longer focal length; the "
        "camera is changed accordingly, so metric depth should not change (default 1)",
    )
    changes.add_argument(
        "--noise",
        type=numbers_from(0.0),
        default=(0.0,),
        metavar="X,X",
        help="add Gaussian noise of this standard deviation, in grey levels of 255 (default 0)",
    )
    changes.add_argument(
        "--denoise",
        type=lambda text: tuple(text.split(",")),
        default=("none",),
        metavar="NAME,NAME",
        help="denoise the images before the model; its time is included: none, gaussian, bilateral, "
        "median, nlmeans (default none)",
    )


def main(args: argparse.Namespace) -> int:
    """Evaluate, print the tables, write the JSON and the pictures."""
    if args.reconstruction is not None or args.trajectory is not None:
        return evaluate_reconstruction(args)
    if args.data is None:
        raise ConfigError("expected --data, --reconstruction or --trajectory, got none: give one of them")
    if labels_points(args):
        return evaluate_labels(args)
    _check_denoisers(args.denoise)
    sets = open_sets(args.data, args.root, args.limit, args.zoom, args.noise)
    runs = _runs(args, {one.has_pairs for one in sets})
    for note in dict.fromkeys(one.note for one in sets if one.note):
        print(f"recon3d: {note}", file=sys.stderr)
    names = [one.name for one in sets]
    wanted = args.pictures is not None or args.html is not None
    gallery = Gallery(args.pictures, args.picture_frames) if wanted else None
    scores, curves, groups = [], [], []
    left_out: dict[str, None] = {}  # in order
    for run in runs:
        for score, curve, rows in _scores(run, args, sets, gallery, left_out):
            scores.append(score)
            curves += [curve] if curve is not None else []
            groups += rows
    _tell(left_out, scores)
    scores.sort(key=lambda score: names.index(score.data))
    curves.sort(key=lambda curve: names.index(curve.data))
    print(to_text(scores))  # first: the work of hours is not lost with a JSON that cannot be written
    if curves:
        print(reliability.to_text(curves))
    if groups:
        print(breakdown.to_text(groups))
    if args.json is not None:
        document = {"rows": to_rows(scores), "calibration": [reliability.to_dict(curve) for curve in curves]}
        write_json(args.json, {**document, "breakdown": groups} if args.by else document)
    if gallery is not None:
        gallery.write(curves)
    if gallery is not None and args.html is not None:
        write_page(args.html, evaluation_page(scores, curves, groups, gallery))
    tell_written(args.json, args.pictures, args.html)
    return 0


def _tell(left_out: Collection[str], scores: Sequence[SetScore]) -> None:
    """Say which sets a model could not predict; an error when that leaves nothing."""
    if not scores:
        raise ConfigError(f"{'; '.join(left_out)}: give a mono model, such as recon3d_mono")
    for words in left_out:
        print(f"recon3d: {words}: left out", file=sys.stderr)


class _Run(NamedTuple):
    """A method with one of its precisions; ``pairs``: on which sets, None for all that it can predict."""

    method: str
    precision: str | None
    pairs: bool | None = None


def _runs(args: argparse.Namespace, kinds: Collection[bool]) -> list[_Run]:
    """Each method with each precision that is asked for, or that it has; the baseline last, without one.

    ``kinds`` are those of the sets: True where there are pairs.
    """
    wanted = [name for name in args.precision.split(",") if name]
    runs: list[_Run] = []
    for method in _methods(args):
        if method == "sgbm":
            runs.append(_Run(method, None))
            continue
        for pairs in sorted(kinds, reverse=True) if method == "auto" else [None]:
            device = device_of(args.backend)
            manifest = find_model(method, args.models_dir, device=device, stereo=pairs is not False)
            precisions = wanted or [artifact.precision for artifact in manifest.artifacts] or ["auto"]
            name = method if pairs is None else manifest.name
            runs += [_Run(name, precision, pairs) for precision in precisions]
    return runs


def _methods(args: argparse.Namespace) -> list[str]:
    models = [name for name in args.model.split(",") if name and name != "none"]
    baselines = [] if args.baseline == "none" else [args.baseline]
    if not models + baselines:
        raise ConfigError(
            "expected a model or a baseline to evaluate, got neither: give --model or --baseline"
        )
    return models + baselines


def _check_denoisers(names: Sequence[str]) -> None:
    for name in names:
        if name not in ("none", *DENOISERS):
            raise ConfigError(f"expected denoisers of none, {', '.join(DENOISERS)}, got {name!r}: correct it")


def _scores(
    run: _Run,
    args: argparse.Namespace,
    sets: Sequence[EvaluationSet],
    gallery: Gallery | None,
    left_out: dict[str, None],
) -> Iterator[SetScores]:
    with _opened(run, args) as (estimator, name, precision):
        for one in sets:
            if run.pairs not in (None, one.has_pairs):
                continue
            if estimator.is_stereo and not one.has_pairs:
                if run.method != args.baseline or args.model == "none":
                    why = " (--zoom uses only the left image)" if max(args.zoom) > 1 else ""
                    left_out[f"{name} needs pairs and {one.name} has none{why}"] = None
                continue
            for denoiser in args.denoise:
                plain = denoiser == "none"
                method = estimator if plain else DenoisingEstimator(estimator, denoiser, one.noise)
                labels = (name if plain else f"{name} + {denoiser}", precision)
                title = " ".join(filter(None, (one.name, *labels)))
                with tqdm(total=len(one.samples), desc=title, unit="frame", disable=None, leave=False) as bar:
                    yield score_set(method, one, labels, gallery, args.by, bar.update)


@contextmanager
def _opened(run: _Run, args: argparse.Namespace) -> Iterator[tuple[Any, str, str | None]]:
    """The estimator of a method, and the name and the precision that its rows carry."""
    if run.method == "sgbm":
        yield SgbmEstimator(), SgbmEstimator.name, None
        return
    estimator = Estimator.open(read_options(args, ModelConfig, model=run.method, precision=run.precision))
    try:
        if not estimator.is_metric:
            raise ConfigError(
                f"model {estimator.manifest.name} outputs relative inverse depth, which has no error in "
                "metres: evaluate a metric or a stereo model; recon3d run draws pictures of this one"
            )
        yield estimator, estimator.manifest.name, estimator.precision
    finally:
        estimator.close()
