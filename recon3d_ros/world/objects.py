"""One object in view, as a stereo pair, with points of its whole surface: samples of shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import Sample, StereoRig
from recon3d_ros.geometry.labels import PointLabel
from recon3d_ros.world.rendering.render import render_stereo, stereo_views
from recon3d_ros.world.rendering.visibility import View, cast
from recon3d_ros.world.scenes import furniture, materials
from recon3d_ros.world.scenes.indoor import look_at, room_light
from recon3d_ros.world.scenes.objects import bounds, random_object
from recon3d_ros.world.scenes.outdoor import daylight
from recon3d_ros.world.scenes.scene import Light, Scene, SceneBuilder, rotation_between
from recon3d_ros.world.textures.atlas import texture_atlas

# Seeds that follow each other show one shape from so many sides.
VIEWS_PER_SHAPE = 4
SURFACE_POINTS = 2048
# Directions and rays that look for a shape's surface, and cells along its box: one point of each remains.
_DIRECTIONS, _RAYS, _CELLS = 18, 96, 48
# Of the camera: focal lengths in image widths, and disparities of the object in px, as robots have them.
FOCAL, DISPARITY_PX = (0.9, 1.8), (6.0, 36.0)
# Of scenes that are only cast, never shaded.
PLAIN_LIGHT = Light((0.0, 0.0, 100.0), (0.0, 0.0, 0.0), 0.1)


@dataclass(frozen=True)
class ObjectSample:
    """One object as a camera sees it.

    Attributes:
        sample: The pair, with exact depth.
        mask: (H, W) bool, pixels of the left image that show the object.
        points: (N, 3) float32 m in the left optical frame, spread evenly over the surface that can be seen
            from anywhere outside.
        kind: What it is, for tables.
    """

    sample: Sample
    mask: NDArray[np.bool_]
    points: NDArray[np.float32]
    kind: str


@dataclass(frozen=True)
class Shape:
    """An object around the origin, its surface (N, 3) float32 m, and its kind."""

    builder: SceneBuilder
    surface: NDArray[np.float32]
    kind: str


@lru_cache(maxsize=4)
def random_shape(seed: int) -> Shape:
    """The object of a seed, the same for the same argument."""
    rng = np.random.default_rng([seed, 19])
    for _ in range(8):
        kind, builder = random_object(rng)
        surface = surface_points(builder.build(PLAIN_LIGHT), rng)
        if len(surface) >= SURFACE_POINTS // 4:
            break
    return Shape(builder, surface, kind)


def surface_points(scene: Scene, rng: np.random.Generator) -> NDArray[np.float32]:
    """Points of what can be seen of a scene from around: at most one in each cell of a grid.

    What is hidden within has none. Rays that come from a few sides find nearly all the rest.

    Returns:
        (N, 3) float32 m, in random order.
    """
    low, high = bounds(scene)
    centre, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    reach = 1.02 * radius / np.sqrt((4.0 * radius) ** 2 - radius**2)
    grid = np.linspace(-reach, reach, _RAYS, dtype=np.float32)
    found = []
    for k in range(_DIRECTIONS):  # a Fibonacci lattice on the sphere
        z, angle = 1.0 - (2 * k + 1) / _DIRECTIONS, 2.39996 * k
        way = np.array([np.cos(angle), np.sin(angle), 0.0]) * np.sqrt(1 - z * z) + [0.0, 0.0, z]
        view = View(rotation_between(-way), centre + 4.0 * radius * way, grid, grid, 2 * reach / _RAYS)
        inverse, index, _ = cast(scene, view, texture_atlas())
        v, u = np.nonzero(index >= 0)
        depth = 1.0 / inverse[v, u]
        rays = np.stack([grid[u] * depth, grid[v] * depth, depth], axis=1)
        found.append(rays @ view.rotation.T + view.position)
    points = rng.permutation(np.concatenate(found))
    cells = np.floor((points - low) / (2 * radius / _CELLS)).astype(np.int64)
    keys = (cells[:, 0] * 4096 + cells[:, 1]) * 4096 + cells[:, 2]
    _, first = np.unique(keys, return_index=True)
    return points[rng.permutation(first)].astype(np.float32)


def object_sample(seed: int, size_wh: tuple[int, int]) -> ObjectSample:
    """Render one object before some background, the same for the same arguments.

    Seeds `VIEWS_PER_SHAPE` k to `VIEWS_PER_SHAPE` (k + 1) - 1 show the same shape.
    """
    shape = random_shape(seed // VIEWS_PER_SHAPE)
    rng = np.random.default_rng([seed, 23])
    return view_of(shape, rng, size_wh, f"object_{seed}")


def view_of(shape: Shape, rng: np.random.Generator, size_wh: tuple[int, int], name: str) -> ObjectSample:
    """Render a shape that stands on z = 0 from a random side before a random background."""
    for _ in range(6):
        result = _render(shape, rng, size_wh, name)
        if result.mask.mean() > 0.01:
            break
    return result


def _render(shape: Shape, rng: np.random.Generator, size_wh: tuple[int, int], name: str) -> ObjectSample:
    width, height = size_wh
    low, high = shape.surface.min(axis=0).astype(float), shape.surface.max(axis=0).astype(float)
    centre, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    focal = width * rng.uniform(*FOCAL)
    distance = radius * focal / (0.5 * height * rng.uniform(0.55, 1.0))
    azimuth, rise = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(-3, 50) * rng.uniform(0.4, 1.0))
    way = np.array([np.cos(azimuth) * np.cos(rise), np.sin(azimuth) * np.cos(rise), np.sin(rise)])
    position = centre + distance * way
    position[2] = max(position[2], 0.02 * distance)
    pose = look_at(position, centre + rng.normal(0, 0.12 * radius, 3), rng.normal(0, 0.04))
    rig = StereoRig.simple(width, height, focal, _baseline_m(rng, distance, focal))
    b, count = replace(shape.builder, _rows=list(shape.builder._rows)), len(shape.builder._rows)
    light = _surroundings(b, rng, centre, radius)
    scene = b.build(light)
    sample = render_stereo(scene, rig, pose, name=name)
    view, _ = stereo_views(rig, pose)
    _, index, _ = cast(scene, replace(view, xs=view.xs[1::2], ys=view.ys[1::2]), texture_atlas())
    points = (shape.surface.astype(np.float64) - pose[:3, 3]) @ pose[:3, :3]
    seen = (index >= 0) & (index < count)
    return ObjectSample(sample, seen, points.astype(np.float32), shape.kind)


def _baseline_m(rng: np.random.Generator, distance: float, focal: float) -> float:
    disparity = np.exp(rng.uniform(*np.log(DISPARITY_PX)))
    return float(disparity * distance / focal)


def _surroundings(b: SceneBuilder, rng: np.random.Generator, centre: np.ndarray, radius: float) -> Light:
    """Add what the object stands on, what is behind, and a few other things; return the light."""
    ground = b.labelled(PointLabel.GROUND)
    floor = materials.floor(rng) if rng.random() < 0.7 else materials.wild(rng)
    ground.patch((0, 0, -0.002 * radius), np.eye(3), (60 * radius, 60 * radius), floor)
    if rng.random() < 0.25:
        return _aimed(daylight(rng, np.array([*centre[:2], 0.0])), centre, radius)
    half = radius * rng.uniform(2.0, 5.0, 2)
    corner = np.array([*half, max(2.6 * centre[2], radius * rng.uniform(3, 6))])
    walls = b.labelled(PointLabel.STRUCTURE)
    for k, yaw in enumerate((0.0, np.pi / 2, np.pi, -np.pi / 2)):
        side = walls.at((0, 0, 0), yaw).at((-half[k % 2] * 1.0, 0, corner[2] / 2))
        # Seen from inside alone: a camera outside looks through.
        side.patch(
            (0, 0, 0),
            furniture.UPRIGHT,
            (half[1 - k % 2], corner[2] / 2),
            materials.wall(rng),
            one_sided=True,
        )
    for _ in range(int(rng.integers(0, 4))):
        angle, away = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.5, 2.6)
        spot = b.at((away * np.cos(angle), away * np.sin(angle), 0), rng.uniform(0, 6.28))
        furniture.thing(spot, rng, radius * rng.uniform(0.15, 0.6))
    low = np.array([-half[0], -half[1], 0.0])
    return _aimed(room_light(rng, low, corner), centre, radius)


def _aimed(light: Light, centre: np.ndarray, radius: float) -> Light:
    """The light with its shadow map around the object, and its reach grown with the room."""
    away = float(np.linalg.norm(np.asarray(light.key_position) - centre))
    return replace(
        light,
        key_target=tuple(centre),
        key_half_angle=float(np.clip(np.arctan(3.0 * radius / max(away, 1e-6)), 0.02, 1.2)),
        key_reach_m=light.key_reach_m if away > 100 else max(light.key_reach_m, away),
    )
