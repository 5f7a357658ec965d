"""Scores as a text table for people and as rows for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from recon3d_ros.evaluation.scoring import SetScore
from recon3d_ros.files import finite
from recon3d_ros.files.text_table import aligned


class Column(NamedTuple):
    """A column of the table: heading, metric, factor on the value and digits after the point."""

    heading: str
    metric: str
    factor: float = 1.0
    digits: int = 1


COLUMNS = (
    Column("bad_px_1 %", "bad_px_1", 100.0),
    Column("bad_px_2 %", "bad_px_2", 100.0),
    Column("bad_px_3 %", "bad_px_3", 100.0),
    Column("epe_px", "epe_px", 1.0, 2),
    Column("coverage %", "coverage", 100.0),
    Column("consistent_px_1 %", "consistent_px_1", 100.0),
    Column("consistent_px_3 %", "consistent_px_3", 100.0),
    Column("abs_rel", "abs_rel", 1.0, 3),
    Column("rmse_m", "rmse_m", 1.0, 2),
    Column("delta_1 %", "delta_1", 100.0),
    Column("scale", "scale", 1.0, 2),
    Column("scaled: abs_rel", "abs_rel_scaled", 1.0, 3),
    Column("rmse_m", "rmse_m_scaled", 1.0, 2),
    Column("delta_1 %", "delta_1_scaled", 100.0),
)


def to_text(scores: Sequence[SetScore]) -> str:
    """A table with one row per set and method; columns that no row fills are left out.

    Every number is a mean over the frames, the time a median. bad_px counts a missing estimate as bad;
    epe_px, abs_rel, rmse_m and delta_1 are of the estimated pixels; so they are after each frame was
    multiplied by its scale, median(truth) / median(estimate).
    """
    means = [score.metrics for score in scores]
    columns = [column for column in COLUMNS if any(column.metric in row for row in means)]
    rows = [["data", "method", "precision", "frames", *(column.heading for column in columns), "ms/frame"]]
    for score, row in zip(scores, means):
        cells = [_cell(row.get(column.metric, math.nan), column) for column in columns]
        time_cell = "-" if math.isnan(score.time_ms_median) else f"{score.time_ms_median:.1f}"
        rows.append(
            [score.data, score.method, score.precision or "-", str(len(score.frames)), *cells, time_cell]
        )
    return "\n".join(aligned(rows, left=3))


def to_rows(scores: Sequence[SetScore]) -> list[dict[str, Any]]:
    """The scores ready for JSON, one dictionary per set and method, undefined metrics as None.

    Of stereo: `model`, `precision` (None for a baseline), `set`, `scene`, `pairs`, `epe_px`, `bad_px_1` to
    `bad_px_3` and `coverage` in percent, `median_ms`; the scene `all` is the mean over the pairs, and a row
    for each pair follows it. Sets without truth have `consistent_px_1` and `consistent_px_3`, percent.
    Of one camera: `frames` in place of scene and pairs, `abs_rel`, `rmse_m` and `delta_1` (a fraction), all
    three with `_median` after the estimate was multiplied by `scale`, the ratio of the medians, `coverage` in
    percent.
    """
    rows = [
        row for score in scores for row in (_stereo_rows(score) if score.is_stereo else [_mono_row(score)])
    ]
    result: list[dict[str, Any]] = finite(rows)
    return result


def _stereo_rows(score: SetScore) -> list[dict[str, Any]]:
    scenes = [("all", len(score.frames), score.metrics, score.time_ms_median)]
    scenes += [(frame.name, 1, frame.metrics, frame.time_ms) for frame in score.frames]
    rows = []
    for scene, pairs, metrics, time_ms in scenes:
        row = {**_head(score), "scene": scene, "pairs": pairs, "epe_px": metrics.get("epe_px", math.nan)}
        for key in ("bad_px_1", "bad_px_2", "bad_px_3", "coverage", "consistent_px_1", "consistent_px_3"):
            if key in metrics or not key.startswith("consistent"):
                row[key] = 100 * metrics.get(key, math.nan)
        rows.append({**row, "median_ms": time_ms})
    return rows


def _mono_row(score: SetScore) -> dict[str, Any]:
    metrics = score.metrics
    keys = {key: key for key in ("abs_rel", "rmse_m", "delta_1")}
    keys |= {f"{key}_median": f"{key}_scaled" for key in ("abs_rel", "rmse_m", "delta_1")}
    keys["scale"] = "scale"
    row = {**_head(score), "frames": len(score.frames)}
    row |= {key: metrics.get(name, math.nan) for key, name in keys.items()}
    coverage = 100 * metrics.get("coverage", math.nan)
    return {**row, "coverage": coverage, "median_ms": score.time_ms_median}


def _head(score: SetScore) -> dict[str, Any]:
    return {"model": score.method, "precision": score.precision, "set": score.data}


def _cell(value: float, column: Column) -> str:
    return "-" if math.isnan(value) else f"{value * column.factor:.{column.digits}f}"
