"""NumPy and torch render the same scene alike, and the atlas's mip levels are what they claim."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.rendering import render
from recon3d_ros.world.rendering.sampling import training_setup
from recon3d_ros.world.textures.atlas import mip_chain, sample_texture, texture_atlas

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


def test_mip_levels_average_four_texels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    chain = mip_chain(image)
    assert chain.shape == (64 + 16 + 4 + 1, 4)
    np.testing.assert_allclose(chain[64], image[:2, :2].reshape(4, 4).mean(0), atol=0.51)
    np.testing.assert_allclose(chain[-1], image.reshape(-1, 4).mean(0), atol=0.51)


@pytest.mark.parametrize("smooth", [False, True])
def test_sampling_repeats_and_meets_texel_centres(smooth: bool) -> None:
    atlas = texture_atlas()
    texture = np.array([3, 3, 3], np.int32)
    u = np.array([10.5, 10.5 + atlas.size, 10.5 - 2 * atlas.size], np.float32) / atlas.size
    v = np.full(3, 20.5 / atlas.size, np.float32)
    values = sample_texture(np, atlas, (texture, u, v), np.full(3, -2.0, np.float32), smooth)
    texel = atlas.texels[3 * atlas.stride + 20 * atlas.size + 10]
    np.testing.assert_allclose(values, np.tile(texel.astype(float), (3, 1)), atol=0.3)
    grey = sample_texture(np, atlas, (texture, u, v), np.full(3, -2.0, np.float32), smooth, grey=True)
    np.testing.assert_allclose(grey, values[:, 1], atol=1e-3)
    whole = sample_texture(np, atlas, (texture, u, v), np.full(3, 30.0, np.float32), smooth)
    mean = atlas.texels[3 * atlas.stride : 3 * atlas.stride + atlas.size**2].mean(0)
    np.testing.assert_allclose(whole[0], mean, atol=3)
