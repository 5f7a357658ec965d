"""The atlas: where its mip levels lie, what they hold, and what looking them up gives."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.textures.atlas import (
    TextureAtlas,
    alpha_test,
    level_start,
    mip_chain,
    sample_texture,
    texture_atlas,
)
from recon3d_ros.world.textures.cutouts import CUTOUTS
from recon3d_ros.world.textures.patterns import PATTERNS


@pytest.fixture(scope="module")
def atlas() -> TextureAtlas:
    return texture_atlas()


def level(atlas: TextureAtlas, texture: int, number: int) -> np.ndarray:
    """(edge, edge, 4) of one mip level, as it lies in the atlas."""
    edge = atlas.size >> number
    start = texture * atlas.stride + level_start(atlas, edge)
    return atlas.texels[start : start + edge * edge].reshape(edge, edge, 4)


def test_mip_levels_average_four_texels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    chain = mip_chain(image)
    assert chain.shape == (64 + 16 + 4 + 1, 4)
    np.testing.assert_allclose(chain[64], image[:2, :2].reshape(4, 4).mean(0), atol=0.51)
    np.testing.assert_allclose(chain[-1], image.reshape(-1, 4).mean(0), atol=0.51)


def test_every_texture_has_all_levels_down_to_one_texel(atlas: TextureAtlas) -> None:
    edges = [atlas.size >> number for number in range(atlas.levels)]
    assert edges[-1] == 1 and atlas.stride == sum(edge * edge for edge in edges)
    starts = [sum(e * e for e in edges[:k]) for k in range(len(edges))]
    assert [level_start(atlas, edge) for edge in edges] == starts
    count = sum(len(textures) for textures in atlas.names.values())
    assert atlas.texels.shape == (count * atlas.stride, 4) and atlas.texels.dtype == np.uint8
    np.testing.assert_array_equal(atlas.grey, atlas.texels[:, 1])


@pytest.mark.parametrize("group", ["wood", "picture", "foliage", "mesh"])
def test_each_level_is_the_mean_of_the_one_before(atlas: TextureAtlas, group: str) -> None:
    texture = atlas.names[group][-1]
    finest = level(atlas, texture, 0).astype(np.float64)
    for number in range(1, atlas.levels):
        edge = atlas.size >> number
        expected = finest.reshape(edge, atlas.size // edge, edge, atlas.size // edge, 4).mean((1, 3))
        np.testing.assert_allclose(level(atlas, texture, number), expected, atol=0.51)


def test_groups_share_no_texture_and_none_is_left_over(atlas: TextureAtlas) -> None:
    assert set(atlas.names) == {*PATTERNS, *CUTOUTS}
    everything = [texture for textures in atlas.names.values() for texture in textures]
    assert everything == list(range(len(everything)))
    picked = {atlas.pick(np.random.default_rng(seed), "wood", "tiles") for seed in range(200)}
    assert picked == {*atlas.names["wood"], *atlas.names["tiles"]}


@pytest.mark.parametrize("smooth", [False, True])
def test_sampling_repeats_and_meets_texel_centres(atlas: TextureAtlas, smooth: bool) -> None:
    texture = np.array([3, 3, 3], np.int32)
    u = np.array([10.5, 10.5 + atlas.size, 10.5 - 2 * atlas.size], np.float32) / atlas.size
    v = np.full(3, 20.5 / atlas.size, np.float32)
    values = sample_texture(np, atlas, (texture, u, v), np.full(3, -2.0, np.float32), smooth)
    texel = level(atlas, 3, 0)[20, 10]
    np.testing.assert_allclose(values, np.tile(texel.astype(float), (3, 1)), atol=0.3)
    grey = sample_texture(np, atlas, (texture, u, v), np.full(3, -2.0, np.float32), smooth, grey=True)
    np.testing.assert_allclose(grey, values[:, 1], atol=1e-3)
    whole = sample_texture(np, atlas, (texture, u, v), np.full(3, 30.0, np.float32), smooth)
    np.testing.assert_allclose(whole[0], level(atlas, 3, 0).reshape(-1, 4).mean(0), atol=3)


def test_between_two_texels_and_two_levels_it_interpolates(atlas: TextureAtlas) -> None:
    texture = atlas.names["picture"][2]
    at = np.array([texture], np.int32)
    fine, coarse = level(atlas, texture, 2).astype(float), level(atlas, texture, 3).astype(float)
    edge = len(fine)
    # A quarter of the way from one texel of level 2 to its right neighbour.
    u, v = np.float32([(9 + 0.75) / edge]), np.float32([(5 + 0.5) / edge])
    one = sample_texture(np, atlas, (at, u, v), np.float32([2.0]), smooth=True)[0]
    np.testing.assert_allclose(one, 0.75 * fine[5, 9] + 0.25 * fine[5, 10], atol=0.05)
    # The centre of a texel of level 3 is the corner of four of level 2.
    u, v = np.float32([(4 + 0.5) / (edge / 2)]), np.float32([(2 + 0.5) / (edge / 2)])
    four = fine[4:6, 8:10].reshape(4, 4).mean(0)
    half = sample_texture(np, atlas, (at, u, v), np.float32([2.5]), smooth=True)[0]
    np.testing.assert_allclose(half, (four + coarse[2, 4]) / 2, atol=0.05)
    nearest = sample_texture(np, atlas, (at, u, v), np.float32([2.6]), smooth=False)[0]
    np.testing.assert_allclose(nearest, coarse[2, 4], atol=0.05)


@pytest.mark.parametrize("number", [0, 2])
def test_the_alpha_test_is_the_outline_of_the_patch(atlas: TextureAtlas, number: int) -> None:
    texture, half, depth = atlas.names["fence"][0], (0.6, 0.3), 2.5
    alpha = level(atlas, texture, number)[..., 3] > 127
    assert 0.05 < alpha.mean() < 0.95
    edge = len(alpha)
    # The centres of all texels on a patch of 1.2 m by 0.6 m, v upwards, seen at that depth.
    u = (np.arange(edge) + 0.5) / edge * 2 * half[0] - half[0]
    v = half[1] - (np.arange(edge) + 0.5) / edge * 2 * half[1]
    u, v = (plane.astype(np.float32).ravel() for plane in np.meshgrid(u, v))
    w = np.full(u.shape, 1 / depth, np.float32)
    covered = alpha_test(np, atlas, (texture, number), half, (u * w, v * w, w))
    np.testing.assert_array_equal(covered.reshape(edge, edge), alpha)
