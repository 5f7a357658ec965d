"""The same scenes as batches of torch tensors, for training on a GPU.

Visibility and shading are the functions of `visibility` and `shading`; here one primitive of every scene is
cast at a time over whole images, and every ray of the half-pixel grid is shaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from recon3d_ros.geometry import StereoRig
from recon3d_ros.system.lazy import require
from recon3d_ros.world.rendering.render import (
    MAX_RADIANCE,
    TENT,
    gain_for,
    light_views,
    stereo_views,
    tone_map,
)
from recon3d_ros.world.rendering.shading import Lighting, ShadowMap, shade, shading_table, sky
from recon3d_ros.world.rendering.visibility import PlacedPrimitives, View, patch_hit, place, quadric_hit
from recon3d_ros.world.sampling import training_setup
from recon3d_ros.world.scenes.scene import CUTOUT, ELLIPSE, QUADRIC, RECT, TRIANGLE, Scene
from recon3d_ros.world.textures.atlas import TextureAtlas, alpha_test, texture_atlas

if TYPE_CHECKING:
    import torch

RenderSetup = tuple[Scene, StereoRig, np.ndarray]


@dataclass(frozen=True)
class StereoBatch:
    """B rectified pairs with the truth of their left images, on one device.

    Attributes:
        left: (B, 3, H, W) uint8 RGB.
        right: The same.
        disparity: (B, 1, H, W) float32 px, 0 for the sky.
        depth: (B, 1, H, W) float32 m, +Inf for the sky.
    """

    left: torch.Tensor
    right: torch.Tensor
    disparity: torch.Tensor
    depth: torch.Tensor


def training_batch(
    seeds: Sequence[int], size_wh: tuple[int, int], max_disparity_px: float = 192.0, device: str = "cuda"
) -> StereoBatch:
    """Render the scenes of `training_sample` for each of `seeds` on `device`."""
    return render_batch([training_setup(seed, size_wh, max_disparity_px) for seed in seeds], device)


def render_batch(setups: Sequence[RenderSetup], device: str = "cuda") -> StereoBatch:
    """Render B scenes at once with torch.

    Args:
        setups: Of each scene: the scene, a rig of a size common to all, the (4, 4) pose of its left camera.
        device: A torch device.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    xp = require("torch", "train")
    atlas = _atlas_on(device)
    scenes = [scene for scene, _, _ in setups]
    pairs = [stereo_views(rig, pose) for _, rig, pose in setups]
    lights = [light_views(scene.light) for scene in scenes]
    maps: list[list[ShadowMap]] = [[] for _ in scenes]
    for k in range(max(map(len, lights))):
        chosen = [min(k, len(light) - 1) for light in lights]
        inverse, _, _ = _cast(xp, scenes, [light[c][0] for light, c in zip(lights, chosen)], atlas, device)
        for b, (light, c) in enumerate(zip(lights, chosen)):
            if c == k:
                maps[b].append(ShadowMap(inverse[b], *light[c]))
    lightings = [Lighting(scene.light, own[0], tuple(own[1:])) for scene, own in zip(scenes, maps)]
    left, depth_w = _views(xp, scenes, [pair[0] for pair in pairs], lightings, atlas, device)
    right, _ = _views(xp, scenes, [pair[1] for pair in pairs], lightings, atlas, device)
    images = []
    for b, scene in enumerate(scenes):
        mean = float(xp.sqrt(xp.clip(left[b, ::4, ::4], None, 1.0)).mean())
        gain = gain_for(mean, scene.light.exposure)
        images.append(xp.stack([tone_map(xp, view[b], gain) for view in (left, right)]))
    both = xp.stack(images, 1).to(xp.uint8).permute(0, 1, 4, 2, 3).contiguous()
    scale = xp.tensor([rig.fx * rig.baseline_m for _, rig, _ in setups], device=device).float()
    shift = xp.tensor([rig.doffs_px for _, rig, _ in setups], device=device).float()
    disparity = depth_w * scale[:, None, None] + shift[:, None, None]
    return StereoBatch(both[0], both[1], disparity[:, None], (1.0 / depth_w)[:, None])


@lru_cache(maxsize=4)
def _atlas_on(device: str) -> TextureAtlas:
    xp = require("torch", "train")
    atlas = texture_atlas()
    texels = xp.from_numpy(atlas.texels).to(device)
    return replace(atlas, texels=texels, grey=texels[:, 1].contiguous())


