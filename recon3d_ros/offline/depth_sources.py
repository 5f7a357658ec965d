"""Where a reconstruction takes its depth from: the recording, a model, or the motion of the camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.motion import MotionStereo
from recon3d_ros.filters import DepthFilters
from recon3d_ros.geometry import DepthMap, Sample
from recon3d_ros.offline.reconstruct_options import ReconstructOptions
from recon3d_ros.offline.reconstruction import DepthSource, Matrix
from recon3d_ros.pipeline import Pipeline, RequestedOutputs

#: Opens a model, of pairs or not, as a `KeptEstimator`.
Opener = Callable[[ModelConfig, bool], Estimator]
_DEPTH_ALONE = RequestedOutputs(cloud=False, free=False)


def depth_of_posed(options: ReconstructOptions, first: Sample, opener: Opener) -> DepthSource:
    """Where the depth of samples with poses comes from.

    Args:
        options: Of the reconstruction.
        first: The first sample.
        opener: For the model.

    Raises:
        ConfigError: There is no recorded depth, or options contradict each other.
        ModelError, MissingDependencyError, BackendError: The model cannot be opened.
    """
    if options.depth != "motion":
        alone = depth_source(options, first, opener)
        return lambda sample, pose: alone(sample)
    estimator = opener(options.model, True)
    pipeline, motion = Pipeline(estimator, options.limits), MotionStereo(estimator, options.motion)

    def depth_of(sample: Sample, pose: Matrix) -> DepthMap:
        frame = pipeline.masked(sample.frame)
        return pipeline.refine(frame, motion.estimate(frame, pose), requested=_DEPTH_ALONE).depth_map

    return depth_of


def depth_source(
    options: ReconstructOptions, first: Sample, opener: Opener, farthest_m: float = 0.0
) -> Callable[[Sample], DepthMap]:
    """Where the depth of samples comes from that have no poses yet.

    Args:
        options: See `depth_of_posed`.
        first: See there.
        opener: See there.
        farthest_m: Depth of a model is kept up to here at least, also beyond `max_depth_m`: far points tell
            the rotation of the camera, and weigh by their sigma. That of a sensor, which has none, is not.
    """
    if options.depth == "recorded" and first.depth is None:
        raise ConfigError("expected recorded depth in the input, it has none: leave --depth out")
    if options.depth != "model" and first.depth is not None:
        filters = DepthFilters(options.limits)

        def recorded(sample: Sample) -> DepthMap:
            assert sample.depth is not None  # as of the first one
            return filters.apply(DepthMap(sample.depth, sample.frame.camera), sample.frame)

        return recorded
    model = options.model
    if options.depth == "motion":  # which names a stereo model; the poses come from what single frames show
        model = replace(model, model=ModelConfig().model)
    limits = replace(options.limits, max_depth_m=max(options.limits.max_depth_m, farthest_m))
    pipeline = Pipeline(opener(model, first.frame.is_stereo), limits)
    return lambda sample: pipeline.process(sample.frame, requested=_DEPTH_ALONE).depth_map
