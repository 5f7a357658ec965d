from __future__ import annotations

import pytest

from recon3d_ros.evaluation.backend_benchmark import COMPARED, GPU_PATHS, IN_TURN, benchmark_backends


def test_stages_of_onnx_runtime_and_a_reason_for_what_is_not_there(monkeypatch) -> None:
    monkeypatch.setattr("recon3d_ros.evaluation.backend_benchmark.SIZE_WH", (160, 96))
    rows = benchmark_backends(frames=2)
    keys = ["backend", "model", "precision", "gpu_path", "stage", "frames", "median_ms", "p95_ms"]
    keys += ["ratio", "ratio_p5", "ratio_p95", "bad_px_1", "bad_px_2", "bad_px_3", "coverage", "note"]
    assert all(list(row) == keys for row in rows)
    turns = [row for row in rows if row["stage"] == IN_TURN and row["frames"]]
    assert {row["model"] for row in turns} == set(COMPARED)
    assert all(row["ratio_p5"] <= row["ratio"] <= row["ratio_p95"] for row in turns)
    rows = [row for row in rows if row["stage"] != IN_TURN]
    cpu = [row for row in rows if row["backend"] == "onnxruntime" and row["precision"] == "fp32"]
    stages = ["decode", "preprocess", "infer", "postprocess", "filter", "cloud", "total"]
    assert [row["stage"] for row in cpu] == stages
    times = {row["stage"]: row["median_ms"] for row in cpu}
    assert times["total"] >= times["infer"] > 0
    assert all(row["median_ms"] <= row["p95_ms"] for row in cpu)
    for row in rows:  # TensorRT needs a GPU: where there is none, one row says so
        assert row["frames"] == 2 or (row["frames"] == 0 and row["median_ms"] is None and row["note"])


@pytest.mark.slow
def test_accuracy_stands_beside_the_times(data_dir, monkeypatch) -> None:
    monkeypatch.setattr("recon3d_ros.evaluation.backend_benchmark.PRECISIONS", ("fp32",))
    rows = benchmark_backends(frames=1, data="middlebury2001")
    (row,) = (row for row in rows if row["stage"] == "middlebury2001")
    assert row["frames"] == 2 and row["coverage"] == 100.0
    assert 0 < row["bad_px_3"] < row["bad_px_2"] < 10


def test_a_gpu_has_rows_for_each_way_of_a_frame(fake_gpu, pycuda, monkeypatch) -> None:
    """Over stand-ins for vendor and driver."""
    fake_gpu.use_stages(monkeypatch, pycuda)
    monkeypatch.setattr("recon3d_ros.evaluation.backend_benchmark.SIZE_WH", (160, 96))
    monkeypatch.setattr("recon3d_ros.evaluation.backend_benchmark.MODEL", fake_gpu.path)
    monkeypatch.setattr("recon3d_ros.evaluation.backend_benchmark.PRECISIONS", ("fp16",))
    rows = [row for row in benchmark_backends(frames=2) if row["backend"] == "tensorrt"]
    stages = {path: [row["stage"] for row in rows if row["gpu_path"] == path] for path in GPU_PATHS}
    assert stages == {
        "graph": ["decode", "graph", "finish", "total"],
        "stages": [
            *("decode", "upload", "preprocess", "infer", "postprocess", "download", "finish", "total")
        ],
        "inference": ["decode", "preprocess", "infer", "postprocess", "filter", "cloud", "total"],
    }
    assert all(row["frames"] == 2 and row["note"] == "" for row in rows)
