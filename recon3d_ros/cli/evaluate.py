"""`recon3d evaluate`: models and SGBM on data sets, as a table and as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from tqdm import tqdm

from recon3d_ros.cli.depth_from import add_depth_from, poses_of_set
from recon3d_ros.cli.evaluate_many import evaluate_many
from recon3d_ros.cli.evaluate_reconstruction import add_reconstruction_arguments, evaluate_reconstruction
from recon3d_ros.cli.evaluate_shapes import add_shape_arguments, evaluate_points
from recon3d_ros.cli.flags import (
    add_options,
    list_of,
    numbers_from,
    positive_integer,
    read_options,
    some_of,
    user_path,
)
from recon3d_ros.cli.fleet import add_fleet_arguments, refuse_fleet_flags, require_success
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.config import ModelConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.motion_source import MotionEstimator
from recon3d_ros.evaluation import (
    BREAKDOWNS,
    Degradation,
    EvaluationSet,
    Gallery,
    Reliability,
    SetScore,
    SetScores,
    breakdown,
    open_sets,
    reliability,
    score_set,
    to_rows,
    to_text,
)
from recon3d_ros.evaluation.page import evaluation_page
from recon3d_ros.evaluation.runs import (
    EvaluationRun,
    check_denoisers,
    list_runs,
    opened_method,
    unfit,
    with_denoiser,
)
from recon3d_ros.files import write_json
from recon3d_ros.fleet.evaluations import FORMATS
from recon3d_ros.reports import write_page

HELP = (
    "Measure the accuracy of models and of OpenCV's SGBM on data sets. In bad_px, pixels without a value "
    "count as errors; epe_px, abs_rel, rmse_m and delta_1 are over the pixels with a value, so compare "
    "the coverage too. SGBM's disparities of exactly 0 px count as missing, which is unfair on "
    "world_outdoor, where the sky has disparity 0; SGBM is left out for sets without pairs. Pairs without "
    "ground truth (euroc) are evaluated by left-right consistency. nyuv2 uses the crop of Eigen et al. "
    "2014. For models with a confidence output, its calibration follows: confidence is the probability of "
    "an error below 3 px, or for a single camera below 25 % of the depth. Models that label points are "
    "evaluated on world_indoor, world_outdoor, world_mono and marked (real frames with marked ground), those "
    "of whole objects on world_objects, meshes:FOLDER and shapenet:FOLDER."
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
        "--precision", default="", help="comma-separated: fp32, fp16, int8 (default: all that a model has)"
    )
    _add_files(parser)
    _add_details(parser)
    _add_changes(parser)
    add_depth_from(parser)
    add_reconstruction_arguments(parser)
    _add_many(parser)
    add_options(parser, ModelConfig, skip=("model", "precision"))


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        type=user_path,
        metavar="FILE",
        help="also write everything to FILE: rows (ratios in percent, except delta_1) and calibration",
    )
    parser.add_argument(
        "--root", type=user_path, metavar="DIR", help="folder with INDEX.json (default $RECON3D_DATA)"
    )


def _add_many(parser: argparse.ArgumentParser) -> None:
    many = add_fleet_arguments(
        parser,
        "out",
        "folder or URL: every method on every set is a task with a folder in it; --data may then also have "
        "URLs and patterns with *, ? and **",
    )
    many.add_argument(
        "--formats",
        default="json",
        metavar="NAME,NAME",
        help=f"with --out, what to write for each task: {', '.join(FORMATS)} (default %(default)s)",
    )


def _add_details(parser: argparse.ArgumentParser) -> None:
    add_shape_arguments(parser)
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
        "--degrade",
        type=list_of(Degradation.parse),
        default=(Degradation(),),
        metavar="NAME=X,NAME=X",
        help="worse images: noise=SIGMA, Gaussian, grey levels of 255; jpeg=QUALITY; brightness=SHARE of the "
        "grey levels; rows=PX, the right image down; size=SHARE of width and height, errors then count in "
        "the new pixels; none = the images as they are (default none)",
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
    if args.out is None:
        refuse_fleet_flags(args, "out")
    if args.reconstruction is not None or args.trajectory is not None:
        return evaluate_reconstruction(args)
    if args.data is None:
        raise ConfigError("expected --data, --reconstruction or --trajectory, got none: give one of them")
    if (points := evaluate_points(args)) is not None:
        return points
    check_denoisers(args.denoise)
    poses = poses_of_set(args)
    if args.out is not None:
        many = evaluate_many(args)
        _write(args, many.scores)
        tell_written(args.json)
        require_success(many.outcomes)
        return 0
    sets = open_sets(args.data, args.root, args.limit, args.zoom, args.degrade, poses)
    wanted = args.pictures is not None or args.html is not None
    gallery = Gallery(args.pictures, args.picture_frames) if wanted else None
    scores, curves, groups = _write(args, _one_after_another(args, sets, gallery))
    if gallery is not None:
        gallery.write(curves)
    if gallery is not None and args.html is not None:
        write_page(args.html, evaluation_page(scores, curves, groups, gallery))
    tell_written(args.json, args.pictures, args.html)
    return 0


class _Results(NamedTuple):
    """All rows, those of a set together, the sets in the order in which they were named."""

    scores: list[SetScore]
    curves: list[Reliability]
    groups: list[dict[str, Any]]


def _one_after_another(
    args: argparse.Namespace, sets: Sequence[EvaluationSet], gallery: Gallery | None
) -> list[SetScores]:
    """Score every method on every set."""
    kinds = {args.depth_from == "motion" or one.has_pairs for one in sets}
    config = read_options(args, ModelConfig, model="auto", precision="auto")
    runs = list_runs(args.model, args.baseline, args.precision, kinds, config)
    for note in dict.fromkeys(one.note for one in sets if one.note):
        print(f"recon3d: {note}", file=sys.stderr)
    left_out: dict[str, None] = {}  # in order
    found = [one for run in runs for one in _scores(run, args, sets, gallery, left_out)]
    _tell(left_out, found)
    names = [one.name for one in sets]
    return sorted(found, key=lambda one: names.index(one.score.data))


def _write(args: argparse.Namespace, found: Sequence[SetScores]) -> _Results:
    """Print the tables and write the JSON."""
    scores = [one.score for one in found]
    curves = [one.reliability for one in found if one.reliability is not None]
    groups = [row for one in found for row in one.groups]
    print(to_text(scores))  # first: the work of hours is not lost with a JSON that cannot be written
    if curves:
        print(reliability.to_text(curves))
    if groups:
        print(breakdown.to_text(groups))
    if args.json is not None:
        document = {"rows": to_rows(scores), "calibration": [reliability.to_dict(curve) for curve in curves]}
        write_json(args.json, {**document, "breakdown": groups} if args.by else document)
    return _Results(scores, curves, groups)


def _tell(left_out: Collection[str], scores: Sequence[SetScores]) -> None:
    """Say which sets a model could not predict; an error when that leaves nothing."""
    if not scores:
        raise ConfigError(f"{'; '.join(left_out)}: give a mono model, such as recon3d_mono")
    for words in left_out:
        print(f"recon3d: {words}: left out", file=sys.stderr)


def _scores(
    run: EvaluationRun,
    args: argparse.Namespace,
    sets: Sequence[EvaluationSet],
    gallery: Gallery | None,
    left_out: dict[str, None],
) -> Iterator[SetScores]:
    motion = read_options(args, MotionConfig) if args.depth_from == "motion" else None
    model = read_options(args, ModelConfig, model="auto", precision="auto")
    with opened_method(run, model, motion) as opened:
        for one in sets:
            if motion is None and run.pairs not in (None, one.has_pairs):
                continue
            if why := unfit(opened, one):
                if run.method != args.baseline or args.model == "none":
                    hint = " (--zoom uses only the left image)" if max(args.zoom) > 1 else ""
                    left_out[why + hint] = None
                continue
            for denoiser in args.denoise:
                method = with_denoiser(opened, denoiser, one)
                labels = (method.name, method.precision)
                title = " ".join(filter(None, (one.name, *labels)))
                with tqdm(total=len(one.samples), desc=title, unit="frame", disable=None, leave=False) as bar:
                    yield score_set(method.estimator, one, labels, gallery, args.by, bar.update)
        if isinstance(opened.estimator, MotionEstimator) and opened.estimator.summary:
            print(f"recon3d: {opened.estimator.summary}", file=sys.stderr)
