"""`recon3d evaluate`: models and SGBM on data sets, as a table and as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon3d_ros.cli.flags import add_options, read_options
from recon3d_ros.config import ModelConfig

if TYPE_CHECKING:
    from recon3d_ros.evaluation import SetScore

HELP = (
    "Score models and OpenCV's SGBM on data sets. A missing answer counts as bad in bad_px; epe_px, abs_rel, "
    "rmse_m and delta_1 are of the answered pixels, so read them beside the coverage. SGBM's answers of "
    "exactly 0 px count as missing: that is unfair to it on world_outdoor, whose sky has true disparity 0."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "--data",
        required=True,
        help="comma-separated: kitti2012, middlebury (= middlebury2001,middlebury2003,middlebury2005), "
        "hololens, nyuv2, nyuv2_train, euroc, world_indoor, world_outdoor, or folders of images with a "
        "camera.yaml",
    )
    parser.add_argument(
        "--model",
        default=ModelConfig().model,
        help="comma-separated names of models or paths of manifests; none for the baseline alone "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--baseline", choices=("sgbm", "none"), default="sgbm", help="printed beside (default %(default)s)"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="only the first N frames of each set")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything, per frame, to FILE")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="folder with INDEX.json (default $RECON3D_DATA)"
    )
    add_options(parser, ModelConfig, skip=("model",))


def main(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the JSON."""
    from recon3d_ros.evaluation import to_dict, to_text
    from recon3d_ros.files import write_json

    scores = [score for method in _methods(args) for score in _scores(method, args)]
    order = {name: i for i, name in enumerate(_set_names(args.data))}
    scores.sort(key=lambda score: order[score.data])
    print(to_text(scores))  # first: the work of hours is not lost with a JSON that cannot be written
    if args.json is not None:
        write_json(args.json, to_dict(scores))
    return 0


def _methods(args: argparse.Namespace) -> list[str]:
    from recon3d_ros.errors import ConfigError

    models = [name for name in args.model.split(",") if name and name != "none"]
    baselines = [] if args.baseline == "none" else [args.baseline]
    if not models + baselines:
        raise ConfigError("expected a model or a baseline to evaluate, got none of both: name one")
    return models + baselines


def _set_names(data: str) -> list[str]:
    from recon3d_ros.datasets import GROUPS
    from recon3d_ros.errors import ConfigError

    names = [name for name in data.split(",") if name]
    if not names:
        raise ConfigError(f"expected data sets after --data, got {data!r}: name a data set")
    return list(dict.fromkeys(member for name in names for member in GROUPS.get(name, (name,))))


def _scores(method: str, args: argparse.Namespace) -> Iterator[SetScore]:
    from tqdm import tqdm

    from recon3d_ros.datasets import open_dataset
    from recon3d_ros.errors import DataError
    from recon3d_ros.evaluation import evaluate

    with _opened(method, args) as (estimator, title):
        for name in _set_names(args.data):
            samples = open_dataset(name, args.root)[: args.limit]
            if not samples:
                raise DataError(f"expected frames in {name}, got none: correct its entry in INDEX.json")
            if estimator.is_stereo and not samples[0].frame.is_stereo:
                print(f"recon3d: {title} needs pairs and {name} has none: left out", file=sys.stderr)
                continue
            what = f"{name} {title}"
            with tqdm(total=len(samples), desc=what, unit="frame", disable=None, leave=False) as bar:
                score = evaluate(estimator, samples, data=name, method=title, progress=lambda _: bar.update())
            yield score


@contextmanager
def _opened(method: str, args: argparse.Namespace) -> Iterator[tuple[Any, str]]:
    """The estimator of a method and the name that its rows carry."""
    if method == "sgbm":
        from recon3d_ros.evaluation import SgbmEstimator

        yield SgbmEstimator(), SgbmEstimator.name
        return
    from recon3d_ros.estimator import Estimator

    estimator = Estimator.open(read_options(args, ModelConfig, model=method))
    try:
        estimator.require_metric()
        yield estimator, estimator.manifest.name
    finally:
        estimator.close()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)
