"""`recon3d run`: images and a camera in, depth maps and point clouds out, as files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recon3d_ros.cli.flags import add_options, read_options
from recon3d_ros.cli.results import Writer
from recon3d_ros.config import ModelConfig, PipelineConfig, ScaleConfig
from recon3d_ros.config.parameters import OFFLINE
from recon3d_ros.datasets import DATASETS, WORLDS, layout_of, open_dataset
from recon3d_ros.datasets.folders import CAMERA_FILE, image_files, images_of, rectified_frames
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.spec import parse_spec
from recon3d_ros.errors import (
    CalibrationError,
    ConfigError,
    DataError,
    ImageError,
    PartialResultError,
    Recon3dError,
)
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.files import read_camera_yaml, read_image
from recon3d_ros.geometry import Frame, PinholeCamera, StereoRig
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.pipeline import Pipeline, Result
from recon3d_ros.scale import ScaleRecovery

HELP = (
    "Compute depth maps and point clouds from image files. For each image it writes NAME_depth.png (16 bit, "
    "mm, 0 = invalid), NAME_depth.pfm (m), NAME_disparity.pfm (px, stereo models), NAME_confidence.png and "
    ".pfm (models with a confidence output, white = high), NAME_depth_colour.png (red = near), "
    "NAME_cloud.ply, and NAME_view.png, a picture of the cloud; with --free-space-frames also NAME_free.ply. "
    "Images with distortion in their camera file are rectified first. Models of relative inverse depth have "
    "no metric scale and need no camera: they give NAME_relative.pfm and NAME_relative_colour.png, or with "
    "--scale-sources all of the above. The sources fixed and floor can be used for image files."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    _add_images(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="output folder, created if missing"
    )
    parser.add_argument(
        "--separate",
        action="store_true",
        help="the images are of different places: reset the scale and the temporal filter before each "
        "(default: they are a sequence)",
    )
    parser.add_argument("--no-view", action="store_true", help="do not draw pictures of the clouds")
    parser.add_argument(
        "--turntable",
        action="store_true",
        help="also write NAME_turntable.webp, an animation of the cloud (needs OpenCV 4.11 or newer)",
    )
    for config in OFFLINE:
        add_options(parser, config)


def _add_images(parser: argparse.ArgumentParser) -> None:
    images = parser.add_argument_group("images (one of)")
    images.add_argument("--left", type=Path, metavar="FILE", help="left image of a pair, with --right")
    images.add_argument("--right", type=Path, metavar="FILE", help="right image of a pair, with --left")
    images.add_argument("--image", type=Path, metavar="FILE", help="a single image, for a mono model")
    images.add_argument(
        "--input",
        metavar="FOLDER",
        help="folder of images, folder with left/ and right/, or anything that recon3d evaluate accepts as "
        "--data; its own calibration is used if no camera is given here",
    )
    camera = parser.add_argument_group("camera")
    camera.add_argument(
        "--camera",
        type=Path,
        nargs="+",
        metavar="YAML",
        help="camera_info YAML as camera_calibration writes it; for a pair two files, or one with left: and "
        "right:",
    )
    camera.add_argument("--fx", type=float, metavar="PX", help="instead: focal length of rectified images")
    camera.add_argument("--baseline-m", type=float, metavar="M", help="with --fx: distance of the cameras")
    camera.add_argument("--cx", type=float, metavar="PX", help="with --fx (default: the image centre)")
    camera.add_argument("--cy", type=float, metavar="PX", help="with --fx (default: the image centre)")
    camera.add_argument(
        "--doffs-px", type=float, default=0.0, metavar="PX", help="with --fx: cx left - cx right"
    )


def main(args: argparse.Namespace) -> int:
    """Process every frame; say in a line each what came out."""
    limits = read_options(args, PipelineConfig)
    model = read_options(args, ModelConfig)
    scale = read_options(args, ScaleConfig)
    scale.require_offline()
    # What auto means depends on the images; ours know metres either way.
    auto = model.model == ModelConfig().model
    is_metric = scale.is_on or auto or find_model(model.model, model.models_dir).is_metric
    frames = _frames(args, calibrated=is_metric)
    unread: list[Recon3dError] = []
    readable = _readable(frames, unread)
    first = next(readable, None)
    if first is None:
        raise unread[0]
    writer = Writer(args.out, view=not args.no_view, turntable=args.turntable)
    estimator = Estimator.open(model, stereo=first.is_stereo)
    try:
        answer = (
            _metric_answer(estimator, limits, scale, writer, args.separate)
            if is_metric
            else _relative_answer(estimator, writer)
        )
        every = chain([first], readable)
        # Silent where no terminal is.
        for frame in tqdm(every, total=len(frames), unit="frame", disable=None, leave=False):
            size = f"{frame.image.shape[1]}x{frame.image.shape[0]}"
            tqdm.write(f"{frame.name or 'frame'} {size}: {answer(frame)}")
    finally:
        estimator.close()
    count = len(frames) - len(unread)
    suffix = "" if is_metric else ": relative inverse depth without metric scale, so no point clouds"
    print(f"{count} frame{'s'[: count != 1]} of {estimator.manifest.name} in {args.out}{suffix}")
    if unread:
        raise PartialResultError(
            f"{len(unread)} of {len(frames)} frames could not be read, first: {unread[0]}"
        )
    return 0


def _readable(frames: Sequence[Frame], unread: list[Recon3dError]) -> Iterator[Frame]:
    """The frames that can be read; why the others cannot goes into `unread`."""
    for i in range(len(frames)):
        try:
            frame = frames[i]
        except (ImageError, DataError, CalibrationError) as exc:
            unread.append(exc)
        else:
            yield frame


def _metric_answer(
    estimator: Estimator, limits: PipelineConfig, scale: ScaleConfig, writer: Writer, separate: bool
) -> Callable[[Frame], str]:
    """How a frame becomes depth and a cloud in files, and a line about them."""
    recovery = ScaleRecovery.of(scale)
    pipeline = Pipeline(estimator, limits, recovery)

    def answer(frame: Frame) -> str:
        if separate:
            pipeline.reset()
            if recovery is not None:
                recovery.reset()
        result = pipeline.process(frame)
        writer.write(frame.name, result)
        return _summary(result)

    return answer


def _relative_answer(estimator: Estimator, writer: Writer) -> Callable[[Frame], str]:
    """The same for a model without metres."""

    def answer(frame: Frame) -> str:
        relative_depth = estimator.estimate_raw(frame)
        writer.write_relative(frame.name, relative_depth)
        return f"{np.isfinite(relative_depth).mean():.0%} valid, relative"

    return answer


def _frames(args: argparse.Namespace, calibrated: bool) -> Sequence[Frame]:
    """The rectified frames that the flags name, read when asked for.

    Args:
        args: The flags.
        calibrated: False when single images of no camera will do.

    Raises:
        ConfigError: The flags name no images, or several kinds.
        DataError: They are not there.
        CalibrationError: The camera is no usable one.
    """
    pair = args.left is not None or args.right is not None
    if [pair, args.image is not None, args.input is not None].count(True) != 1 or (
        pair and None in (args.left, args.right)
    ):
        raise ConfigError(
            "expected --left and --right, or --image, or --input, got another combination: give one of them"
        )
    if args.input is not None:
        return _input_frames(args, calibrated)
    files = (args.left, args.right) if pair else (args.image, None)
    camera = _camera(args, [files])
    if camera is not None:
        return rectified_frames(images_of([files], rate_hz=1.0), camera, [files[0].stem])
    if calibrated or pair:
        raise ConfigError(
            "expected the camera of the images, got none: give --camera, or --fx (and --baseline-m)"
        )
    return _uncalibrated_frames([args.image])


def _input_frames(args: argparse.Namespace, calibrated: bool) -> Sequence[Frame]:
    spec = parse_spec(args.input)
    folder, named = Path(spec.place), spec.place in {*DATASETS, *WORLDS}
    layout = None if named else layout_of(folder)
    if (args.camera is not None or args.fx is not None) and (layout is None or not layout.takes_camera):
        own_camera = named or layout is not None
        raise ConfigError(
            f"expected a folder of images with --camera or --fx, got {args.input}"
            + (", which has its own camera: leave them out" if own_camera else ": check the path")
        )
    camera = _camera(args, image_files(folder) if args.fx is not None else [])
    plain = layout is not None and layout.name == "images"
    if plain and not (calibrated or camera or (folder / CAMERA_FILE).exists()):
        files = image_files(folder)
        if files[0][1] is None:
            return spec.part_of(_uncalibrated_frames([left for left, _ in files]))
    samples = open_dataset(args.input, camera=camera)
    return LazySequence(range(len(samples)), lambda i: samples[i].frame)


def _uncalibrated_frames(paths: Sequence[Path]) -> LazySequence[Frame]:
    def load(i: int) -> Frame:
        image = read_image(paths[i])
        height, width = image.shape[:2]
        # A frame has a camera; nothing that is made of this one depends on its focal length.
        return Frame(0, image, PinholeCamera.simple(width, height, fx=width), name=paths[i].stem)

    return LazySequence(range(len(paths)), load)


def _camera(
    args: argparse.Namespace, files: Sequence[tuple[Path, Path | None]]
) -> PinholeCamera | StereoRig | None:
    """The camera that the flags name, None when they name none; --fx takes the size from the images."""
    if args.camera is not None:
        if (args.fx, args.baseline_m, args.cx, args.cy, args.doffs_px) != (None, None, None, None, 0.0):
            raise ConfigError(
                "expected either --camera, or --fx with --baseline-m, --cx and --cy, got both: give one "
                "of them"
            )
        return _read_cameras(args.camera)
    if args.fx is None or not files:
        if (args.fx, args.baseline_m, args.cx, args.cy) != (None,) * 4:
            lacks = "a folder or files of images" if args.fx is not None else "--fx (px)"
            raise ConfigError(f"expected {lacks} with --fx, --baseline-m, --cx and --cy, got none: give it")
        return None
    height, width = _first_shape([left for left, _ in files])
    right = files[0][1]
    if args.baseline_m is not None:
        rig = StereoRig.simple(width, height, args.fx, args.baseline_m, args.cx, args.cy, args.doffs_px)
        if right is None:
            raise ConfigError(
                "expected a stereo pair with --baseline-m, got a single image: give --left and --right, or a "
                "folder with left/ and right/; leave --baseline-m out for one camera"
            )
        return rig
    if right is not None:
        raise ConfigError("expected --baseline-m with --fx for a stereo pair, got none: give it in metres")
    return PinholeCamera.simple(width, height, args.fx, args.cx, args.cy)


def _first_shape(paths: Sequence[Path]) -> tuple[int, ...]:
    """Rows and columns of the first image that can be read.

    Raises:
        ImageError, DataError: Of the first one, when none can.
    """
    failure: Recon3dError | None = None
    for path in paths:
        try:
            return read_image(path).shape[:2]
        except (ImageError, DataError) as exc:
            failure = failure or exc
    assert failure is not None
    raise failure


def _read_cameras(paths: Sequence[Path]) -> PinholeCamera | StereoRig:
    cameras = [read_camera_yaml(path) for path in paths]
    singles = [camera for camera in cameras if isinstance(camera, PinholeCamera)]
    if len(cameras) == 1:
        return cameras[0]
    if len(cameras) != 2 or len(singles) != 2:
        raise ConfigError(
            f"expected one camera file, or two of single cameras, got {len(paths)}: give left and right"
        )
    return StereoRig(*singles)


def _summary(result: Result) -> str:
    depth = result.depth_map.depth[result.depth_map.valid]
    suffix = "" if result.scale is None else f", {result.scale}"
    if depth.size == 0:
        return f"no valid depth within the limits{suffix}"
    near, middle, far = np.percentile(depth, (1, 50, 99))
    share = depth.size / result.depth_map.depth.size
    return (
        f"{share:.0%} valid, depth {near:.2f} / {middle:.2f} / {far:.2f} m (1 / 50 / 99 %), "
        f"{sum(result.timings_ms.values()):.0f} ms{suffix}"
    )
