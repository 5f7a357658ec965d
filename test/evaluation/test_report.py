"""Scores as text and as JSON."""

from __future__ import annotations

import json
import math

import pytest

from recon3d_ros.evaluation import to_rows, to_text
from recon3d_ros.evaluation.scoring import FrameScore, SetScore

STEREO = {"bad_px_1": 0.2534, "bad_px_2": 0.15, "bad_px_3": 0.1, "epe_px": 0.876, "coverage": 0.912}
MONO = {
    "abs_rel": 0.123,
    "abs_rel_scaled": 0.0987,
    "rmse_m": math.nan,
    "delta_1": 0.8,
    "coverage": 1.0,
    "scale": 1.25,
}


def _scores(*rows):
    return [
        SetScore(
            data, method, (FrameScore("f", 12.34, metrics),), "fp16" if method == "ours" else None, stereo
        )
        for data, method, metrics, stereo in ((*row, "abs_rel" not in row[2]) for row in rows)
    ]


def test_the_table_has_a_row_per_method_and_only_columns_with_values():
    lines = to_text(_scores(("kitti2012", "ours", STEREO), ("kitti2012", "sgbm", STEREO))).splitlines()
    assert lines[0].split() == (
        "data method precision frames bad_px_1 % bad_px_2 % bad_px_3 % epe_px coverage % ms/frame".split()
    )
    assert lines[1].split() == "kitti2012 ours fp16 1 25.3 15.0 10.0 0.88 91.2 12.3".split()
    assert lines[2].split()[:2] == ["kitti2012", "sgbm"]
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1


def test_rows_of_different_kinds_share_the_table_and_unknown_is_a_dash():
    lines = to_text(_scores(("kitti2012", "ours", STEREO), ("nyuv2", "mono", MONO))).splitlines()
    assert "scaled: abs_rel" in lines[0]
    assert lines[2].split() == "nyuv2 mono - 1 - - - - 100.0 0.123 - 80.0 1.25 0.099 12.3".split()
    assert lines[1].split()[-2] == "-"


def test_stereo_rows_are_in_percent_and_every_pair_has_its_own():
    frames = (FrameScore("a", 10.0, STEREO), FrameScore("b", 30.0, {**STEREO, "bad_px_1": 0.5}))
    rows = to_rows([SetScore("kitti2012", "ours", frames, "int8")])
    assert [(row["scene"], row["pairs"], row["median_ms"]) for row in rows] == [
        ("all", 2, 20.0),
        ("a", 1, 10.0),
        ("b", 1, 30.0),
    ]
    assert {(row["model"], row["precision"], row["set"]) for row in rows} == {("ours", "int8", "kitti2012")}
    assert rows[0]["bad_px_1"] == pytest.approx(37.67)
    assert rows[1]["coverage"] == pytest.approx(91.2) and rows[1]["epe_px"] == 0.876
    assert list(rows[0]) == (
        "model precision set scene pairs epe_px bad_px_1 bad_px_2 bad_px_3 coverage median_ms".split()
    )


def test_pairs_without_truth_have_consistency_and_no_error():
    metrics = {"coverage": 1.0, "consistent_px_1": 0.75, "consistent_px_3": 0.875}
    whole = to_rows([SetScore("euroc", "ours", (FrameScore("a", 1.0, metrics),), "fp32")])[0]
    assert whole["epe_px"] is None and whole["bad_px_3"] is None
    assert (whole["consistent_px_1"], whole["consistent_px_3"], whole["coverage"]) == (75.0, 87.5, 100.0)


def test_mono_rows_have_no_scene_and_no_nan():
    (row,) = json.loads(json.dumps(to_rows(_scores(("nyuv2", "mono", MONO))), allow_nan=False))
    assert row == {
        "model": "mono",
        "precision": None,
        "set": "nyuv2",
        "frames": 1,
        "abs_rel": 0.123,
        "rmse_m": None,
        "delta_1": 0.8,
        "abs_rel_median": 0.0987,
        "rmse_m_median": None,
        "delta_1_median": None,
        "scale": 1.25,
        "coverage": 100.0,
        "median_ms": 12.34,
    }


def test_nothing_scored_is_a_heading_alone():
    assert to_text([]).split() == ["data", "method", "precision", "frames", "ms/frame"]
    assert to_rows([]) == []
