"""The report page of an evaluation: tables, pictures to compare, errors, calibration, times and a cloud."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recon3d_ros.evaluation import panels
from recon3d_ros.evaluation.gallery import Gallery
from recon3d_ros.evaluation.reliability import Reliability
from recon3d_ros.evaluation.report import COLUMNS
from recon3d_ros.evaluation.scoring import SetScore
from recon3d_ros.geometry import DepthMap, PointPacker, Sample
from recon3d_ros.reports import Histogram, LineChart, Page, PictureCompare, SceneView, Series, Table
from recon3d_ros.reports.blocks import Cell

_COLOURS = (
    "Near is red, far is blue. Errors: blue is 0, red is {worst} and more; magenta: no estimate, black: no "
    "ground truth. Confidence: white is 1."
)


def evaluation_page(
    scores: Sequence[SetScore],
    curves: Sequence[Reliability],
    groups: Sequence[Mapping[str, Any]],
    gallery: Gallery,
) -> Page:
    """Put the results of `recon3d evaluate` on a page.

    Args:
        scores: Of every method on every set.
        curves: Reliability of the methods that have a confidence.
        groups: Rows of the breakdown; may be empty.
        gallery: Has kept the frames to show.
    """
    names = list(dict.fromkeys(score.data for score in scores))
    methods = list(dict.fromkeys(_title(score.method, score.precision) for score in scores))
    page = Page("Evaluation", f"{', '.join(methods)} on {', '.join(names)}")
    page.add(_accuracy(scores))
    if groups:
        page.add(Table("By group of pixels", list(groups[0]), [list(row.values()) for row in groups]))
    for data in names:
        for sample, predictions in gallery.kept(data):
            page.add(*_frame_blocks(data, sample, predictions))
        own = [curve for curve in curves if curve.data == data and curve.confidence is not None]
        if own:
            page.add(_calibration(data, own))
        page.add(_times(data, [score for score in scores if score.data == data]))
    page.add(_frames(scores))
    return page


def _title(method: str, precision: str | None) -> str:
    return f"{method} {precision or ''}".rstrip()


def _accuracy(scores: Sequence[SetScore]) -> Table:
    means = [score.metrics for score in scores]
    columns = [column for column in COLUMNS if any(column.metric in row for row in means)]
    heads = ["data", "method", "precision", "frames", *(column.heading for column in columns), "ms/frame"]
    rows: list[list[Cell]] = [
        [
            *(score.data, score.method, score.precision or "-", len(score.frames)),
            *(row.get(column.metric, math.nan) * column.factor for column in columns),
            score.time_ms_median,
        ]
        for score, row in zip(scores, means)
    ]
    return Table("Accuracy", heads, rows)


def _frames(scores: Sequence[SetScore]) -> Table:
    keys = list(dict.fromkeys(key for score in scores for frame in score.frames for key in frame.metrics))
    rows: list[list[Cell]] = [
        [
            *(score.data, frame.name, _title(score.method, score.precision)),
            *(frame.metrics.get(key, math.nan) for key in keys),
            frame.time_ms,
        ]
        for score in scores
        for frame in score.frames
    ]
    return Table("Every frame", ["data", "frame", "method", *keys, "ms"], rows)


def _frame_blocks(
    data: str, sample: Sample, predictions: panels.Predictions
) -> list[PictureCompare | Histogram | SceneView]:
    in_px = all(prediction.disparity is not None for _, prediction in predictions)
    worst = f"{panels.WORST_PX:g} px" if in_px else f"{panels.WORST_SHARE:.0%} of the depth"
    title = f"{data}: {sample.name}"
    pictures = panels.layers(sample, predictions)
    blocks: list[PictureCompare | Histogram | SceneView] = [
        PictureCompare(title, pictures, _COLOURS.format(worst=worst))
    ]
    name, first = predictions[0]
    truth = sample.disparity if in_px else sample.depth
    estimate = first.disparity if in_px else first.depth
    if truth is not None and estimate is not None:
        with np.errstate(invalid="ignore"):
            error = estimate - truth
        unit = "disparity error [px]" if in_px else "depth error [m]"
        blocks.append(Histogram(f"{title}: error of {name}", unit, error))
    return [*blocks, _cloud(title, sample, name, first)]


def _cloud(title: str, sample: Sample, name: str, prediction: DepthMap) -> SceneView:
    cloud = PointPacker(prediction.camera).pack(prediction.depth, sample.frame.image)
    return SceneView.of_cloud(f"{title}: cloud of {name}", cloud)


def _calibration(data: str, curves: Sequence[Reliability]) -> LineChart:
    limits = " or ".join(dict.fromkeys(curve.error.limit for curve in curves))
    series = [
        Series(_title(curve.method, curve.precision), curve.confidence, curve.accuracy)
        for curve in curves
        if curve.confidence is not None and curve.accuracy is not None
    ]
    return LineChart(
        f"{data}: calibration of the confidence",
        "confidence",
        f"fraction of pixels with an error below {limits}",
        series,
        diagonal=True,
    )


def _times(data: str, scores: Sequence[SetScore]) -> LineChart:
    series = [
        Series(
            _title(score.method, score.precision),
            np.arange(len(score.frames)),
            np.array([frame.time_ms for frame in score.frames]),
        )
        for score in scores
    ]
    return LineChart(f"{data}: time per frame", "frame", "time [ms]", series)
