"""Scores as text and as JSON."""

from __future__ import annotations

import json
import math

from recon3d_ros.evaluation import to_dict, to_text
from recon3d_ros.evaluation.scoring import FrameScore, SetScore

STEREO = {"bad_px_1": 0.2534, "bad_px_2": 0.15, "bad_px_3": 0.1, "epe_px": 0.876, "coverage": 0.912}
MONO = {"abs_rel": 0.123, "abs_rel_scaled": 0.0987, "rmse_m": math.nan, "delta_1": 0.8, "coverage": 1.0}


def _scores(*rows):
    return [SetScore(data, method, (FrameScore("f", 12.34, metrics),)) for data, method, metrics in rows]


def test_the_table_has_a_row_per_method_and_only_columns_with_values():
    lines = to_text(_scores(("kitti2012", "ours", STEREO), ("kitti2012", "sgbm", STEREO))).splitlines()
    assert lines[0].split() == (
        "data method frames bad_px_1 % bad_px_2 % bad_px_3 % epe_px coverage % ms/frame".split()
    )
    assert lines[1].split() == "kitti2012 ours 1 25.3 15.0 10.0 0.88 91.2 12.3".split()
    assert lines[2].split()[:2] == ["kitti2012", "sgbm"]
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1


def test_rows_of_different_kinds_share_the_table_and_unknown_is_a_dash():
    lines = to_text(_scores(("kitti2012", "ours", STEREO), ("nyuv2", "mono", MONO))).splitlines()
    assert "scaled: abs_rel" in lines[0]
    assert lines[2].split() == "nyuv2 mono 1 - - - - 100.0 0.123 - 80.0 0.099 12.3".split()
    assert lines[1].split()[-2] == "-"


def test_json_holds_every_frame_and_no_nan():
    content = json.loads(json.dumps(to_dict(_scores(("nyuv2", "mono", MONO))), allow_nan=False))
    (row,) = content["sets"]
    assert (row["data"], row["method"], row["frames"], row["time_ms_median"]) == ("nyuv2", "mono", 1, 12.34)
    assert row["metrics"]["abs_rel"] == 0.123 and row["metrics"]["rmse_m"] is None
    assert row["per_frame"][0]["name"] == "f"
    assert row["per_frame"][0]["metrics"]["rmse_m"] is None


def test_nothing_scored_is_a_heading_alone():
    assert to_text([]).split() == ["data", "method", "frames", "ms/frame"]
    assert to_dict([]) == {"sets": []}
