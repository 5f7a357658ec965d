"""Scores as a text table for people and as a dictionary for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from recon3d_ros.evaluation.scoring import SetScore
from recon3d_ros.files import finite


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
    Column("abs_rel", "abs_rel", 1.0, 3),
    Column("rmse_m", "rmse_m", 1.0, 2),
    Column("delta_1 %", "delta_1", 100.0),
    Column("scaled: abs_rel", "abs_rel_scaled", 1.0, 3),
    Column("rmse_m", "rmse_m_scaled", 1.0, 2),
    Column("delta_1 %", "delta_1_scaled", 100.0),
)


def to_text(scores: Sequence[SetScore]) -> str:
    """A table with one row per set and method; columns that no row fills are left out.

    bad_px counts a missing answer as bad; epe_px, abs_rel, rmse_m and delta_1 are of the answered pixels.
    """
    means = [score.metrics for score in scores]
    columns = [column for column in COLUMNS if any(column.metric in row for row in means)]
    rows = [["data", "method", "frames", *(column.heading for column in columns), "ms/frame"]]
    for score, row in zip(scores, means):
        cells = [_cell(row.get(column.metric, math.nan), column) for column in columns]
        time_cell = "-" if math.isnan(score.time_ms_median) else f"{score.time_ms_median:.1f}"
        rows.append([score.data, score.method, str(len(score.frames)), *cells, time_cell])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def to_dict(scores: Sequence[SetScore]) -> dict[str, Any]:
    """Everything, per set and per frame, ready for JSON: fractions in [0, 1], undefined metrics as None."""
    document = {
        "sets": [
            {
                "data": score.data,
                "method": score.method,
                "frames": len(score.frames),
                "metrics": score.metrics,
                "time_ms_median": score.time_ms_median,
                "per_frame": [
                    {"name": frame.name, "time_ms": frame.time_ms, "metrics": frame.metrics}
                    for frame in score.frames
                ],
            }
            for score in scores
        ]
    }
    result: dict[str, Any] = finite(document)
    return result


def _cell(value: float, column: Column) -> str:
    return "-" if math.isnan(value) else f"{value * column.factor:.{column.digits}f}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))
    ]
    return "  ".join(cells).rstrip()
