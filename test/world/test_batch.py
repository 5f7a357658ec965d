"""NumPy and torch render the same scene alike."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.rendering import render
from recon3d_ros.world.sampling import training_setup

SIZE_WH = (45, 28)


@pytest.fixture
def small_shadow_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "SHADOW_EDGE", 48)


def test_torch_batches_equal_numpy_samples(small_shadow_maps: None) -> None:
    pytest.importorskip("torch")
    from recon3d_ros.world import training_batch

    seeds = [0, 1, 4]  # indoor and outdoor, of different numbers of primitives
    batch = training_batch(seeds, SIZE_WH, 32.0, device="cpu")
    assert batch.left.shape == batch.right.shape == (3, 3, SIZE_WH[1], SIZE_WH[0])
    for k, seed in enumerate(seeds):
        truth = render.render_stereo(*training_setup(seed, SIZE_WH, 32.0), full=True)
        far = np.isinf(truth.depth)
        np.testing.assert_array_equal(np.isinf(batch.depth[k, 0].numpy()), far)
        np.testing.assert_allclose(batch.disparity[k, 0].numpy(), truth.disparity, atol=1e-3)
        np.testing.assert_allclose(batch.depth[k, 0].numpy()[~far], truth.depth[~far], rtol=1e-4)
        for mine, other in ((batch.left, truth.frame.image), (batch.right, truth.frame.right)):
            apart = np.abs(mine[k].permute(1, 2, 0).numpy().astype(int) - other)
            # Surfaces in one plane may win in another order, nothing else differs.
            assert np.median(apart) <= 1 and (apart.max(2) > 3).mean() < 0.03


def test_shading_only_where_needed_looks_like_shading_every_ray() -> None:
    setup = training_setup(2, (90, 61), 40.0)
    quick, full = (render.render_stereo(*setup, full=k, gain=1.0) for k in (False, True))
    np.testing.assert_array_equal(quick.depth, full.depth)
    assert np.abs(quick.frame.image.astype(int) - full.frame.image).mean() < 6
