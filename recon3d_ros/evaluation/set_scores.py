"""All that is measured of one method on one data set, in one pass over its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from recon3d_ros.evaluation.breakdown import BreakdownCollector
from recon3d_ros.evaluation.gallery import Gallery
from recon3d_ros.evaluation.reliability import (
    DEPTH_ERROR,
    DISPARITY_ERROR,
    Reliability,
    ReliabilityCollector,
)
from recon3d_ros.evaluation.scoring import FrameEstimator, SetScore, evaluate
from recon3d_ros.evaluation.sets import EvaluationSet
from recon3d_ros.geometry import DepthMap, Sample


class SetScores(NamedTuple):
    """Scores, the reliability of a confidence where there is one, and the rows of `BreakdownCollector`."""

    score: SetScore
    reliability: Reliability | None
    groups: list[dict[str, Any]]


def score_set(
    estimator: FrameEstimator,
    one: EvaluationSet,
    labels: tuple[str, str | None],
    gallery: Gallery | None = None,
    by: Sequence[str] = (),
    advance: Callable[[], Any] = lambda: None,
) -> SetScores:
    """Score an estimator on a set.

    Args:
        estimator: A model or a baseline.
        one: The set.
        labels: Name of the estimator and precision of its file, for the report.
        gallery: Draws what it wants of it.
        by: Names of breakdowns.
        advance: Called after each frame.

    Raises:
        Recon3dError: Whatever reading a sample or estimating raises.
    """
    name, precision = labels
    collector = ReliabilityCollector(DISPARITY_ERROR if estimator.is_stereo else DEPTH_ERROR)
    groups = BreakdownCollector(by)
    title = f"{name} {precision or ''}".rstrip()
    keep = None if gallery is None else gallery.recorder(one.name, len(one.samples), title)

    def watch(sample: Sample, prediction: DepthMap) -> None:
        advance()
        collector.add(sample, prediction)
        groups.add(sample, prediction)
        if keep is not None:
            keep(sample, prediction)

    score = evaluate(estimator, one.samples, one.name, name, precision, watch)
    columns = (one.name, name, precision)
    return SetScores(score, collector.result(*columns), groups.rows(*columns))
