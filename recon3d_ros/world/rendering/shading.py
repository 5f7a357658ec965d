"""Deferred shading: colour of flat lists of visible samples, by NumPy or torch alike.

Texture values are sRGB-like; they are squared into linear light here and the renderer takes the root at
the end (gamma 2, close to sRGB). Light: hemisphere ambient, one key light with a shadow map and Blinn-Phong
gloss, one fill light (a point, or an area of several shadowed points), darker corners in rooms, haze.
Polished surfaces mirror a texture on the walls of a box around the scene: it lies deeper, as in life.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recon3d_ros.world.rendering.visibility import PlacedPrimitives, View
from recon3d_ros.world.scenes.scene import QUADRIC, Light, Scene
from recon3d_ros.world.textures.atlas import TextureAtlas, as_int, sample_texture

# Rows of the table that `shade` gathers from, one column per primitive.
AXES, ORIGIN, DIAG, FLAT, ROUND = 0, 9, 12, 15, 16
MATERIAL = 17
#: What mirrors outdoors: the walls of a street and the sky above, lowest and highest corner, m.
STREET = np.array([[-80.0, -9.0, -1.0], [150.0, 9.0, 14.0]])
_TEXTURE, _UV, _LOW, _HIGH, _DETAIL, _FINISH = (MATERIAL + k for k in (0, 1, 7, 10, 13, 16))


@dataclass(frozen=True)
class ShadowMap:
    """Inverse depth (S, S) seen from a light and the view of it; `bias` is relative, against acne."""

    inverse_depth: Any
    view: View
    bias: float


@dataclass(frozen=True)
class Lighting:
    """A scene's light with its shadow maps, and whether textures blend between mip levels.

    Attributes:
        key: Shadow map of the key light.
        fill: Shadow maps of the points of the fill light; empty when it casts no shadows.
        smooth: Trilinear textures: no seams between mip levels, for pictures that people look at.
    """

    light: Light
    key: ShadowMap
    fill: tuple[ShadowMap, ...] = ()
    smooth: bool = False


def shading_table(scene: Scene, placed: PlacedPrimitives) -> np.ndarray:
    """Return the (K, N) float32 table of all that shading needs of each primitive, in the camera frame."""
    flat = (scene.shape != QUADRIC).astype(np.float32)
    around = np.where(flat > 0, 0.0, scene.half[:, 0])
    parts = [
        placed.axes.reshape(-1, 9),
        placed.origin,
        scene.diag,
        flat[:, None],
        around[:, None],
        scene.materials,
    ]
    return np.ascontiguousarray(np.concatenate(parts, axis=1).T, dtype=np.float32)


def shade(xp: Any, table: Any, atlas: TextureAtlas, view: View, lighting: Lighting, hit: tuple) -> Any:
    """Return (N, 3) float32 linear light of samples that hit a primitive.

    Args:
        xp: numpy or torch; table and the arrays of atlas, lighting and hit are of that kind.
        table: From `shading_table`.
        atlas: The textures.
        view: Where the samples are seen from.
        lighting: The light.
        hit: (index, w, x, y, footprint): (N,) primitive, inverse depth, ray coordinates; angle of a sample.
    """
    index, w, x, y, footprint = hit
    z = 1.0 / w
    p = (x * z, y * z, z)

    def column(k: int) -> Any:
        return table[k].take(index, mode="clip") if xp is np else table[k][index]

    origin = [p[i] - column(ORIGIN + i) for i in range(3)]
    axes = [[column(AXES + 3 * r + i) for i in range(3)] for r in range(3)]
    q = [row[0] * origin[0] + row[1] * origin[1] + row[2] * origin[2] for row in axes]
    local = [q[0] * column(DIAG), q[1] * column(DIAG + 1), q[2] * column(DIAG + 2) + column(FLAT)]
    normal = [axes[0][i] * local[0] + axes[1][i] * local[1] + axes[2][i] * local[2] for i in range(3)]
    length = xp.sqrt(_dot(normal, normal)) + 1e-12
    distance = xp.sqrt(_dot(p, p))
    facing = _dot(normal, p) / (length * distance)
    scale = xp.where(facing > 0, -1.0 / length, 1.0 / length)
    normal = [n * scale for n in normal]
    around = column(ROUND)
    u = xp.where(around > 0, xp.arctan2(q[1], q[0]) * around, q[0])
    v = xp.where(around > 0, q[2], q[1])
    tilt = xp.clip(abs(facing), 0.02, 1)
    albedo = _albedo(xp, column, atlas, (u, v, z * footprint / xp.sqrt(tilt)), lighting.smooth)
    toward = [-c / distance for c in p]
    channels = _light(xp, column, view, lighting, (p, normal, toward), albedo)
    polish = column(_FINISH + 3)
    some = polish > 0
    if bool(some.any()):
        geometry = tuple([c[some] for c in part] for part in (p, normal, toward))
        surface = (polish[some], column(_FINISH + 1)[some], footprint)
        _add_reflection(xp, atlas, view, lighting.light, geometry, surface, channels, some)
    return xp.stack(_haze(xp, lighting.light, p[2], channels), 1)


def _dot(a: Any, b: Any) -> Any:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _albedo(
    xp: Any, column: Any, atlas: TextureAtlas, surface: tuple[Any, Any, Any], smooth: bool
) -> list[Any]:
    """Return three linear albedo channels at (u, v, edge of a pixel on the surface), all in m."""
    u, v, footprint_m = surface
    m = [column(_UV + k) for k in range(4)]
    tile_u, tile_v = (m[0] * u + m[1] * v + column(_UV + 4), m[2] * u + m[3] * v + column(_UV + 5))
    per_m = xp.sqrt(abs(m[0] * m[3] - m[1] * m[2]))
    lod = xp.log2(footprint_m * per_m * float(atlas.size))
    rgba = sample_texture(xp, atlas, (as_int(xp, column(_TEXTURE)), tile_u, tile_v), lod, smooth)
    per_m, strength = column(_DETAIL + 1), column(_DETAIL + 2)
    lod = xp.log2(footprint_m * per_m * float(atlas.size))
    place = (as_int(xp, column(_DETAIL)), u * per_m + 0.37, v * per_m + 0.11)
    shade = 1.0 + strength * (sample_texture(xp, atlas, place, lod, smooth, grey=True) * (2.0 / 255.0) - 1.0)
    channels = []
    for k in range(3):
        low = column(_LOW + k)
        value = (low + (column(_HIGH + k) - low) * (rgba[:, k] * (1.0 / 255.0))) * shade
        value = xp.clip(value, 0.01, 1)
        channels.append(value * value)
    return channels


def _light(
    xp: Any, column: Any, view: View, lighting: Lighting, geometry: tuple, albedo: list[Any]
) -> list[Any]:
    """Return three channels of reflected light; geometry is (point, normal, unit direction to the eye)."""
    p, normal, toward = geometry
    light, up = lighting.light, view.rotation[2].tolist()
    key, key_direction = _point_light(xp, light.key_position, light.key_reach_m, view, p, normal)
    key = key * shadow_factor(xp, lighting.key, view, p)
    fill, _ = _point_light(xp, light.fill_position, light.fill_reach_m, view, p, normal)
    if lighting.fill:
        fill = fill * (
            sum(shadow_factor(xp, part, view, p) for part in lighting.fill) * (1.0 / len(lighting.fill))
        )
    bias = 0.3 if light.room is None else 0.12  # walls and floor give ambient light to ceilings
    sky = (1 - bias) + bias * (normal[0] * up[0] + normal[1] * up[1] + normal[2] * up[2])
    if light.room is not None:
        sky = sky * _corner_occlusion(xp, light.room, view, p)
    half = [a + b for a, b in zip(key_direction, toward)]
    cosine = xp.clip(_dot(half, normal) / (xp.sqrt(_dot(half, half)) + 1e-6), 0, 1)
    gloss = column(_FINISH) * xp.exp((cosine - 1.0) * column(_FINISH + 1) * 2.0) * key
    glow = column(_FINISH + 2)
    channels = []
    for k in range(3):
        incoming = sky * light.ambient[k] + key * light.key_colour[k] + fill * light.fill_colour[k] + glow
        channels.append(albedo[k] * incoming + gloss * light.key_colour[k])
    return channels


def _haze(xp: Any, light: Light, z: Any, channels: list[Any]) -> list[Any]:
    if light.haze_per_m <= 0:
        return channels
    clear = xp.exp(z * -light.haze_per_m)
    return [c * clear + (1 - clear) * float(s) ** 2 for c, s in zip(channels, light.sky_low)]


def _add_reflection(
    xp: Any,
    atlas: TextureAtlas,
    view: View,
    light: Light,
    geometry: tuple,
    surface: tuple,
    channels: list[Any],
    some: Any,
) -> None:
    """Blend the mirrored surroundings into `channels` where `some`.

    The mirrored ray ends on a box around the scene, where an upright texture is looked up: the reflection has
    the parallax of what lies behind the surface, while depth stays the surface's own. Fresnel's law after
    Schlick, An inexpensive BRDF model, 1994, with a higher base and a softer rise, so that floors shine from
    above as well.
    """
    (p, normal, toward), (polish, shininess, footprint) = geometry, surface
    facing = _dot(normal, toward)
    ray = [2.0 * facing * n - t for n, t in zip(normal, toward)]
    hit, way, reach = [], [], None
    for axis, row in enumerate(view.rotation.tolist()):
        place, along = _dot(row, p) + float(view.position[axis]), _dot(row, ray)
        low, high = (STREET if light.room is None else light.room)[:, axis].tolist()
        along = xp.where(abs(along) < 1e-4, 1e-4, along)
        to_wall = xp.clip((xp.where(along > 0, high, low) - place) / along, 0, None)
        reach = to_wall if reach is None else xp.where(to_wall < reach, to_wall, reach)
        hit.append(place)
        way.append(along)
    x, y, height = (h + reach * a for h, a in zip(hit, way))
    lod = xp.log2((p[2] + reach) * (footprint * atlas.size / 5.0)) + xp.clip(8.0 - xp.log2(shininess), 1.0, 5)
    texture = as_int(xp, height * 0) + int(light.mirrored)
    place = (texture, (x + y) / 5.0, height * -0.2 + (x - y) * 0.08)
    tone = sample_texture(xp, atlas, place, lod, False, grey=True) * (1.0 / 255.0)
    bright = 1.5 * xp.clip(tone * 5.0 - 3.3, 0, 1)  # windows, lamps
    tone = tone * tone + bright
    if light.room is None:
        tone = xp.where(height > STREET[1, 2] - 0.01, (0.35 + tone) * float(light.sky_low[1]) ** 2, tone)
    share = polish * (0.2 + 0.8 * xp.clip(1.0 - facing, 0, 1) ** 3)
    brightest = max(light.ambient)
    for k, channel in enumerate(channels):
        mine = channel[some]
        channel[some] = mine + share * (tone * (light.ambient[k] / brightest) - mine)


def _point_light(
    xp: Any, place: tuple, reach_m: float, view: View, p: tuple, normal: list
) -> tuple[Any, list[Any]]:
    """Return cosine times falloff (1 at no distance, 1/2 at `reach_m`) and the unit direction to the lamp."""
    lamp = ((np.asarray(place) - view.position) @ view.rotation).tolist()
    ray = [lamp[i] - p[i] for i in range(3)]
    squared = _dot(ray, ray)
    inverse = 1.0 / xp.sqrt(squared)
    ray = [c * inverse for c in ray]
    cosine = xp.clip(_dot(ray, normal), 0, None)
    if not np.isfinite(reach_m):
        return cosine, ray
    return cosine / (1.0 + squared * (1.0 / reach_m**2)), ray


def _corner_occlusion(xp: Any, room: np.ndarray, view: View, p: tuple) -> Any:
    """Darken ambient light near the walls of a room, as ambient occlusion does."""
    dark: Any = 1.0
    for axis in range(3):
        row = view.rotation[axis].tolist()
        world = row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + float(view.position[axis])
        for bound in room[:, axis].tolist():
            dark = dark * (1.0 - 0.38 * xp.exp(abs(world - bound) * -3.5))
    return dark * 1.45


def shadow_factor(xp: Any, shadow: ShadowMap, view: View, p: Any) -> Any:
    """Return the share of key light that reaches camera-frame points: a 2x2 filtered shadow map."""
    seen_by, reach = shadow.view, float(shadow.view.xs[-1])
    turn = seen_by.rotation.T @ view.rotation
    shift = seen_by.rotation.T @ (view.position - seen_by.position)
    turn_rows, offset = turn.tolist(), shift.tolist()
    x, y, z = (r[0] * p[0] + r[1] * p[1] + r[2] * p[2] + o for r, o in zip(turn_rows, offset))
    inside = (z > 0.01) & (abs(x) < z * (0.99 * reach)) & (abs(y) < z * (0.99 * reach))
    w = 1.0 / xp.where(inside, z, 1.0)
    edge = shadow.inverse_depth.shape[0]
    gain = (edge - 1) / (2.0 * reach)
    column = xp.where(inside, (x * w + reach) * gain, 0.0)
    row = xp.where(inside, (y * w + reach) * gain, 0.0)
    left, top = (xp.clip(xp.floor(column), 0, edge - 2), xp.clip(xp.floor(row), 0, edge - 2))
    fu, fv = column - left, row - top
    flat = shadow.inverse_depth.reshape(-1)
    start = as_int(xp, top) * edge + as_int(xp, left)
    limit = w * (1.0 + shadow.bias)

    def free(k: int) -> Any:
        return xp.where(flat[start + k] <= limit, 1.0, 0.0)

    upper = free(0) * (1 - fu) + free(1) * fu
    lower = free(edge) * (1 - fu) + free(edge + 1) * fu
    return xp.where(inside, upper + (lower - upper) * fv, 1.0)


def sky(xp: Any, atlas: TextureAtlas, view: View, light: Light, x: Any, y: Any) -> Any:
    """Return (N, 3) linear light of rays that hit nothing: a gradient with clouds on a plane far above."""
    rows = view.rotation.tolist()
    d = [r[0] * x + r[1] * y + r[2] for r in rows]
    up = xp.clip(d[2] / xp.sqrt(_dot(d, d)), 0, 1)
    height = 1.0 / (up * 3.0 + 0.25)
    texture = as_int(xp, x * 0) + int(light.sky_texture)
    flat = 1.0 / xp.sqrt(d[0] * d[0] + d[1] * d[1] + 1e-6)
    lod = x * 0 + float(np.log2(view.pixel * 0.35 * atlas.size))
    place = (texture, d[0] * flat * height * 0.35, d[1] * flat * height * 0.35)
    cloud = sample_texture(xp, atlas, place, lod, smooth=False, grey=True)
    cloud = xp.clip((cloud * (1.0 / 255.0) - 0.45) * 3.0, 0, 1) * light.cloudiness
    rise = xp.sqrt(up)
    channels = []
    for low, high in zip(light.sky_low, light.sky_high):
        tone = low + (high - low) * rise
        tone = tone + (0.97 - tone) * cloud
        channels.append(tone * tone)
    return xp.stack(channels, 1)
