"""The flags that name images and their camera, and the frames that they name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from recon3d_ros.cli.flags import user_path
from recon3d_ros.config.camera_topics import SEPARATE, STEREO_LAYOUTS, is_packed
from recon3d_ros.datasets import DATASETS, WORLDS, layout_of, open_dataset
from recon3d_ros.datasets.folders import (
    CAMERA_FILE,
    folder_frames,
    image_files,
    images_of,
    rectified_frames,
)
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.spec import parse_spec
from recon3d_ros.errors import ConfigError, DataError, ImageError, Recon3dError
from recon3d_ros.files import read_camera, read_photograph
from recon3d_ros.geometry import Frame, PinholeCamera, StereoRig, exchanges_sides, upright


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that name images and their camera."""
    images = parser.add_argument_group("images (one of)")
    images.add_argument("--left", type=user_path, metavar="FILE", help="left image of a pair, with --right")
    images.add_argument("--right", type=user_path, metavar="FILE", help="right image of a pair, with --left")
    images.add_argument("--image", type=user_path, metavar="FILE", help="a single image, for a mono model")
    images.add_argument(
        "--input",
        metavar="FOLDER",
        help="folder of images, folder with left/ and right/, or anything that recon3d evaluate accepts as "
        "--data; its own calibration is used if no camera is given here",
    )
    images.add_argument(
        "--layout",
        choices=STEREO_LAYOUTS,
        default=SEPARATE,
        help="with --image, or --input of a folder of images: both views of a stereo camera are in one "
        "image, the left view left or above; the camera is that of the views (default %(default)s)",
    )
    camera = parser.add_argument_group("camera")
    camera.add_argument(
        "--camera",
        type=user_path,
        nargs="+",
        metavar="FILE",
        help="calibration: camera_info YAML of camera_calibration (a pair: two files, or one with left: and "
        "right:) or of ros2 topic echo, or a file of OpenCV, kalibr, EuRoC or KITTI",
    )
    camera.add_argument("--fx", type=float, metavar="PX", help="instead: focal length of rectified images")
    camera.add_argument("--baseline-m", type=float, metavar="M", help="with --fx: distance of the cameras")
    camera.add_argument("--cx", type=float, metavar="PX", help="with --fx (default: the image centre)")
    camera.add_argument("--cy", type=float, metavar="PX", help="with --fx (default: the image centre)")
    camera.add_argument(
        "--doffs-px", type=float, default=0.0, metavar="PX", help="with --fx: cx left - cx right"
    )


def named_frames(args: argparse.Namespace, calibrated: bool) -> Sequence[Frame]:
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
        stereo = pair or is_packed(args.layout)
        if isinstance(camera, StereoRig) and not stereo:
            raise ConfigError(
                "expected the calibration of one camera with --image, got that of a pair: give --left and "
                "--right, or --layout if the image holds both views"
            )
        images = images_of([files], 1.0, args.layout)
        return rectified_frames(images, camera, [files[0].stem], as_shown=args.fx is not None)
    if calibrated or pair:
        raise ConfigError(
            "expected the camera of the images, got none: give --camera, or --fx (and --baseline-m)"
            + ("" if pair else _fx_hint(args.image))
        )
    return _uncalibrated_frames([args.image])


def _fx_hint(path: Path) -> str:
    """What the photograph itself says of its focal length; empty when it says nothing."""
    image, exif = read_photograph(path)
    fx_px = exif.fx_px(*image.shape[1::-1])
    return "" if fx_px is None else f"; by its EXIF tags about --fx {fx_px:.0f}"


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
    plain = layout is not None and layout.name == "images"
    files = image_files(folder) if plain or args.fx is not None else []
    camera = _camera(args, files)
    packed = is_packed(args.layout)
    if (
        plain
        and not packed
        and files[0][1] is None
        and not (calibrated or camera or (folder / CAMERA_FILE).exists())
    ):
        return spec.part_of(_uncalibrated_frames([left for left, _ in files]))
    if packed:
        if not plain:
            raise ConfigError(
                f"expected a folder of images with --layout {args.layout}, got {args.input}: leave it out"
            )
    if packed or (plain and args.fx is not None):
        by_fx = args.fx is not None
        return spec.part_of(folder_frames(folder, camera, layout=args.layout, as_shown=by_fx))
    samples = open_dataset(args.input, camera=camera)
    return LazySequence(range(len(samples)), lambda i: samples[i].frame)


def _uncalibrated_frames(paths: Sequence[Path]) -> LazySequence[Frame]:
    def load(i: int) -> Frame:
        image, exif = read_photograph(paths[i])
        image = upright(image, exif.orientation)
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
        return read_camera(*args.camera, image=files[0][0] if files else None)
    if args.fx is None or not files:
        if (args.fx, args.baseline_m, args.cx, args.cy) != (None,) * 4:
            lacks = "a folder or files of images" if args.fx is not None else "--fx (px)"
            raise ConfigError(f"expected {lacks} with --fx, --baseline-m, --cx and --cy, got none: give it")
        return None
    stereo = files[0][1] is not None or is_packed(args.layout)
    height, width = _first_shape([left for left, _ in files], shown=stereo)
    if args.layout == "side_by_side":
        width //= 2
    elif args.layout == "top_bottom":
        height //= 2
    if args.baseline_m is not None and not args.baseline_m > 0:
        raise ConfigError(
            f"expected a positive --baseline-m, got {args.baseline_m:g}: give the distance of the cameras in "
            "metres"
        )
    if args.baseline_m is not None:
        rig = StereoRig.simple(width, height, args.fx, args.baseline_m, args.cx, args.cy, args.doffs_px)
        if not stereo:
            raise ConfigError(
                "expected a stereo pair with --baseline-m, got a single image: give --left and --right, a "
                "folder with left/ and right/, or --layout; leave --baseline-m out for one camera"
            )
        return rig
    if stereo:
        raise ConfigError("expected --baseline-m with --fx for a stereo pair, got none: give it in metres")
    return PinholeCamera.simple(width, height, args.fx, args.cx, args.cy)


def _first_shape(paths: Sequence[Path], shown: bool) -> tuple[int, ...]:
    """Rows and columns of the first image that can be read, as it is stored or as it is shown.

    Raises:
        ImageError, DataError: Of the first one, when none can.
    """
    failure: Recon3dError | None = None
    for path in paths:
        try:
            image, exif = read_photograph(path)
            return image.shape[1::-1] if shown and exchanges_sides(exif.orientation) else image.shape[:2]
        except (ImageError, DataError) as exc:
            failure = failure or exc
    assert failure is not None
    raise failure
