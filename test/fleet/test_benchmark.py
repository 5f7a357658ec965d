"""The benchmark of the fleet counts what its workers did."""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed (.[ray])")
pytest.importorskip("rosbags")
if importlib.util.find_spec("ray") is None:  # not imported: the engine makes a token before
    pytest.skip("ray is not installed (.[ray])", allow_module_level=True)

from recon3d_ros.fleet.benchmark import benchmark_fleet


@pytest.mark.slow
def test_rows_hold_what_was_done():
    rows = benchmark_fleet(frames=5, rounds=1, model="fake_stereo")
    assert [(row["workers"], row["bags"], row["frames"]) for row in rows] == [(1, 4, 20), (2, 4, 20)]
    one, two = rows
    assert one["ratio"] == 1.0 and two["ratio"] == two["frames_per_s"] / one["frames_per_s"]
    assert 0 < one["engine_percent"] < 100 and two["engine_percent"] is None
    assert all(row["cpu_ms"] > 0 and row["memory_mb"] > 50 and row["start_s"] > 0 for row in rows)
