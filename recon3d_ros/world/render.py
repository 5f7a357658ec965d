"""Render a scene into a rectified stereo pair with the exact depth of its left view.

Rays are cast on a grid of half pixels whose odd rows and columns are the pixel centres, so depth is exact at pixel
centres. A pixel whose nine rays meet one primitive is shaded once; at outlines all nine are shaded and averaged with
a tent (1 2 1), which is centred on the pixel, so both views blend their edges alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon3d_ros.geometry import Frame, Sample, StereoRig
from recon3d_ros.world.bank import texture_bank
from recon3d_ros.world.scene import Scene, rotation_between
from recon3d_ros.world.shading import ShadowMap, shade, shading_table, sky
from recon3d_ros.world.visibility import View, cast

SHADOW_EDGE = 512
_TENT = np.array([1, 2, 1, 2, 4, 2, 1, 2, 1], np.float32) / 16


@dataclass(frozen=True)
class Image:
    """One rendered view: linear light (H, W, 3) float32 and inverse depth (H, W) float32, 0 for the sky."""

    light: np.ndarray
    inverse_depth: np.ndarray


def stereo_views(rig: StereoRig, T_world_camera: np.ndarray) -> tuple[View, View]:
    """Return the left and right views of `rig` on the grid of half pixels; the pose is the left camera's."""
    width, height = rig.left.image_size_wh
    columns = (np.arange(2 * width + 1) - 1) / 2
    rows = (np.arange(2 * height + 1) - 1) / 2
    rotation, position = T_world_camera[:3, :3], T_world_camera[:3, 3]
    views = []
    for camera, shift in ((rig.left, 0.0), (rig.right, rig.baseline_m)):
        xs = ((columns - camera.cx) / camera.fx).astype(np.float32)
        ys = ((rows - camera.cy) / camera.fy).astype(np.float32)
        views.append(View(rotation, position + rotation[:, 0] * shift, xs, ys, 1.0 / camera.fx))
    return views[0], views[1]


def shadow_map(scene: Scene, edge: int = SHADOW_EDGE) -> ShadowMap:
    """Return the scene as its key light sees it."""
    position = np.asarray(scene.light.key_position, float)
    rotation = rotation_between(np.asarray(scene.light.key_target) - position)
    reach = float(np.tan(scene.light.key_half_angle))
    grid = np.linspace(-reach, reach, edge, dtype=np.float32)
    inverse_depth, _, _ = cast(scene, View(rotation, position, grid, grid, 2 * reach / edge), texture_bank())
    return ShadowMap(inverse_depth, rotation, position, reach)


def render_view(scene: Scene, view: View, shadow: ShadowMap | None, full: bool = False) -> Image:
    """Render one view on its grid of half pixels.

    Args:
        full: Shade every ray, not only those at outlines; finer, about three times slower.
    """
    bank = texture_bank()
    w, index, placed = cast(scene, view, bank)
    need, outline = _needed(index, full)
    rows, columns = np.divmod(need, index.shape[1])
    x, y = view.xs[columns], view.ys[rows]
    seen = index.ravel()[need]
    colours = np.empty((len(need), 3), np.float32)
    hit = seen >= 0
    footprint = view.pixel * (0.6 if full else 1.0)
    arguments = (seen[hit].astype(np.int64), w.ravel()[need][hit], x[hit], y[hit], footprint)
    colours[hit] = shade(np, shading_table(scene, placed), bank, view, scene.light, shadow, arguments)
    if not hit.all():
        colours[~hit] = sky(np, bank, view, scene.light, x[~hit], y[~hit])
    colours = np.minimum(colours, 1.6)
    return Image(_resolve(colours, need, outline, index.shape), np.ascontiguousarray(w[1::2, 1::2]))


def _needed(index: np.ndarray, full: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat grid positions to shade and (H, W) bool: pixels that blend nine rays."""
    height, width = index.shape[0] // 2, index.shape[1] // 2
    centre = index[1::2, 1::2]
    outline = np.full((height, width), full)
    parts = [index[dy::2, dx::2][:height, :width] for dy in range(3) for dx in range(3)]
    for part in parts:
        outline |= part != centre
    wanted = np.zeros(index.shape, bool)
    wanted[1::2, 1::2] = True
    for dy in range(3):
        for dx in range(3):
            wanted[dy::2, dx::2][:height, :width] |= outline
    return np.flatnonzero(wanted), outline


def _resolve(
    colours: np.ndarray, need: np.ndarray, outline: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Return (H, W, 3): the centre ray's colour, or the tent-weighted mean of nine at outlines."""
    where = np.zeros(shape[0] * shape[1], np.int32)
    where[need] = np.arange(len(need), dtype=np.int32)
    where = where.reshape(shape)
    image = colours[where[1::2, 1::2]]
    rows, columns = np.nonzero(outline)
    total = np.zeros((len(rows), 3), np.float32)
    for k, weight in enumerate(_TENT):
        total += weight * colours[where[2 * rows + k // 3, 2 * columns + k % 3]]
    image[rows, columns] = total
    return image


def develop(light: np.ndarray, gain: float) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB: exposure, a soft shoulder above 80 % and gamma 2."""
    value = light * np.float32(gain)
    value = np.where(value > 0.8, 1.0 - 0.2 * np.exp((0.8 - value) * 5.0), value)
    return np.sqrt(value * 65025.0 + 0.25).astype(np.uint8)


def auto_gain(light: np.ndarray, target: float) -> float:
    """Return the gain that brings the mean of the developed image near `target` (0..1)."""
    mean = float(np.sqrt(np.minimum(light[::4, ::4], 1.0)).mean())
    return float(np.clip((target / max(mean, 1e-3)) ** 2, 0.2, 30.0))


def render_stereo(
    scene: Scene,
    rig: StereoRig,
    T_world_camera: np.ndarray,
    full: bool = False,
    gain: float | None = None,
    shadow: ShadowMap | None = None,
    stamp_ns: int = 0,
    name: str = "",
) -> Sample:
    """Render a rectified pair with its exact depth.

    Args:
        rig: A rectified rig (unequal principal points allowed).
        T_world_camera: (4, 4) pose of the left optical frame (x right, y down, z forward) in the world, m.
        full: Shade every ray of the half-pixel grid (for pictures that people look at).
        gain: Exposure; None exposes for this pair, a fixed one keeps a film steady.
        shadow: From `shadow_map`, when several pairs of one scene are rendered.

    Returns:
        RGB left and right; depth in m with +Inf for the sky; disparity in px, 0 (doffs of the rig) for the sky.
    """
    shadow = shadow or shadow_map(scene)
    left, right = (render_view(scene, view, shadow, full) for view in stereo_views(rig, T_world_camera))
    gain = auto_gain(left.light, scene.light.exposure) if gain is None else gain
    with np.errstate(divide="ignore"):
        depth = np.float32(1.0) / left.inverse_depth
    images = develop(left.light, gain), develop(right.light, gain)
    frame = Frame(stamp_ns, images[0], rig.left, images[1], rig, name)
    return Sample(frame, rig.disparity_from_depth(depth), depth, name)
