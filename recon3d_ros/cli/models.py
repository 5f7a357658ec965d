"""`recon3d models`: what models there are, whether their files are the right ones, and how to add another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from recon3d_ros.cli import models_add
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError
from recon3d_ros.files.text_table import aligned
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import find_model, list_models, verify
from recon3d_ros.model_zoo.templates import templates
from recon3d_ros.model_zoo.words import describe

HELP = (
    "List the available models: task, size, licence and accuracy. Add, and show in words, models of your own."
)

_HEADER = ("name", "task", "precision", "size", "licence of the weights", "accuracy")
_HEADLINES = ("bad_px_3", "epe_px", "abs_rel", "delta_1", "coverage")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "--models-dir",
        default=ModelConfig().models_dir,
        metavar="DIR",
        help="folder of manifests (default: the included models)",
    )
    parser.add_argument(
        "--verify", action="store_true", help="check every file against the sha256 in its manifest"
    )
    actions = parser.add_subparsers(dest="action", metavar="add|show|templates")
    add = actions.add_parser(
        "add", help="write the manifest of an ONNX file", description=models_add.HELP, allow_abbrev=False
    )
    models_add.add_arguments(add)
    show = actions.add_parser("show", help="print the contract of a model in words", allow_abbrev=False)
    show.add_argument("model", help="name of a model, or path of its manifest (.yaml)")
    actions.add_parser("templates", help="list the networks that models add --as knows", allow_abbrev=False)


def main(args: argparse.Namespace) -> int:
    """Print the table, or the verdict on every model; a wrong manifest hides none of the others."""
    if args.action == "add":
        return models_add.main(args)
    if args.action == "show":
        print("\n".join(describe(find_model(args.model, args.models_dir))))
        return 0
    if args.action == "templates":
        return _templates()
    manifests, wrong = list_models(args.models_dir)
    code = _verify(manifests) if args.verify else _list(manifests)
    for error in wrong:
        code = error.exit_code
        print(f"recon3d: error: {error}", file=sys.stderr)
    return code


def _list(manifests: Sequence[Manifest]) -> int:
    lines = [_HEADER, *(_row(manifest) for manifest in manifests)]
    print("\n".join(aligned(lines)))
    return 0


def _templates() -> int:
    lines = [("template", "task", "licence", "network")]
    lines += [(item.name, item.task, item.licence, item.title) for item in templates().values()]
    print("\n".join(aligned(lines)))
    return 0


def _verify(manifests: Sequence[Manifest]) -> int:
    code = 0
    for manifest in manifests:
        try:
            verify(manifest)
            if manifest.path is not None:
                manifest.artifact()  # what the backend will open
        except ArtifactError as exc:
            code = exc.exit_code
            print(f"{manifest.name}: {exc}")
        else:
            print(f"{manifest.name}: {'ok' if manifest.artifacts else 'built in, no files'}")
    return code


def _row(manifest: Manifest) -> tuple[str, ...]:
    precisions = ", ".join(artifact.precision for artifact in manifest.artifacts)
    return (
        manifest.name,
        manifest.task,
        precisions or "-",
        _size(manifest),
        manifest.licence.weights,
        "; ".join(_accuracy(scores.data, scores.metrics) for scores in manifest.accuracy) or "not measured",
    )


def _size(manifest: Manifest) -> str:
    files = [artifact.file for artifact in manifest.artifacts]
    files += [a.external_path(item) for a in manifest.artifacts for item in a.external]
    paths = [manifest.file_path(file) for file in files]
    if not paths:
        return "-"
    if not all(path.is_file() for path in paths):
        return "missing"
    return f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB"


def _accuracy(data: str, metrics: Mapping[str, float]) -> str:
    names = [name for name in _HEADLINES if name in metrics] or list(metrics)
    shown = [f"{name}={metrics[name]:.3g}" for name in names]
    return " ".join([data, *shown])
