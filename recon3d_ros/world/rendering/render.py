"""Render a scene into a rectified stereo pair with the exact depth of its left view.

Rays are cast on a grid of half pixels whose odd rows and columns are the pixel centres, so depth is exact
there. A pixel whose nine rays meet one primitive is shaded once; at outlines all nine are shaded and averaged
with a tent (1 2 1), which is centred on the pixel, so both views blend their edges alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recon3d_ros.geometry import Frame, Sample, StereoRig
from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.rendering.shading import Lighting, ShadowMap, shade, shading_table, sky
from recon3d_ros.world.rendering.visibility import View, cast
from recon3d_ros.world.scenes.scene import Light, Scene, rotation_between
from recon3d_ros.world.textures.atlas import texture_atlas

SHADOW_EDGE = 512
MAX_RADIANCE = 3.0  # brighter samples are cut before rays are blended, as a sensor saturates
BLOCK = 16384  # samples shaded at a time: their arrays stay in the processor's cache
TENT = np.array([1, 2, 1, 2, 4, 2, 1, 2, 1], np.float32) / 16


@dataclass(frozen=True)
class RenderedView:
    """One rendered view: linear radiance (H, W, 3) and inverse depth (H, W), float32, 0 for the sky.

    `labels`: (H, W) uint8, the `PointLabel` of what each pixel shows; the sky is unknown.
    """

    radiance: np.ndarray
    inverse_depth: np.ndarray
    labels: np.ndarray

    @cached_property
    def depth(self) -> np.ndarray:
        """(H, W) float32 m, +Inf for the sky."""
        with np.errstate(divide="ignore"):
            return np.divide(1.0, self.inverse_depth, dtype=np.float32)


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


def build_lighting(scene: Scene, smooth: bool = False) -> Lighting:
    """Cast the shadow maps of a scene's light; reuse the result for every view of the scene.

    Args:
        scene: The scene.
        smooth: Blend between mip levels of textures when shading with this light.
    """
    atlas = texture_atlas()
    maps = [ShadowMap(cast(scene, view, atlas)[0], view, bias) for view, bias in light_views(scene.light)]
    return Lighting(scene.light, maps[0], tuple(maps[1:]), smooth)


def light_views(light: Light) -> list[tuple[View, float]]:
    """Return what the key light, then each point of the fill light sees, and the bias of its shadow map."""
    places = [(np.asarray(light.key_position, float), light.key_half_angle)]
    for k in range(light.fill_points):  # a spiral fills a horizontal disc evenly
        radius, angle = light.fill_radius_m * np.sqrt((k + 0.5) / light.fill_points), 2.39996 * k
        offset = radius * np.array([np.cos(angle), np.sin(angle), 0.0])
        places.append((np.asarray(light.fill_position) + offset, light.fill_half_angle))
    views = []
    for position, half_angle in places:
        toward = np.asarray(light.key_target) - position
        reach = float(np.tan(half_angle))
        grid = np.linspace(-reach, reach, SHADOW_EDGE, dtype=np.float32)
        view = View(rotation_between(toward), position, grid, grid, 2 * reach / SHADOW_EDGE)
        views.append((view, min(0.012, 0.15 / float(np.linalg.norm(toward)))))
    return views


def render_view(scene: Scene, view: View, lighting: Lighting, full: bool = False) -> RenderedView:
    """Render one view on its grid of half pixels.

    Args:
        scene: The scene.
        view: From `stereo_views`.
        lighting: From `build_lighting`.
        full: Shade every ray, not only those at outlines; finer, about three times slower.
    """
    atlas = texture_atlas()
    w, index, placed = cast(scene, view, atlas)
    need, outline = _rays_to_shade(index, full)
    colours = np.empty((len(need), 3), np.float32)
    table = shading_table(scene, placed)
    footprint = view.pixel * (0.6 if full else 1.0)
    for start in range(0, len(need), BLOCK):
        part = need[start : start + BLOCK]
        rows, columns = np.divmod(part, index.shape[1])
        x, y, seen, w_part = (view.xs[columns], view.ys[rows], index.ravel()[part], w.ravel()[part])
        hit = seen >= 0
        block = colours[start : start + BLOCK]
        if hit.any():
            samples = (seen[hit].astype(np.intp), w_part[hit], x[hit], y[hit], footprint)
            block[hit] = shade(np, table, atlas, view, lighting, samples)
        if not hit.all():
            block[~hit] = sky(np, atlas, view, scene.light, x[~hit], y[~hit])
    colours = np.minimum(colours, MAX_RADIANCE)
    seen = index[1::2, 1::2]
    labels = np.where(seen >= 0, scene.labels[seen], np.uint8(PointLabel.UNKNOWN))
    radiance = _resolve(colours, need, outline, index.shape)
    return RenderedView(radiance, np.ascontiguousarray(w[1::2, 1::2]), labels)


def _rays_to_shade(index: np.ndarray, full: bool) -> tuple[np.ndarray, np.ndarray]:
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
    where = np.zeros(shape, np.int32)
    where.ravel()[need] = np.arange(len(need), dtype=np.int32)
    image = colours[where[1::2, 1::2]]
    rows, columns = np.nonzero(outline)
    total = np.zeros((len(rows), 3), np.float32)
    for k, weight in enumerate(TENT):
        total += weight * colours[where[2 * rows + k // 3, 2 * columns + k % 3]]
    image[rows, columns] = total
    return image


def tone_map(xp: Any, light: Any, gain: float) -> Any:
    """Return float RGB in [0, 255] of linear light: exposure, a soft shoulder above 80 % and gamma 2."""
    value = light * gain
    value = xp.where(value > 0.8, 1.0 - 0.2 * xp.exp(xp.clip(0.8 - value, None, 0) * 5.0), value)
    return xp.sqrt(value * 65025.0 + 0.25)


def auto_gain(light: np.ndarray, target: float) -> float:
    """Return the gain that brings the mean of the developed image near `target` (0..1)."""
    return gain_for(float(np.sqrt(np.minimum(light[::4, ::4], 1.0)).mean()), target)


def gain_for(mean: float, target: float) -> float:
    """Return the gain for an image whose mean root of light (clipped at 1) is `mean`."""
    return float(np.clip((target / max(mean, 1e-3)) ** 2, 0.2, 30.0))


def render_stereo(
    scene: Scene,
    rig: StereoRig,
    T_world_camera: np.ndarray,
    full: bool = False,
    gain: float | None = None,
    lighting: Lighting | None = None,
    stamp_ns: int = 0,
    name: str = "",
) -> Sample:
    """Render a rectified pair with its exact depth.

    Args:
        scene: The scene.
        rig: A rectified rig (unequal principal points allowed).
        T_world_camera: (4, 4) pose of the left optical frame (x right, y down, z forward) in the world, m.
        full: Shade every ray of the half-pixel grid (for pictures that people look at).
        gain: Exposure; None exposes for this pair, a fixed one keeps a film steady.
        lighting: From `build_lighting`, when several pairs of one scene are rendered.
        stamp_ns: Of the frame, ns.
        name: Of frame and sample.

    Returns:
        RGB left and right; depth in m with +Inf for the sky; disparity in px, 0
        (doffs of the rig) for the sky; labels.
    """
    lighting = lighting or build_lighting(scene)
    left, right = (render_view(scene, view, lighting, full) for view in stereo_views(rig, T_world_camera))
    gain = auto_gain(left.radiance, scene.light.exposure) if gain is None else gain
    images = [tone_map(np, image.radiance, gain).astype(np.uint8) for image in (left, right)]
    frame = Frame(stamp_ns, images[0], rig.left, images[1], rig, name)
    return Sample(frame, rig.disparity_from_depth(left.depth), left.depth, name, left.labels)


def render_mono(scene: Scene, rig: StereoRig, T_world_camera: np.ndarray, name: str = "") -> Sample:
    """Render what the left camera of a rig sees, alone: RGB, and depth in m with +Inf for the sky."""
    view, _ = stereo_views(rig, T_world_camera)
    image = render_view(scene, view, build_lighting(scene))
    rgb = tone_map(np, image.radiance, auto_gain(image.radiance, scene.light.exposure)).astype(np.uint8)
    return Sample(Frame(0, rgb, rig.left, name=name), None, image.depth, name, image.labels)
