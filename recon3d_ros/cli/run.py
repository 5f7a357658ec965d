"""`recon3d run`: images and a camera in, depth maps and point clouds out, as files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain

import numpy as np
from tqdm import tqdm

from recon3d_ros.cli.depth_from import (
    add_depth_from,
    from_motion,
    open_motion,
    required_poses,
    single_posed,
    tell_blind,
)
from recon3d_ros.cli.flags import add_options, read_options, user_path
from recon3d_ros.cli.frames import add_image_arguments, named_frames
from recon3d_ros.cli.results import Writer
from recon3d_ros.cli.run_objects import add_object_arguments, run_objects
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.config import ModelConfig, PipelineConfig, ScaleConfig
from recon3d_ros.config.parameters import OFFLINE
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
from recon3d_ros.estimation.motion_source import MotionEstimator
from recon3d_ros.geometry import Frame
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.model_zoo.words import of_default_mono
from recon3d_ros.offline.doubts import DoubtLog
from recon3d_ros.offline.far_pixels import FarPixels
from recon3d_ros.pipeline import Pipeline, Result
from recon3d_ros.scale import ScaleRecovery
from recon3d_ros.system.printable import printable

HELP = (
    "Compute depth maps and point clouds from image files. For each image it writes NAME_depth.png (16 bit, "
    "mm, 0 = invalid), NAME_depth.pfm (m), NAME_disparity.pfm (px, stereo models), NAME_confidence.png and "
    ".pfm (models with a confidence output, white = high), NAME_depth_colour.png (red = near), "
    "NAME_cloud.ply, and NAME_view.png, a picture of the cloud; with --free-space-frames also NAME_free.ply. "
    "Images with distortion in their camera file are rectified first. Models of relative inverse depth have "
    "no metric scale and need no camera: they give NAME_relative.pfm and NAME_relative_colour.png, or with "
    "--scale-sources all of the above. The sources fixed and floor can be used for image files. Models of "
    "whole objects (point_set, completion) write NAME_object.ply and NAME_object.png instead."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    add_image_arguments(parser)
    parser.add_argument(
        "--out", type=user_path, required=True, metavar="DIR", help="output folder, created if missing"
    )
    parser.add_argument(
        "--separate",
        action="store_true",
        help="the images are of different places: reset the scale and the temporal filter before each "
        "(default: they are a sequence)",
    )
    parser.add_argument(
        "--rerun", type=user_path, metavar="FILE", help="also write a .rrd recording for the viewer Rerun"
    )
    parser.add_argument("--no-view", action="store_true", help="do not draw pictures of the clouds")
    parser.add_argument(
        "--turntable",
        action="store_true",
        help="also write NAME_turntable.webp, an animation of the cloud (needs OpenCV 4.11 or newer)",
    )
    add_object_arguments(parser)
    add_depth_from(parser)
    for config in OFFLINE:
        add_options(parser, config)


def main(args: argparse.Namespace) -> int:
    """Process every frame; say in a line each what came out."""
    limits = read_options(args, PipelineConfig)
    model = read_options(args, ModelConfig)
    scale = read_options(args, ScaleConfig)
    scale.require_offline()
    motion = from_motion(args)
    if (done := run_objects(args, named := _named(model))) is not None:
        return done
    is_metric = motion or scale.is_on or named is None or named.is_metric
    frames = _posed(args) if motion else named_frames(args, calibrated=is_metric)
    unread: list[Recon3dError] = []
    readable = _readable(frames, unread)
    first = next(readable, None)
    if first is None:
        raise unread[0]
    writer = Writer(args.out, not args.no_view, args.turntable, args.rerun)
    doubts, far = DoubtLog(), FarPixels(limits.max_depth_m)
    try:
        opened = open_motion(args, model) if motion else _opened(model, first.is_stereo)
        with closing(opened) as estimator:
            describe = (
                _metric_output(estimator, limits, scale, writer, doubts, far, args.separate)
                if is_metric or isinstance(estimator, MotionEstimator)
                else _relative_output(estimator, writer)
            )
            every = chain([first], readable)
            # Silent where no terminal is.
            for frame in tqdm(every, total=len(frames), unit="frame", disable=None, leave=False):
                size = f"{frame.image.shape[1]}x{frame.image.shape[0]}"
                tqdm.write(f"{printable(frame.name or 'frame')} {size}: {describe(frame)}")
        writer.close(complete=True)
    finally:
        writer.close(complete=False)
    count = len(frames) - len(unread)
    suffix = _remarks(doubts, far) if is_metric else ": relative inverse depth, so no point clouds"
    print(f"{count} frame{'s'[: count != 1]} of {estimator.manifest.name} in {args.out}{suffix}")
    tell_written(args.rerun)
    tell_blind(estimator)
    _require_depth(writer, count)
    _require_all(unread, len(frames))
    return 0


def _named(model: ModelConfig) -> Manifest | None:
    """The model that is named; None for auto, which depends on the images: ours know metres either way."""
    return None if model.model == ModelConfig().model else find_model(model.model, model.models_dir)


def _posed(args: argparse.Namespace) -> Sequence[Frame]:
    """The frames of a recording with their poses."""
    if args.input is None or args.separate:
        raise ConfigError("expected --input of a recording with --depth-from motion: give it, not --separate")
    spec = parse_spec(args.input)
    frames = named_frames(args, calibrated=True)
    return single_posed(frames, required_poses(args, spec), spec.first)


def _opened(model: ModelConfig, stereo: bool) -> Estimator:
    """Open the model; of the default one for single images, say how good it is."""
    estimator = Estimator.open(model, stereo=stereo)
    if model.model == ModelConfig().model and not stereo:
        print(of_default_mono(estimator.manifest))
    return estimator


def _remarks(doubts: DoubtLog, far: FarPixels) -> str:
    """What is to be said of all frames behind their number."""
    suffix = f"; {doubts.frames} of them with an unlikely calibration or scale" if doubts.frames else ""
    return f"{suffix}\n{far.sentence}".rstrip()


def _require_depth(writer: Writer, count: int) -> None:
    if not writer.with_depth:
        raise DataError(
            f"expected depth in the images, got none in {count} frame{'s'[: count != 1]}: check the "
            "calibration, which image is left, and the limits (--min-depth-m, --max-depth-m)"
        )


def _require_all(unread: Sequence[Recon3dError], count: int) -> None:
    if unread:
        raise PartialResultError(f"{len(unread)} of {count} frames could not be read, first: {unread[0]}")


def _readable(frames: Sequence[Frame], unread: list[Recon3dError]) -> Iterator[Frame]:
    """The frames that can be read; why the others cannot goes into `unread`."""
    for i in range(len(frames)):
        try:
            frame = frames[i]
        except (ImageError, DataError, CalibrationError) as exc:
            unread.append(exc)
        else:
            yield frame


def _metric_output(
    estimator: Estimator | MotionEstimator,
    limits: PipelineConfig,
    scale: ScaleConfig,
    writer: Writer,
    doubts: DoubtLog,
    far: FarPixels,
    separate: bool,
) -> Callable[[Frame], str]:
    """How a frame becomes depth and a cloud in files, and a line about them."""
    recovery = ScaleRecovery.of(scale)
    pipeline = Pipeline(estimator, limits, recovery)

    def describe(frame: Frame) -> str:
        if separate:
            pipeline.reset()
            if recovery is not None:
                recovery.reset()
        result = pipeline.process(frame)
        doubts.add(frame, result)
        far.add(result)
        writer.write(frame, result)
        return _summary(result)

    return describe


def _relative_output(estimator: Estimator, writer: Writer) -> Callable[[Frame], str]:
    """The same for a model without metres."""

    def describe(frame: Frame) -> str:
        relative_depth = estimator.estimate_raw(frame)
        writer.write_relative(frame.name, relative_depth)
        return f"{np.isfinite(relative_depth).mean():.0%} valid, relative"

    return describe


def _summary(result: Result) -> str:
    depth = result.depth_map.depth[result.depth_map.valid]
    suffix = "" if result.scale is None else f", {result.scale}"
    if depth.size == 0:
        return f"no valid depth within the limits{suffix}"
    near, middle, far = np.percentile(depth, (1, 50, 99))
    share = depth.size / result.depth_map.depth.size
    return (
        f"{share:.0%} valid, depth {near:.2f} / {middle:.2f} / {far:.2f} m (percentiles 1 / 50 / 99), "
        f"{sum(result.timings_ms.values()):.0f} ms{suffix}"
    )
