from __future__ import annotations

from recon3d_ros.evaluation.backend_benchmark import benchmark_backends


def test_stages_of_onnx_runtime_and_a_reason_for_what_is_not_there() -> None:
    rows = benchmark_backends(frames=2)
    keys = ["backend", "precision", "stage", "frames", "median_ms", "p95_ms", "note"]
    assert all(list(row) == keys for row in rows)
    cpu = [row for row in rows if row["backend"] == "onnxruntime" and row["precision"] == "fp32"]
    stages = ["decode", "preprocess", "infer", "postprocess", "filter", "cloud", "total"]
    assert [row["stage"] for row in cpu] == stages
    times = {row["stage"]: row["median_ms"] for row in cpu}
    assert times["total"] >= times["infer"] > 0
    assert all(row["median_ms"] <= row["p95_ms"] for row in cpu)
    for row in rows:  # TensorRT needs a GPU: where there is none, one row says so
        assert row["frames"] == 2 or (row["frames"] == 0 and row["median_ms"] is None and row["note"])
