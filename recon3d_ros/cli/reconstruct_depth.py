"""Where `recon3d reconstruct` takes its depth from: the recording, a model, or the motion of the camera."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from recon3d_ros.cli.flags import read_options
from recon3d_ros.config import ModelConfig, PipelineConfig, options
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.motion import MotionStereo
from recon3d_ros.filters import DepthFilters
from recon3d_ros.geometry import DepthMap, Sample
from recon3d_ros.offline.reconstruction import DepthSource, Matrix
from recon3d_ros.pipeline import Pipeline, RequestedOutputs

# Options of the pipeline for clouds of single frames, which are not made here.
OF_CLOUDS = tuple(
    spec.name
    for spec in options(PipelineConfig)
    if spec.name.startswith(("point_", "outlier_", "free_space")) or spec.name in ("voxel_m", "decimation")
)
_DEPTH_ALONE = RequestedOutputs(cloud=False, free=False)


def _limits(args: argparse.Namespace) -> PipelineConfig:
    defaults = PipelineConfig()
    limits = read_options(args, PipelineConfig, **{name: getattr(defaults, name) for name in OF_CLOUDS})
    return _as_far_as_the_map(limits, args.map_max_depth_m)


def depth_of_posed(args: argparse.Namespace, first: Sample, stack: ExitStack) -> DepthSource:
    """Where the depth of samples with poses comes from.

    Args:
        args: Parsed options of the verb.
        first: The first sample.
        stack: Closes what is opened.

    Raises:
        ConfigError: There is no recorded depth, or options contradict each other.
        ModelError, MissingDependencyError, BackendError: The model cannot be opened.
    """
    if args.depth != "motion":
        alone = depth_source(args, first, stack)
        return lambda sample, pose: alone(sample)
    pipeline = _opened(args, read_options(args, ModelConfig), True, stack)
    motion = MotionStereo(pipeline.estimator, read_options(args, MotionConfig))

    def depth_of(sample: Sample, pose: Matrix) -> DepthMap:
        frame = pipeline.masked(sample.frame)
        return pipeline.refine(frame, motion.estimate(frame, pose), requested=_DEPTH_ALONE).depth_map

    return depth_of


def depth_source(args: argparse.Namespace, first: Sample, stack: ExitStack) -> Callable[[Sample], DepthMap]:
    """Where the depth of samples comes from that have no poses yet; see `depth_of_posed`."""
    if args.depth == "recorded" and first.depth is None:
        raise ConfigError(f"expected recorded depth in {args.input}, it has none: leave --depth out")
    if args.depth != "model" and first.depth is not None:
        filters = DepthFilters(_limits(args))

        def recorded(sample: Sample) -> DepthMap:
            assert sample.depth is not None  # as of the first one
            return filters.apply(DepthMap(sample.depth, sample.frame.camera), sample.frame)

        return recorded
    model = read_options(args, ModelConfig)
    if args.depth == "motion":  # which names a stereo model; the poses come from what single frames show
        model = replace(model, model=ModelConfig().model)
    pipeline = _opened(args, model, first.frame.is_stereo, stack)
    return lambda sample: pipeline.process(sample.frame, requested=_DEPTH_ALONE).depth_map


def _opened(args: argparse.Namespace, model: ModelConfig, stereo: bool, stack: ExitStack) -> Pipeline:
    """The pipeline of a model, which the stack closes."""
    limits = _limits(args)
    estimator = Estimator.open(model, stereo=stereo)
    stack.callback(estimator.close)
    return Pipeline(estimator, limits)


def _as_far_as_the_map(limits: PipelineConfig, map_max_depth_m: float) -> PipelineConfig:
    """What the limit makes +Inf is free space for the map, as far as the map goes: it must not end before."""
    if limits.max_depth_m >= map_max_depth_m:
        return limits
    if limits.max_depth_m != PipelineConfig().max_depth_m:
        raise ConfigError(
            f"expected --max-depth-m of at least --map-max-depth-m ({map_max_depth_m:g} m), got "
            f"{limits.max_depth_m:g} m: raise it, or lower --map-max-depth-m"
        )
    return replace(limits, max_depth_m=map_max_depth_m)
