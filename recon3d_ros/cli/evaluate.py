"""`recon3d evaluate`: models and SGBM on data sets, as a table and as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon3d_ros.cli.flags import add_options, read_options
from recon3d_ros.config import ModelConfig

if TYPE_CHECKING:
    from recon3d_ros.evaluation import Calibration, SetScore
    from recon3d_ros.geometry import DepthMap, Sample

HELP = (
    "Score models and OpenCV's SGBM on data sets. A missing answer counts as bad in bad_px; epe_px, abs_rel, "
    "rmse_m and delta_1 are of the answered pixels, so read them beside the coverage. SGBM's answers of "
    "exactly 0 px count as missing: that is unfair to it on world_outdoor, whose sky has true disparity 0. "
    "Pairs without truth (euroc) are scored by left-right consistency. Where a model has confidence, its "
    "calibration follows: an error below 3 px is what confidence is the probability of."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "--data",
        required=True,
        help="comma-separated: kitti2012, middlebury (= middlebury2001,middlebury2003,middlebury2005), "
        "hololens, nyuv2, nyuv2_train, nyuv2_pairs, euroc, world_indoor, world_outdoor, or paths: folders of "
        "images, of colour and depth (rgb/ depth/ K.txt, TUM RGB-D, ScanNet, NYUv2), bags; see "
        "docs/datasets.md. A part of one: 'hololens[60:80]'",
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
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write everything as rows, shares in percent, to FILE"
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="folder with INDEX.json (default $RECON3D_DATA)"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="draw the first frame of each set: image, truth, and each method's answer beside its error; and "
        "the curves of confidence",
    )
    parser.add_argument(
        "--precision", default="", help="comma-separated: fp32, fp16, int8 (default: all that a model has)"
    )
    add_options(parser, ModelConfig, skip=("model", "precision"))


def main(args: argparse.Namespace) -> int:
    """Evaluate, print the tables, write the JSON and the pictures."""
    from recon3d_ros.evaluation import calibration, to_rows, to_text
    from recon3d_ros.files import write_json

    names = _set_names(args.data)
    gallery = None if args.pictures is None else _Gallery(args.pictures)
    scores, curves = [], []
    for method, precision in _runs(args):
        for score, curve in _scores(method, precision, args, gallery):
            scores.append(score)
            curves += [curve] if curve is not None else []
    scores.sort(key=lambda score: names.index(score.data))
    curves.sort(key=lambda curve: names.index(curve.data))
    print(to_text(scores))  # first: the work of hours is not lost with a JSON that cannot be written
    if curves:
        print(calibration.to_text(curves))
    if args.json is not None:
        document = {"rows": to_rows(scores), "calibration": [calibration.to_dict(curve) for curve in curves]}
        write_json(args.json, document)
    if gallery is not None:
        gallery.write(curves)
    return 0


class _Gallery:
    """Keeps the answers to the first frame of each set, and draws them.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        from recon3d_ros.files import make_folder

        make_folder(folder)
        self._folder = folder
        self._kept: dict[str, tuple[Sample, list[tuple[str, DepthMap]]]] = {}

    def add(self, data: str, title: str, sample: Sample, depth_map: DepthMap) -> None:
        """Keep the answer if the sample is the first of its set."""
        first, answers = self._kept.setdefault(data, (sample, []))
        if sample.name == first.name:
            answers.append((title, depth_map))

    def write(self, curves: Sequence[Calibration]) -> None:
        """Write `<set>.png` of each set, and `<set>_calibration.png` where a model has confidence.

        Raises:
            OutputError: a file cannot be written.
        """
        from recon3d_ros.evaluation import pictures
        from recon3d_ros.files import write_image

        for data, (sample, answers) in self._kept.items():
            stem = Path(data).name
            write_image(self._folder / f"{stem}.png", pictures.compare(sample, answers))
            drawn = [curve for curve in curves if curve.data == data]
            if drawn:
                write_image(self._folder / f"{stem}_calibration.png", pictures.plot(drawn))


def _runs(args: argparse.Namespace) -> list[tuple[str, str | None]]:
    """Each method with each precision that is asked for, or that it has; the baseline last, without one."""
    from recon3d_ros.backends import device_of
    from recon3d_ros.zoo import find_model

    wanted = [name for name in args.precision.split(",") if name]
    runs: list[tuple[str, str | None]] = []
    for method in _methods(args):
        if method == "sgbm":
            runs.append((method, None))
            continue
        manifest = find_model(method, args.models_dir, device=device_of(args.backend))
        runs += [(method, name) for name in wanted or [a.precision for a in manifest.artifacts] or ["auto"]]
    return runs


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


def _scores(
    method: str, precision: str | None, args: argparse.Namespace, gallery: _Gallery | None
) -> Iterator[tuple[SetScore, Calibration | None]]:
    from recon3d_ros.datasets import open_dataset
    from recon3d_ros.errors import DataError

    with _opened(method, precision, args) as (estimator, name, precision):
        for data in _set_names(args.data):
            samples = open_dataset(data, args.root)[: args.limit]
            if not samples:
                raise DataError(f"expected frames in {data}, got none: correct its entry in INDEX.json")
            if samples.note:
                print(f"recon3d: {data}: {samples.note}", file=sys.stderr)
            if estimator.is_stereo and not samples[0].frame.is_stereo:
                print(f"recon3d: {name} needs pairs and {data} has none: left out", file=sys.stderr)
                continue
            yield _score_set(estimator, samples, data, name, precision, gallery)


def _score_set(
    estimator: Any,
    samples: Sequence[Sample],
    data: str,
    name: str,
    precision: str | None,
    gallery: _Gallery | None,
) -> tuple[SetScore, Calibration | None]:
    from tqdm import tqdm

    from recon3d_ros.evaluation import Collector, evaluate

    collector, title = Collector(), f"{name} {precision or ''}".rstrip()
    with tqdm(total=len(samples), desc=f"{data} {title}", unit="frame", disable=None, leave=False) as bar:

        def watch(sample: Sample, answer: DepthMap) -> None:
            bar.update()
            collector.add(sample, answer)
            if gallery is not None:
                gallery.add(data, title, sample, answer)

        score = evaluate(estimator, samples, data, name, precision, watch)
    return score, collector.result(data, name, precision)


@contextmanager
def _opened(
    method: str, precision: str | None, args: argparse.Namespace
) -> Iterator[tuple[Any, str, str | None]]:
    """The estimator of a method, and the name and the precision that its rows carry."""
    if method == "sgbm":
        from recon3d_ros.evaluation import SgbmEstimator

        yield SgbmEstimator(), SgbmEstimator.name, None
        return
    from recon3d_ros.estimator import Estimator

    estimator = Estimator.open(read_options(args, ModelConfig, model=method, precision=precision))
    try:
        estimator.require_metric()
        yield estimator, estimator.manifest.name, estimator.precision
    finally:
        estimator.close()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)
