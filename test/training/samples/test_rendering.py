from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.training.samples.rendering import Renderer, start_renderers
from recon3d_ros.training.samples.store import SampleStore, unpack_pair
from recon3d_ros.training.samples.tasks import StereoTask
from recon3d_ros.world.rendering import render

SIZE_WH = (96, 64)


def test_rendering_again_keeps_what_is_there(tmp_path):
    renderer = Renderer(SIZE_WH, StereoTask(44.0))
    renderer.render(tmp_path, range(5, 7))
    stamps = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    store = SampleStore(tmp_path)
    assert store.refresh() == 2
    left, right, disparity = unpack_pair(store.open(0))
    assert left.shape == right.shape == (64, 96, 3)
    assert np.isfinite(disparity).mean() > 0.5 and left.std() > 5.0
    renderer.render(tmp_path, range(5, 7))
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == stamps


def test_renderer_does_not_hear_of_ctrl_c_even_before_it_is_ready(tmp_path, ctrl_c_on_arrival):
    renderer = Renderer(SIZE_WH, StereoTask(44.0))
    vars(renderer)["extra"] = ctrl_c_on_arrival
    (process,) = start_renderers([(tmp_path, range(5, 6))], 1, renderer)
    process.join(60)
    assert process.exitcode == 0 and SampleStore(tmp_path).refresh() == 1


def test_torch_stores_the_pairs_that_numpy_stores(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="torch renders the batch")
    monkeypatch.setattr(render, "SHADOW_EDGE", 48)
    folders = tmp_path / "numpy", tmp_path / "torch"
    for folder, device in zip(folders, ("", "cpu")):
        Renderer(SIZE_WH, StereoTask(44.0), device).render(folder, (5, 6))
    for seed in (5, 6):
        ours, theirs = (unpack_pair(np.load(SampleStore(folder).path(seed))) for folder in folders)
        np.testing.assert_allclose(ours[2], theirs[2], atol=1 / 128)
        for image, other in zip(ours[:2], theirs[:2]):
            # NumPy shades fewer rays where nothing changes; of two seeds the images are 40 levels apart.
            assert np.abs(image.astype(float) - other).mean() < 3.0
