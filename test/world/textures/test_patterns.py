"""What is baked into the texture atlas: the same for the same seed, textured, tileable, with outlines."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.world.textures import patterns
from recon3d_ros.world.textures.atlas import texture_atlas
from recon3d_ros.world.textures.cutouts import CUTOUTS
from recon3d_ros.world.textures.noise import SIZE, spectral_noise
from recon3d_ros.world.textures.patterns import PATTERNS

# Their edges differ by intent: a poster or a facade hangs once; the others repeat over floors and walls.
ONE_TILE = {"text", "picture", "landscape", "books", "facade"}


@pytest.mark.parametrize("group", PATTERNS)
def test_a_pattern_is_an_image_of_its_seed_alone(group):
    pattern, _ = PATTERNS[group]
    first, again, other = (pattern(np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert first.shape == (SIZE, SIZE, 3) and np.isfinite(first).all()
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    clipped = np.clip(first, 0, 1)
    assert np.abs(first - clipped).max() < 0.5  # what is cut off is little
    assert clipped.std() > (0.005 if group == "plain" else 0.03)


@pytest.mark.parametrize("group", sorted(set(PATTERNS) - ONE_TILE))
def test_a_surface_continues_across_its_edges(group):
    """The step from the last to the first row and column is none that the inside does not have, too."""
    pattern, _ = PATTERNS[group]
    image = np.clip(pattern(np.random.default_rng(2)), 0, 1).mean(axis=2)
    for plane in (image, image.T):
        inside = np.abs(np.diff(plane, axis=0)).mean(axis=1)
        assert np.abs(plane[0] - plane[-1]).mean() <= inside.max() * 1.05 + 0.01


def test_plain_walls_are_nearly_textureless_and_colour_is_coloured():
    spread = {name: PATTERNS[name][0](np.random.default_rng(1)) for name in ("plain", "colour", "grass")}
    assert spread["plain"].std() < 0.06 < spread["grass"].std()
    assert np.ptp(spread["colour"], axis=2).mean() > 0.1 and np.ptp(spread["grass"], axis=2).max() == 0


@pytest.mark.parametrize("group", CUTOUTS)
def test_a_cutout_has_an_outline_and_no_dark_rim(group):
    cut, _ = CUTOUTS[group]
    image, again = (cut(np.random.default_rng(7), SIZE) for _ in range(2))
    assert image.shape == (SIZE, SIZE, 4) and image.dtype == np.uint8 and np.array_equal(image, again)
    alpha = image[..., 3] / 255
    assert 0.01 < alpha.mean() < 0.95 and (alpha == 0).any() and (alpha > 0.9).any()
    # Where nothing is, the colour is that of the thing: mip levels mix it into the rim.
    inside, outside = image[alpha > 0.9, 0].mean(), image[alpha == 0, 0].mean()
    assert abs(inside - outside) < 40


@pytest.mark.parametrize("power", [0.0, 1.5])
def test_noise_keeps_to_its_band_of_frequencies(power):
    noise = spectral_noise(np.random.default_rng(3), power, low=4, high=20) - 0.5
    amplitude = np.abs(np.fft.fft2(noise))
    f = np.fft.fftfreq(SIZE) * SIZE
    radius = np.hypot(f[None], f[:, None])
    band = (radius >= 4) & (radius <= 20)
    assert (amplitude[band] ** 2).sum() > 0.9 * (amplitude[radius > 0] ** 2).sum()
    low, high = (amplitude[(radius >= a) & (radius < b)].mean() for a, b in ((4, 8), (14, 20)))
    assert low > 2 * high if power else low == pytest.approx(high, rel=0.2)


def test_one_more_texture_leaves_all_others_as_they_were(monkeypatch):
    def bake(**counts):
        table = {name: (PATTERNS[name][0], count) for name, count in counts.items()}
        monkeypatch.setattr(patterns, "PATTERNS", table)
        monkeypatch.setattr(patterns.cutouts, "CUTOUTS", {})
        return patterns.bake_all()

    before, after = bake(bricks=1, tiles=1), bake(stones=1, bricks=2, tiles=1)
    assert np.array_equal(after["bricks"][0], before["bricks"][0])
    assert np.array_equal(after["tiles"][0], before["tiles"][0])
    assert not np.array_equal(*after["bricks"])


def test_opaque_patterns_have_no_holes():
    atlas = texture_atlas()
    for group in PATTERNS:
        for texture in atlas.names[group]:
            assert (atlas.texels[texture * atlas.stride :][: atlas.stride, 3] == 255).all()
