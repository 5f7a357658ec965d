"""`recon3d run`: images and a camera in, depth maps and point clouds out, as files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recon3d_ros.cli.flags import add_options, read_options
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from recon3d_ros.geometry import Frame, PinholeCamera, StereoRig
    from recon3d_ros.pipeline import Result

HELP = (
    "Estimate the depth of images. For every frame: NAME_depth.png (16 bit, mm, 0 = none), "
    "NAME_depth.pfm (m), NAME_disparity.pfm (px, of a stereo model), NAME_depth_colour.png (red = near), "
    "NAME_cloud.ply and NAME_view.png, a picture of the cloud. Images of a camera file with distortion are "
    "rectified first."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    images = parser.add_argument_group("images (one of)")
    images.add_argument("--left", type=Path, metavar="FILE", help="left image of a pair, with --right")
    images.add_argument("--right", type=Path, metavar="FILE", help="right image of a pair, with --left")
    images.add_argument("--image", type=Path, metavar="FILE", help="one image, for a mono model")
    images.add_argument(
        "--input",
        metavar="FOLDER",
        help="folder of images, or with left/ and right/, or a EuRoC recording, or the name of a data set; "
        "its camera.yaml is taken when no camera is given here",
    )
    camera = parser.add_argument_group("camera")
    camera.add_argument(
        "--camera",
        type=Path,
        nargs="+",
        metavar="YAML",
        help="camera_info YAML of camera_calibration; for a pair two of them, or one with left: and right:",
    )
    camera.add_argument("--fx", type=float, metavar="PX", help="instead: focal length of rectified images")
    camera.add_argument("--baseline-m", type=float, metavar="M", help="with --fx: distance of the cameras")
    camera.add_argument("--cx", type=float, metavar="PX", help="with --fx (default: the image centre)")
    camera.add_argument("--cy", type=float, metavar="PX", help="with --fx (default: the image centre)")
    camera.add_argument(
        "--doffs-px", type=float, default=0.0, metavar="PX", help="with --fx: cx left - right"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made when it is not there")
    parser.add_argument("--no-view", action="store_true", help="leave out the picture of the cloud")
    add_options(parser, ModelConfig)
    add_options(parser, PipelineConfig)


def main(args: argparse.Namespace) -> int:
    """Process every frame; say in a line each what came out."""
    from tqdm import tqdm

    from recon3d_ros.estimator import Estimator
    from recon3d_ros.pipeline import Pipeline

    limits = read_options(args, PipelineConfig)
    frames = _frames(args)
    writer = _Writer(args.out, view=not args.no_view)
    estimator = Estimator.open(read_options(args, ModelConfig))
    try:
        pipeline = Pipeline(estimator, limits)
        for frame in tqdm(frames, unit="frame", disable=None, leave=False):  # silent where no terminal is
            result = pipeline.process(frame)
            writer.write(frame.name, result)
            tqdm.write(_summary(frame, result))
    finally:
        estimator.close()
    print(f"{len(frames)} frame{'s'[: len(frames) != 1]} of {estimator.manifest.name} in {args.out}")
    return 0


class _Writer:
    """Writes what came out of a frame into one folder."""

    def __init__(self, folder: Path, view: bool) -> None:
        from recon3d_ros.files import make_folder

        self._folder, self._view = folder, view
        make_folder(folder)

    def write(self, name: str, result: Result) -> None:
        from recon3d_ros import files

        depth, disparity, cloud = result.depth_map.depth, result.depth_map.disparity, result.cloud
        assert cloud is not None  # process makes one unless told not to
        files.write_depth_png16(self._path(name, "depth.png"), depth)
        files.write_pfm(self._path(name, "depth.pfm"), depth)
        if disparity is not None:
            files.write_pfm(self._path(name, "disparity.pfm"), disparity)
        colours = files.colour_depth(depth, *_colour_limits_m(result))
        files.write_image(self._path(name, "depth_colour.png"), colours)
        files.write_ply(self._path(name, "cloud.ply"), cloud)
        if self._view and cloud.valid.any():
            self._draw(self._path(name, "view.png"), result)

    def _draw(self, path: Path, result: Result) -> None:
        from recon3d_ros.view import render_cloud

        assert result.cloud is not None
        try:
            render_cloud(result.cloud, path)
        except MissingDependencyError as exc:  # depth and cloud are worth having without their picture
            print(f"recon3d: no pictures of the clouds: {exc}", file=sys.stderr)
            self._view = False

    def _path(self, name: str, suffix: str) -> Path:
        return self._folder / f"{name.replace('/', '_') or 'frame'}_{suffix}"


def _frames(args: argparse.Namespace) -> Sequence[Frame]:
    """The rectified frames that the flags name, read when asked for.

    Raises:
        ConfigError: The flags name no images, or several kinds.
        DataError: They are not there.
        CalibrationError: The camera is no usable one.
    """
    from recon3d_ros.datasets import DATASETS, WORLDS, is_euroc, open_dataset
    from recon3d_ros.datasets.folders import image_files, images_of, rectified_frames
    from recon3d_ros.datasets.lazy_sequence import LazySequence

    pair = args.left is not None or args.right is not None
    if [pair, args.image is not None, args.input is not None].count(True) != 1 or (
        pair and None in (args.left, args.right)
    ):
        raise ConfigError("expected --left and --right, or --image, or --input, got another choice: give one")
    if args.input is not None:
        folder = Path(args.input)
        calibrated = args.input in {*DATASETS, *WORLDS} or is_euroc(folder)
        if (args.camera is not None or args.fx is not None) and (calibrated or not folder.is_dir()):
            raise ConfigError(
                f"expected a folder of images with --camera or --fx, got {args.input}"
                + (", which has its own camera: leave them out" if calibrated else ": check the path")
            )
        first = image_files(folder)[0] if args.fx is not None else (None, None)
        samples = open_dataset(args.input, camera=_camera(args, *first))
        return LazySequence(range(len(samples)), lambda i: samples[i].frame)
    files = (args.left, args.right) if pair else (args.image, None)
    camera = _camera(args, *files)
    if camera is None:
        raise ConfigError(
            "expected the camera of the images, got none: give --camera, or --fx (and --baseline-m)"
        )
    return rectified_frames(images_of([files], rate_hz=1.0), camera, [files[0].stem])


def _camera(
    args: argparse.Namespace, first: Path | None, right: Path | None
) -> PinholeCamera | StereoRig | None:
    """The camera that the flags name, None when they name none; --fx takes the size from the first image."""
    from recon3d_ros.files import read_image
    from recon3d_ros.geometry import PinholeCamera, StereoRig

    if args.camera is not None:
        if (args.fx, args.baseline_m, args.cx, args.cy, args.doffs_px) != (None, None, None, None, 0.0):
            raise ConfigError(
                "expected --camera, or --fx and what belongs to it, got flags of both: give one kind"
            )
        return _read_cameras(args.camera)
    if args.fx is None or first is None:
        if (args.fx, args.baseline_m, args.cx, args.cy) != (None,) * 4:
            raise ConfigError(
                "expected --fx and a folder or files of images, got other camera flags: see --help"
            )
        return None
    height, width = read_image(first).shape[:2]
    if args.baseline_m is not None:
        rig = StereoRig.simple(width, height, args.fx, args.baseline_m, args.cx, args.cy, args.doffs_px)
        return rig if right is not None else rig.left
    if right is not None:
        raise ConfigError("expected --baseline-m with --fx for a stereo pair, got none: give it in metres")
    return PinholeCamera.simple(width, height, args.fx, args.cx, args.cy)


def _read_cameras(paths: Sequence[Path]) -> PinholeCamera | StereoRig:
    from recon3d_ros.files import read_camera_yaml
    from recon3d_ros.geometry import PinholeCamera, StereoRig

    cameras = [read_camera_yaml(path) for path in paths]
    singles = [camera for camera in cameras if isinstance(camera, PinholeCamera)]
    if len(cameras) == 1:
        return cameras[0]
    if len(cameras) != 2 or len(singles) != 2:
        raise ConfigError(
            f"expected one camera file, or two of single cameras, got {len(paths)}: give left and right"
        )
    return StereoRig(*singles)


def _colour_limits_m(result: Result) -> tuple[float, float]:
    """The depths between which the colours of this frame spread."""
    import numpy as np

    depth = result.depth_map.depth[result.depth_map.valid]
    near, far = np.percentile(depth, (2, 98)) if depth.size else (1.0, 2.0)
    return float(near), float(max(far, near * 1.01))


def _summary(frame: Frame, result: Result) -> str:
    import numpy as np

    depth = result.depth_map.depth[result.depth_map.valid]
    size = f"{frame.image.shape[1]}x{frame.image.shape[0]}"
    if depth.size == 0:
        return f"{frame.name or 'frame'} {size}: no valid depth within the limits"
    near, middle, far = np.percentile(depth, (1, 50, 99))
    share = depth.size / result.depth_map.depth.size
    return (
        f"{frame.name or 'frame'} {size}: {share:.0%} valid, depth {near:.2f} / {middle:.2f} / {far:.2f} m "
        f"(1 / 50 / 99 %), {sum(result.timings_ms.values()):.0f} ms"
    )
