"""Which methods are evaluated: models with their precisions, and the baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from recon3d_ros.backends import device_of
from recon3d_ros.config import ModelConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.motion_source import MotionEstimator
from recon3d_ros.evaluation.noise import DENOISERS, DenoisingEstimator
from recon3d_ros.evaluation.scoring import FrameEstimator
from recon3d_ros.evaluation.sets import EvaluationSet
from recon3d_ros.evaluation.sgbm import SgbmEstimator
from recon3d_ros.model_zoo.registry import find_model

SGBM = "sgbm"
PLAIN = "none"  # of denoisers


class EvaluationRun(NamedTuple):
    """A method with one of its precisions; `pairs`: on which sets, None for all that it can predict."""

    method: str
    precision: str | None
    pairs: bool | None = None


class Method(NamedTuple):
    """An open method, with the name and the precision that its rows carry."""

    estimator: FrameEstimator
    name: str
    precision: str | None


def list_runs(
    models: str, baseline: str, precisions: str, kinds: Collection[bool], config: ModelConfig
) -> list[EvaluationRun]:
    """Each method with each precision that is asked for, or that it has; the baseline last, without one.

    Args:
        models: Names with commas between them; none = no model.
        baseline: sgbm or none.
        precisions: With commas between them; empty = all that a model has.
        kinds: Of the sets: True where there are pairs.
        config: Backend and folder of the models.

    Raises:
        ConfigError: There is neither a model nor a baseline.
        Recon3dError: There is no such model.
    """
    wanted = [name for name in precisions.split(",") if name]
    names = [name for name in models.split(",") if name and name != "none"]
    if not names and baseline == "none":
        raise ConfigError(
            "expected a model or a baseline to evaluate, got neither: give --model or --baseline"
        )
    runs: list[EvaluationRun] = []
    for method in names:
        if method == SGBM:
            runs.append(EvaluationRun(method, None))
            continue
        for pairs in sorted(kinds, reverse=True) if method == "auto" else [None]:
            device = device_of(config.backend)
            manifest = find_model(method, config.models_dir, device=device, stereo=pairs is not False)
            own = wanted or [artifact.precision for artifact in manifest.artifacts] or ["auto"]
            name = method if pairs is None else manifest.name
            runs += [EvaluationRun(name, precision, pairs) for precision in own]
    return [*runs, EvaluationRun(SGBM, None)] if baseline == SGBM else runs


@contextmanager
def opened_method(
    run: EvaluationRun, config: ModelConfig, motion: MotionConfig | None = None
) -> Iterator[Method]:
    """Open a method for the block.

    Args:
        run: Which one.
        config: Everything else of the model.
        motion: For depth from motion, of frames with poses.

    Raises:
        ConfigError: The model outputs relative depth, or for motion is no stereo model.
        Recon3dError: It cannot be opened.
    """
    if run.method == SGBM:
        yield Method(SgbmEstimator(), SgbmEstimator.name, None)
        return
    if motion is not None:
        moving = MotionEstimator.open(config_of(run, config), motion)
        try:
            yield Method(moving, f"motion, {moving.manifest.name}", moving.precision)
        finally:
            moving.close()
        return
    estimator = Estimator.open(config_of(run, config))
    try:
        yield method_of(estimator)
    finally:
        estimator.close()


def config_of(run: EvaluationRun, config: ModelConfig) -> ModelConfig:
    """The configuration of a run's model."""
    return replace(config, model=run.method, precision=run.precision or "auto")


def method_of(estimator: Estimator) -> Method:
    """An open model as a method.

    Raises:
        ConfigError: It outputs relative depth.
    """
    if not estimator.is_metric:
        raise ConfigError(
            f"model {estimator.manifest.name} outputs relative inverse depth, which has no error in "
            "metres: evaluate a metric or a stereo model; recon3d run draws pictures of this one"
        )
    return Method(estimator, estimator.manifest.name, estimator.precision)


def with_denoiser(method: Method, denoiser: str, one: EvaluationSet) -> Method:
    """The method behind a denoiser of `DENOISERS`, or as it is."""
    if denoiser == PLAIN:
        return method
    estimator = DenoisingEstimator(method.estimator, denoiser, one.degradation.noise)
    return Method(estimator, f"{method.name} + {denoiser}", method.precision)


def unfit(method: Method, one: EvaluationSet) -> str:
    """Why a method cannot predict a set; empty = it can."""
    if method.estimator.is_stereo and not one.has_pairs:
        return f"{method.name} needs pairs and {one.name} has none"
    return ""


def check_denoisers(names: Sequence[str]) -> None:
    """Refuse names that no denoiser has.

    Raises:
        ConfigError: One of them is unknown.
    """
    for name in names:
        if name not in (PLAIN, *DENOISERS):
            raise ConfigError(f"expected denoisers of none, {', '.join(DENOISERS)}, got {name!r}: correct it")
