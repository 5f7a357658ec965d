from __future__ import annotations

import pytest

from recon3d_ros.evaluation.shape_benchmark import MODEL, benchmark_objects

pytest.importorskip("onnxruntime")


def test_both_parts_have_a_row_at_each_size():
    rows = benchmark_objects([(161, 119), (96, 64)], frames=3)
    assert [(row["part"], row["width"]) for row in rows] == [
        (part, width) for width in (161, 96) for part in ("points in the box", MODEL)
    ]
    for row in rows:
        assert 0 < row["p5_ms"] <= row["median_ms"] <= row["p95_ms"] and row["frames"] == 3
        assert row["points"] > 300
