from __future__ import annotations

import importlib.util

import pytest

from recon3d_ros.evaluation.inference_ratios import inference_ratios

pytest.importorskip("onnxruntime")


def test_every_backend_of_the_cpu_beside_onnx_runtime_in_fp32(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rows = list(inference_ratios(["recon3d_stereo_light"], (96, 64), rounds=3))
    assert all(row.model == "recon3d_stereo_light" for row in rows)
    by_name = {(row.backend, row.precision): row for row in rows}
    reference = by_name["onnxruntime", "fp32"]
    assert len(reference.times_ms) == 3 and reference.ratios == (1.0, 1.0, 1.0)
    assert all(row.times_ms for row in rows if row.backend == "onnxruntime")
    there = importlib.util.find_spec("openvino") is not None
    for row in (row for row in rows if row.backend == "openvino"):
        assert (len(row.ratios), row.note == "") == ((3, True) if there else (0, False))
        assert there or ("pip install" in row.note and "openvino" in row.note)
