from __future__ import annotations

import numpy as np

from recon3d_ros.config import PipelineConfig
from recon3d_ros.evaluation import filter_benchmark
from recon3d_ros.evaluation.filter_benchmark import benchmark_filters
from recon3d_ros.filters import DepthFilters


def test_every_filter_has_its_row_and_does_its_work_on_every_scene(monkeypatch):
    """Each filter takes something away, so that what is timed is not the way around it."""
    changed: dict[str, bool] = {}
    build = DepthFilters.__init__

    def watched(self: DepthFilters, config: PipelineConfig) -> None:
        build(self, config)
        for i, (name, step) in enumerate(self.steps):

            def watch(depth, estimate, frame, name=name, step=step):
                before = depth.copy()
                step(depth, estimate, frame)
                changed[name] = changed.get(name, False) or not np.array_equal(before, depth, equal_nan=True)

            self.steps[i] = name, watch

    monkeypatch.setattr(DepthFilters, "__init__", watched)
    rows = benchmark_filters([(161, 119), (80, 60)], frames=3)
    assert {(row["width"], row["height"]) for row in rows} == {(161, 119), (80, 60)}
    names = [row["filter"] for row in rows if row["width"] == 161]
    image = ["limits", "border", "region", "confidence", "texture", "edges", "speckle", "temporal"]
    assert names[: len(image)] == image and len(set(names)) == len(names)
    assert changed == dict.fromkeys(image, True)
    for row in rows:
        assert 0 < row["min_ms"] <= row["p5_ms"] <= row["median_ms"] <= row["p95_ms"]


def test_scenes_have_what_filters_are_for():
    scene = filter_benchmark._scene(161, 119, 1)
    depth = scene.estimate.depth
    assert 0 < np.isnan(depth).mean() < 0.05
    assert (depth > 15).mean() > 0.02, "a sky beyond the limit"
