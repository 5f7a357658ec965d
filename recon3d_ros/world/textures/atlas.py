"""The texture atlas: every pattern baked once per process into mip levels, sampled by NumPy or torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from recon3d_ros.world.textures.patterns import SIZE, bake_all


@dataclass(frozen=True)
class TextureAtlas:
    """All textures in one array, so that one gather serves every pixel whatever its texture.

    Attributes:
        texels: (textures * stride, 4) uint8 RGBA, all mip levels of a texture one after the other.
        grey: (textures * stride,) uint8, the green channel alone: gathers four times fewer bytes.
        names: Group -> indices of the textures in it.
        size: Edge of level 0 in texels; levels: number of levels; stride: texels per texture.
    """

    texels: Any
    grey: Any
    names: dict[str, tuple[int, ...]]
    size: int
    levels: int
    stride: int

    def pick(self, rng: np.random.Generator, *groups: str) -> int:
        """Return a random texture out of the union of `groups`."""
        choices = [i for group in groups for i in self.names[group]]
        return int(choices[rng.integers(len(choices))])


def alpha_test(
    xp: Any, atlas: TextureAtlas, at: tuple[Any, Any], half: Any, hit: tuple[Any, Any, Any]
) -> Any:
    """Return whether the outline of a cut-out covers rays; at: texture and mip level, hit: u w, v w and w."""
    a, b, w = hit
    texture, level = at
    edge = atlas.size >> level
    z = 1.0 / xp.where(w > 1e-9, w, 1.0)
    column = xp.clip(a * z * (0.5 / half[0]) + 0.5, 0, 0.9999) * edge
    row = xp.clip(0.5 - b * z * (0.5 / half[1]), 0, 0.9999) * edge
    start = texture * atlas.stride + level_start(atlas, edge)
    return atlas.texels[start + as_int(xp, row) * edge + as_int(xp, column), 3] > 127


def level_start(atlas: TextureAtlas, edge: Any) -> Any:
    """Return the texels of one texture that lie before the mip level of that edge, a geometric sum."""
    return (4 * atlas.size * atlas.size - 4 * edge * edge) // 3


def mip_chain(image: np.ndarray) -> np.ndarray:
    """Return all mip levels of a square (S, S, 4) uint8 image, flattened to (stride, 4) uint8."""
    level, parts = image.astype(np.float32), [image.reshape(-1, 4)]
    while level.shape[0] > 1:
        level = level.reshape(level.shape[0] // 2, 2, level.shape[1] // 2, 2, 4).mean((1, 3))
        parts.append(np.rint(level).astype(np.uint8).reshape(-1, 4))
    return np.concatenate(parts)


@lru_cache(maxsize=1)
def texture_atlas() -> TextureAtlas:
    """Bake (once) and return the atlas of all textures."""
    groups = bake_all()
    names: dict[str, tuple[int, ...]] = {}
    chains: list[np.ndarray] = []
    for group, images in groups.items():
        names[group] = tuple(range(len(chains), len(chains) + len(images)))
        chains += [mip_chain(image) for image in images]
    levels = SIZE.bit_length()
    texels = np.concatenate(chains)
    return TextureAtlas(texels, np.ascontiguousarray(texels[:, 1]), names, SIZE, levels, len(chains[0]))


def sample_texture(
    xp: Any, atlas: TextureAtlas, place: tuple[Any, Any, Any], lod: Any, smooth: bool, grey: bool = False
) -> Any:
    """Return float32 texture values in [0, 255], bilinear in the mip level nearest to `lod`.

    Args:
        xp: numpy or torch.
        atlas: Its arrays are of `xp`.
        place: (N,) integer texture and (N,) float32 u and v in tiles; tiles repeat.
        lod: (N,) float32, log2 of the texels that a sample covers.
        smooth: Blend the two nearest levels (trilinear).
        grey: Return the green channel alone.

    Returns:
        (N, 4) RGBA, or (N,) when `grey`.
    """
    lod = xp.clip(lod, 0, atlas.levels - 1.001)
    if not smooth:
        return _bilinear(xp, atlas, place, as_int(xp, lod + 0.5), grey)
    level = as_int(xp, lod)
    part = lod - as_float(xp, level)
    part = part if grey else part[:, None]
    fine, coarse = (_bilinear(xp, atlas, place, level + k, grey) for k in (0, 1))
    return fine + (coarse - fine) * part


def _bilinear(xp: Any, atlas: TextureAtlas, place: tuple[Any, Any, Any], level: Any, grey: bool) -> Any:
    texture, u, v = place
    edge = atlas.size >> level
    scale = as_float(xp, edge)
    start = texture * atlas.stride + level_start(atlas, edge)
    column, row = (u - xp.floor(u)) * scale - 0.5, (v - xp.floor(v)) * scale - 0.5
    left, top = xp.floor(column), xp.floor(row)
    fu, fv = column - left, row - top
    i0, j0 = as_int(xp, left) & (edge - 1), as_int(xp, top) & (edge - 1)
    i1, j1 = (i0 + 1) & (edge - 1), (j0 + 1) & (edge - 1)
    row0, row1 = start + j0 * edge, start + j1 * edge
    if not grey:
        fu, fv = fu[:, None], fv[:, None]

    def texel(at: Any) -> Any:
        return as_float(xp, _gather(xp, atlas.grey if grey else atlas.texels, at))

    upper = texel(row0 + i0)
    upper = upper + (texel(row0 + i1) - upper) * fu
    lower = texel(row1 + i0)
    lower = lower + (texel(row1 + i1) - lower) * fu
    return upper + (lower - upper) * fv


def _gather(xp: Any, array: Any, at: Any) -> Any:
    """Return array[at]; NumPy moves the four bytes of a texel as one word, three times faster than rows."""
    if xp is not np:
        return array[at]
    if array.ndim == 1:
        return array.take(at, mode="clip")
    return array.view(np.uint32)[:, 0].take(at, mode="clip").view(np.uint8).reshape(-1, 4)


def as_int(xp: Any, array: Any) -> Any:
    """Return an integer copy that can index."""
    return array.astype(np.int32) if xp is np else array.to(xp.int64)


def as_float(xp: Any, array: Any) -> Any:
    """Return a float32 copy."""
    return array.astype(np.float32) if xp is np else array.to(xp.float32)
