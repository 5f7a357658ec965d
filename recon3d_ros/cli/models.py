"""`recon3d models`: what models there are, and whether their files are the right ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError
from recon3d_ros.files.text_table import aligned
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import list_models, verify

HELP = "List the available models: task, size, licence and accuracy."

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


def main(args: argparse.Namespace) -> int:
    """Print the table, or the verdict on every model; a wrong manifest hides none of the others."""
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
    shown = [f"{name}={metrics[name]:.3g}" for name in _HEADLINES if name in metrics]
    return " ".join([data, *shown])
