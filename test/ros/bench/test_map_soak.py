"""The walk with the map node: a short one by default, as long as RECON3D_SOAK_FRAMES says otherwise."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from recon3d_ros.ros.bench.map_soak import benchmark_map_soak

pytest.importorskip("skimage")
FRAMES = int(os.environ.get("RECON3D_SOAK_FRAMES", "60"))


@pytest.mark.timeout(120 + FRAMES / 5)
def test_the_map_node_does_not_grow_and_accounts_for_every_image():
    samples = []
    # A short run is over before the allocator has settled, so its slope says nothing: looked at, not judged.
    (row,) = benchmark_map_soak(FRAMES, 10.0, samples.append, size_wh=(64, 48), chunk=min(FRAMES, 100))
    assert samples[-1]["frames"] == row["sent"] == FRAMES and row["walk_s"] == FRAMES / 5
    assert row["frames_in"] == row["frames_out"] + row["skipped"] + row["dropped"]
    assert 0.5 * row["sent"] <= row["frames_in"] <= row["sent"]  # best effort: a busy machine loses some
    assert row["frames_out"] > 0 and row["map_mb"] > 0.1 and row["messages"] > 3
    assert not multiprocessing.active_children()
