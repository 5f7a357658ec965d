"""`recon3d run` with a model of whole objects: an image and a box in, the points of the object out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros import files
from recon3d_ros.cli.flags import read_options, refuse, user_path
from recon3d_ros.cli.frames import named_frames
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import ConfigError, DataError
from recon3d_ros.estimation.completion import ObjectCompleter, guessed_cloud, object_points
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.objects import ObjectModel
from recon3d_ros.files.shape_mesh import write_shape_mesh
from recon3d_ros.files.shape_picture import draw_shape
from recon3d_ros.geometry import Frame, UnorganizedCloud
from recon3d_ros.geometry.object_in_view import Box, box_of
from recon3d_ros.geometry.unit_frame import ObjectView
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.pipeline import Pipeline, RequestedOutputs

Mask = NDArray[np.bool_]
DepthOf = Callable[[Frame], NDArray[np.float32]]
_DEPTH_ALONE = RequestedOutputs(cloud=False)


def add_object_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that are for models of whole objects."""
    group = parser.add_argument_group("models of whole objects (point_set, completion)")
    group.add_argument(
        "--box",
        nargs=4,
        type=float,
        metavar=("X", "Y", "W", "H"),
        help="box around the object in the (rectified, left) image, px (default: the mask's, or the image)",
    )
    group.add_argument(
        "--mask", type=user_path, metavar="FILE", help="image of the size of the other, white = the object"
    )
    group.add_argument(
        "--depth-model",
        default=ModelConfig().model,
        metavar="MODEL",
        help="model of the depth that places the object, or is completed (default %(default)s)",
    )
    group.add_argument(
        "--mesh",
        choices=("ball_pivoting", "poisson"),
        help="also write a mesh of the points, NAME_object.stl: through the points, or a closed surface",
    )


def _refuse_object_arguments(args: argparse.Namespace) -> None:
    """Refuse these flags with a model of depth, rather than ignore them."""
    refuse(args, ("box", "mask", "mesh"), "models of depth")
    if args.depth_model != ModelConfig().model:
        raise ConfigError("expected no --depth-model for models of depth, got it: name it with --model")


def run_objects(args: argparse.Namespace, manifest: Manifest | None) -> int | None:
    """Write NAME_object.ply and NAME_object.png of each frame; with --mesh NAME_object.stl, too.

    Returns:
        The exit code; None for a model of depth, or when none is named.

    Raises:
        ConfigError: An option is for models of depth, or the flags name no images.
        DataError: The box or the mask shows no object, or nothing of it has depth.
    """
    if manifest is None or not manifest.gives_shape:
        _refuse_object_arguments(args)
        return None
    refuse(args, ("turntable", "rerun", "no_view"), "models of whole objects")
    # One image of no camera will do for a shape without metres.
    bare = args.image is not None and args.camera is None and args.fx is None
    if bare and manifest.takes_points:
        raise ConfigError(
            f"expected the camera of the image for {manifest.name}, which completes measured points, got "
            "none: give --camera or --fx"
        )
    frames = named_frames(args, calibrated=not bare)
    mask = None if args.mask is None else _read_mask(args.mask)
    files.make_folder(args.out)
    with _depth_of(args, frames[0], wanted=not bare) as depth_of, _opened(args, manifest) as model:
        for frame in frames:
            box = _box(args, frame, mask)
            depth = depth_of(frame) if depth_of is not None else None
            done = _found(model, frame, box, mask, depth)
            name = f"{frame.name.replace('/', '_') or 'frame'}_object"
            files.write_ply(args.out / f"{name}.ply", done.cloud)
            files.write_image(args.out / f"{name}.png", done.picture)
            if args.mesh:
                write_shape_mesh(args.out / f"{name}.stl", done.cloud.xyz, args.mesh)
            print(f"{frame.name or 'frame'}: {done.words}")
    print(f"{len(frames)} object{'s'[: len(frames) != 1]} of {manifest.name} in {args.out}, guessed")
    return 0


@dataclass(frozen=True, eq=False)
class _Found:
    cloud: UnorganizedCloud
    picture: NDArray[np.uint8]
    words: str


def _found(
    model: ObjectModel | ObjectCompleter,
    frame: Frame,
    box: Box,
    mask: Mask | None,
    depth: NDArray[np.float32] | None,
) -> _Found:
    """What the model makes of one frame."""
    image = frame.image if frame.image.ndim == 3 else np.repeat(frame.image[..., None], 3, axis=2)
    if isinstance(model, ObjectCompleter):
        assert depth is not None  # asked for
        partial = object_points(depth, frame.camera, box, mask)
        cloud = guessed_cloud(model.complete(partial), partial, frame.frame_id)
        crop = ObjectView.of_box(frame.camera, box).crop(image, frame.camera, 192)
        picture = draw_shape(crop, [("guessed", cloud.xyz[len(partial) :])], measured=partial)
        return _Found(cloud, picture, f"{len(partial)} points seen, {_extent(cloud)}")
    seen = model.see(image, frame.camera, box, mask)
    picture = draw_shape(seen.crop, [("guessed", seen.unit_points)])
    if depth is None:
        cloud, where = seen.unit_cloud(), "no camera, so the unit is half the side of the box"
    else:
        distance_m = seen.distance_m(depth, frame.camera, box, mask)
        cloud = seen.cloud(distance_m, frame.frame_id)
        where = f"{distance_m:.2f} m away, {_extent(cloud)}"
    return _Found(cloud, picture, f"{len(cloud)} points, {where}")


def _extent(cloud: UnorganizedCloud) -> str:
    low, high = np.percentile(cloud.xyz, (1, 99), axis=0)
    return "{:.2f} x {:.2f} x {:.2f} m (across, down, along the view)".format(*(high - low))


def _box(args: argparse.Namespace, frame: Frame, mask: Mask | None) -> Box:
    height, width = frame.image.shape[:2]
    if mask is not None and mask.shape != (height, width):
        raise DataError(
            f"expected a mask of {width}x{height} px, got {mask.shape[1]}x{mask.shape[0]}: it is of the "
            "rectified (left) image"
        )
    if args.box is None:
        return (0.0, 0.0, float(width), float(height)) if mask is None else box_of(mask)
    x, y, w, h = args.box
    if x + w <= 0 or y + h <= 0 or x >= width or y >= height:
        raise DataError(
            f"expected a box in the image of {width}x{height} px, got {x:g} {y:g} {w:g} {h:g}: correct --box"
        )
    return x, y, w, h


def _read_mask(path: object) -> Mask:
    image = files.read_image(path)  # type: ignore[arg-type]
    return np.asarray((image if image.ndim == 2 else image.max(axis=2)) > 127)


@contextmanager
def _opened(args: argparse.Namespace, manifest: Manifest) -> Iterator[ObjectModel | ObjectCompleter]:
    kind = ObjectCompleter if manifest.takes_points else ObjectModel
    with kind.open(args.model, args.models_dir, args.threads or 0) as model:
        yield model


@contextmanager
def _depth_of(args: argparse.Namespace, first: Frame, wanted: bool) -> Iterator[DepthOf | None]:
    """What makes the (H, W) depth of a frame, filtered as in the node; None where none is wanted."""
    if not wanted:
        yield None
        return
    limits = read_options(args, PipelineConfig)
    config = read_options(args, ModelConfig, model=args.depth_model)
    with closing(Estimator.open(config, stereo=first.is_stereo)) as estimator:
        pipeline = Pipeline(estimator, limits)
        yield lambda frame: pipeline.process(frame, requested=_DEPTH_ALONE).depth_map.depth