def _views(
    xp: Any,
    scenes: list[Scene],
    views: list[View],
    lightings: list[Lighting],
    atlas: TextureAtlas,
    device: str,
) -> tuple[Any, Any]:
    """Return (B, H, W, 3) linear light and (B, H, W) inverse depth of one view of every scene."""
    w, index, placed = _cast(xp, scenes, views, atlas, device)
    images = []
    for b, view in enumerate(views):
        x = xp.from_numpy(view.xs).to(device)[None].expand(w[b].shape)
        y = xp.from_numpy(view.ys).to(device)[:, None].expand(w[b].shape)
        colours = sky(xp, atlas, view, scenes[b].light, x.reshape(-1), y.reshape(-1))
        hit = index[b] >= 0
        table = xp.from_numpy(shading_table(scenes[b], placed[b])).to(device)
        samples = (index[b][hit], w[b][hit], x[hit], y[hit], view.pixel * 0.6)
        colours[hit.reshape(-1)] = shade(xp, table, atlas, view, lightings[b], samples)
        colours = xp.clip(colours, None, MAX_RADIANCE).reshape(*hit.shape, 3)
        height, width = hit.shape[0] // 2, hit.shape[1] // 2
        parts = [colours[k // 3 :: 2, k % 3 :: 2][:height, :width] * float(TENT[k]) for k in range(9)]
        images.append(sum(parts))
    return xp.stack(images), w[:, 1::2, 1::2].contiguous()


def _cast(
    xp: Any, scenes: list[Scene], views: list[View], atlas: TextureAtlas, device: str
) -> tuple[Any, Any, list[PlacedPrimitives]]:
    """Cast every scene's rays: (B, H, W) float32 inverse depth and int64 index, -1 for nothing."""
    placed = [place(scene, view, atlas) for scene, view in zip(scenes, views)]
    x = xp.from_numpy(np.stack([view.xs for view in views])).to(device)[:, None, :]
    y = xp.from_numpy(np.stack([view.ys for view in views])).to(device)[:, :, None]
    near = xp.zeros((len(scenes), y.shape[1], x.shape[2]), dtype=xp.float32, device=device)
    index = xp.full(near.shape, -1, dtype=xp.int64, device=device)
    for shape in (RECT, ELLIPSE, CUTOUT, TRIANGLE, QUADRIC):
        numbers, integers = _slots(scenes, placed, shape)
        numbers, integers = xp.from_numpy(numbers).to(device), xp.from_numpy(integers).to(device)
        for c, which in zip(numbers[..., None, None], integers[..., None, None]):
            if shape == QUADRIC:
                w, inside = quadric_hit(xp, c[:10], c[10:14], c[14:], x, y)
            else:
                w, inside, a, b = patch_hit(shape, c[:9], c[14:], x, y, c[9])
            inside = inside & (w > near)
            if shape == CUTOUT:
                inside = inside & alpha_test(xp, atlas, (which[1], which[2]), c[14:], (a, b, w))
            near = xp.where(inside, w, near)
            index = xp.where(inside, which[0], index)
    return near, index, placed


def _slots(scenes: list[Scene], placed: list[PlacedPrimitives], shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for the k-th visible primitive of `shape` of every scene, what is needed to hit it.

    Returns:
        (K, 17, B) float32: 9 or 10 coefficients, 4 of the axis, 3 half extents; scenes with fewer primitives
        are filled up with ones that no ray hits. (K, 3, B) int64: index, texture, mip level.
    """
    chosen = [np.flatnonzero(p.seen & (scene.shape == shape)) for scene, p in zip(scenes, placed)]
    count = max(map(len, chosen))
    numbers = np.zeros((count, 17, len(scenes)), np.float32)
    numbers[:, 14:] = 1.0
    if shape == QUADRIC:
        numbers[:, [5, 9]] = 1.0  # C0 = C2 = 1, C1 = 0: no real root
    integers = np.zeros((count, 3, len(scenes)), np.int64)
    for b, (rows, scene, p) in enumerate(zip(chosen, scenes, placed)):
        n = len(rows)
        if shape == QUADRIC:
            numbers[:n, :10, b], numbers[:n, 10:14, b] = p.quadric[rows], p.axial[rows]
        else:
            numbers[:n, :9, b], numbers[:n, 9, b] = p.planar[rows], scene.const[rows]
        numbers[:n, 14:, b] = scene.half[rows]
        integers[:n, :, b] = np.stack([rows, scene.materials[rows, 0], p.level[rows]], 1)
    return numbers, integers
