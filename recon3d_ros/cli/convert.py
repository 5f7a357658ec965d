"""`recon3d convert`: fp16 and int8 files of a model, measured against its fp32 one."""

from __future__ import annotations

import argparse
from pathlib import Path

from recon3d_ros.cli.flags import user_path
from recon3d_ros.cli.progress_bar import show_stages
from recon3d_ros.convert import METHODS, Images, convert, folder_images, to_text
from recon3d_ros.errors import ConfigError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import find_model

HELP = (
    "Make fp16 and int8 (Q/DQ) files from the fp32 ONNX file of a model, beside its manifest, and add "
    "them to the manifest. Inputs and outputs stay float32. The nodes that are most sensitive stay in "
    "float. The table compares the files on scenes or images that were not used for any choice: off = "
    "percentage of pixels that differ from fp32 by more than 1 px and 5 % (mono: 5 %), float = number of "
    "nodes left in float; the other columns compare with the ground truth of rendered scenes. A precision "
    "with too large differences is rejected."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument("model", help="name of a model, or path of its manifest (.yaml)")
    parser.add_argument("--models-dir", default="", metavar="DIR", help="folder of manifests")
    parser.add_argument(
        "--precision", default="fp16,int8", help="comma-separated: fp16, int8 (default %(default)s)"
    )
    parser.add_argument(
        "--images",
        type=user_path,
        metavar="DIR",
        help="representative images (left/ and right/ for stereo; up to 32 are used): every second image "
        "is for the int8 ranges, the others for the comparison (default: rendered scenes)",
    )


def main(args: argparse.Namespace) -> int:
    """Convert, print the table."""
    manifest = find_model(args.model, args.models_dir)
    if manifest.labels_points:
        manifest.require_depth()
    if manifest.gives_shape and args.images is not None:
        raise ConfigError(
            f"expected no --images for {manifest.name}, which is compared on rendered objects: leave it out"
        )
    with show_stages(manifest.name) as progress:
        done = convert(manifest, _precisions(args.precision), _images(manifest, args.images), progress)
    print(to_text(done.rows))
    print(f"{done.manifest.path}: {', '.join(artifact.file for artifact in done.manifest.artifacts)}")
    return 0


def _precisions(text: str) -> list[str]:
    names = [name for name in dict.fromkeys(text.split(",")) if name]
    if not names or not set(names) <= set(METHODS):
        raise ConfigError(f"--precision must be of {', '.join(METHODS)}, got {text!r}")
    return names


def _images(manifest: Manifest, folder: Path | None) -> list[Images] | None:
    return None if folder is None else folder_images(manifest, folder)
