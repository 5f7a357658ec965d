"""One scene description for every renderer: flat arrays of primitives, materials and lights.

World frame: x forward, y left, z up (REP 103), metres. Two kinds of primitive carry everything:

- a *patch* lies in the plane of its first two axes (rectangle, ellipse, triangle, or a cut-out whose outline
  is the alpha channel of its texture),
- a *quadric* satisfies ``sum_i diag_i q_i**2 = const`` in its own axes (ellipsoid, cylinder, cone).

Boxes, furniture, trees and cars are made of these by `SceneBuilder`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recon3d_ros.geometry.labels import PointLabel

RECT, ELLIPSE, CUTOUT, QUADRIC, TRIANGLE = 0, 1, 2, 3, 4

Vector = Sequence[float] | np.ndarray

#: Columns of `Scene.materials`.
MATERIAL_COLUMNS = (
    ("texture", "m00", "m01", "m10", "m11", "offset_u", "offset_v")
    + ("low_r", "low_g", "low_b", "high_r", "high_g", "high_b")
    + ("detail", "detail_per_m", "detail_strength", "gloss", "shininess", "emission", "mirror")
)


@dataclass(frozen=True)
class Material:
    """How a surface looks. Colours are sRGB in [0, 1]; a texture value t becomes ``low + (high - low) t``.

    Attributes:
        texture: Index into the texture atlas.
        tile_m: Edge of one texture tile on the surface, m (u, v); None stretches one tile over the patch.
        angle: Rotation of the texture on the surface, rad.
        offset: Shift of the texture, tiles.
        detail: Index of a second texture that modulates brightness.
        detail_m: Edge of its tile, m.
        gloss: Strength of the specular highlight, 0..1.
        mirror: How far the surroundings are mirrored where seen at a grazing angle, 0..1.
    """

    texture: int = 0
    tile_m: tuple[float, float] | None = (1.0, 1.0)
    angle: float = 0.0
    offset: tuple[float, float] = (0.0, 0.0)
    low: tuple[float, float, float] = (0.0, 0.0, 0.0)
    high: tuple[float, float, float] = (1.0, 1.0, 1.0)
    detail: int = 0
    detail_m: float = 1.0
    detail_strength: float = 0.0
    gloss: float = 0.0
    shininess: float = 20.0
    emission: float = 0.0
    mirror: float = 0.0

    def row(self, half: np.ndarray) -> list[float]:
        """Return the columns of `Scene.materials` for a patch of the given half extents (m)."""
        if self.tile_m is None:
            matrix = [0.5 / max(half[0], 1e-6), 0.0, 0.0, -0.5 / max(half[1], 1e-6)]
            offset = (0.5, 0.5)
        else:
            c, s = float(np.cos(self.angle)), float(np.sin(self.angle))
            u, v = 1.0 / self.tile_m[0], 1.0 / self.tile_m[1]
            matrix, offset = [c * u, -s * u, -s * v, -c * v], self.offset
        finish = [self.detail, 1.0 / self.detail_m, self.detail_strength]
        finish += [self.gloss, self.shininess, self.emission, self.mirror]
        return [self.texture, *matrix, *offset, *self.low, *self.high, *finish]


@dataclass(frozen=True)
class Light:
    """Ambient light, one key light that casts shadows, one fill light without shadows.

    Attributes:
        key_position: (3,) m; far away for the sun.
        key_target: (3,) m, the centre of the shadow map.
        key_half_angle: Half the opening of the shadow map, rad.
        key_reach_m: Distance at which the key light has lost half its power; inf for the sun.
        fill_points: Points that cast the shadows of the fill light, spread over a horizontal disc of
            `fill_radius_m`: soft shadows; 0 for a fill light without.
        sky_low: sRGB at the horizon; sky_high: overhead. Only seen outdoors.
        room: (2, 3) lowest and highest corner of the room for corner darkening, or None.
        mirrored: Index of the texture that stands for the surroundings in what mirrors.
    """

    key_position: tuple[float, float, float]
    key_target: tuple[float, float, float]
    key_half_angle: float
    key_reach_m: float = np.inf
    key_colour: tuple[float, float, float] = (1.0, 0.95, 0.9)
    ambient: tuple[float, float, float] = (0.35, 0.37, 0.4)
    fill_position: tuple[float, float, float] = (0.0, 0.0, 2.0)
    fill_reach_m: float = 3.0
    fill_colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fill_points: int = 0
    fill_radius_m: float = 0.0
    fill_half_angle: float = 1.2
    sky_low: tuple[float, float, float] = (0.8, 0.85, 0.9)
    sky_high: tuple[float, float, float] = (0.35, 0.5, 0.8)
    sky_texture: int = 0
    cloudiness: float = 0.5
    haze_per_m: float = 0.0
    room: np.ndarray | None = None
    mirrored: int = 0
    exposure: float = 0.45


@dataclass(frozen=True)
class Scene:
    """N primitives as arrays, float32 unless said otherwise.

    Attributes:
        shape: (N,) int, RECT | ELLIPSE | CUTOUT | QUADRIC | TRIANGLE.
        origin: (N, 3) m in the world.
        axes: (N, 3, 3), rows are the primitive's orthonormal axes in the world; a patch faces axis 2.
        half: (N, 3) m, half extents along the axes, around `middle` along axis 2.
        middle: (N,) m, centre of the extent along axis 2 (a cone's apex is its origin).
        diag: (N, 3) and const: (N,), the quadric; zeros for patches, const of a triangle see `patch_hit`.
        one_sided: (N,) bool, seen only from the side its axis 2 points to (faces of closed solids).
        materials: (N, len(MATERIAL_COLUMNS)).
        labels: (N,) uint8, the `PointLabel` of each.
        light: The light.
    """

    shape: np.ndarray
    origin: np.ndarray
    axes: np.ndarray
    half: np.ndarray
    middle: np.ndarray
    diag: np.ndarray
    const: np.ndarray
    one_sided: np.ndarray
    materials: np.ndarray
    labels: np.ndarray
    light: Light

    def __len__(self) -> int:
        return len(self.shape)


def rotation_z(angle: float) -> np.ndarray:
    """Return the (3, 3) rotation about the world's up axis by `angle` rad."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotation_between(direction: np.ndarray) -> np.ndarray:
    """Return a (3, 3) rotation whose third column is `direction` (any length)."""
    n = np.asarray(direction, float) / np.linalg.norm(direction)
    helper = np.array([1.0, 0.0, 0.0]) if abs(n[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    u = np.cross(helper, n)
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(n, u), n], axis=1)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a uniformly random (3, 3) rotation (QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


#: Outward normal and the two in-plane axes of a box's six faces (rows u, v, n; v is up on the sides).
_FACES = np.array(
    [
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        [[0, -1, 0], [0, 0, 1], [-1, 0, 0]],
        [[-1, 0, 0], [0, 0, 1], [0, 1, 0]],
        [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    ],
    float,
)


@dataclass
class SceneBuilder:
    """Collects primitives; the current frame (`at`) lets furniture be written around its own origin.

    What nobody labels (`labelled`) is an obstacle.
    """

    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    position: np.ndarray = field(default_factory=lambda: np.zeros(3))
    label: PointLabel = PointLabel.OBSTACLE
    _rows: list[tuple] = field(default_factory=list)

    def at(self, position: tuple[float, float, float] | np.ndarray, yaw: float = 0.0) -> SceneBuilder:
        """Return a builder for the same scene whose frame stands at `position` (m), turned by `yaw` (rad)."""
        place = self.position + self.rotation @ np.asarray(position, float)
        return replace(self, rotation=self.rotation @ rotation_z(yaw), position=place)

    def labelled(self, label: PointLabel) -> SceneBuilder:
        """Return a builder for the same scene, in the same frame, whose primitives are of this class."""
        return replace(self, label=label)

    def _add(
        self,
        shape: int,
        place: tuple[Vector, np.ndarray, Vector],
        material: Material,
        middle: float = 0.0,
        quadric: tuple[Vector, float] = ((0, 0, 0), 0.0),
        one_sided: bool = False,
    ) -> None:
        """Add a primitive; place: centre, (3, 3) rotation and half extents; quadric: diag and const."""
        centre, rotation, extent = place
        origin = self.position + self.rotation @ np.asarray(centre, float)
        axes = (self.rotation @ rotation).T
        half = np.asarray(extent, float)
        looks = material.row(half)
        self._rows.append((shape, origin, axes, half, middle, *quadric, one_sided, looks, self.label))

    def patch(
        self,
        centre: Vector,
        rotation: np.ndarray,
        half_uv: Vector,
        material: Material,
        shape: int = RECT,
        one_sided: bool = False,
    ) -> None:
        """Add a flat patch; columns of `rotation` are its u axis, v axis (up in the texture) and normal."""
        self._add(shape, (centre, rotation, (*half_uv, 0.0)), material, one_sided=one_sided)

    def box(
        self,
        centre: Vector,
        size: Vector,
        material: Material,
        rotation: np.ndarray | None = None,
        top: Material | None = None,
        top_label: PointLabel | None = None,
    ) -> None:
        """Add a closed box of full `size` (m) along the axes of `rotation`; its top is at axis 2."""
        turn = np.eye(3) if rotation is None else rotation
        half = np.asarray(size, float) / 2
        for face in _FACES:
            extent = np.abs(face) @ half
            spot = np.asarray(centre, float) + turn @ (face[2] * extent[2])
            upper = face[2, 2] > 0
            surface = top if top is not None and upper else material
            builder = self.labelled(top_label) if top_label is not None and upper else self
            builder.patch(spot, turn @ face.T, extent[:2], surface, one_sided=True)

    def ellipsoid(
        self, centre: Vector, radii: Vector, material: Material, rotation: np.ndarray | None = None
    ) -> None:
        """Add an ellipsoid with the three `radii` (m)."""
        diag = np.asarray(radii, float) ** -2.0
        turn = np.eye(3) if rotation is None else rotation
        self._add(QUADRIC, (centre, turn, radii), material, quadric=(diag, 1.0))

    def cylinder(
        self, bottom: Vector, top: Vector, radius: float, material: Material, caps: bool = True
    ) -> None:
        """Add a cylinder between two points (m)."""
        low, high = np.asarray(bottom, float), np.asarray(top, float)
        turn = rotation_between(high - low)
        extent = (radius, radius, float(np.linalg.norm(high - low)) / 2)
        self._add(QUADRIC, ((low + high) / 2, turn, extent), material, quadric=((1, 1, 0), radius**2))
        if caps:
            self.patch(high, turn, (radius, radius), material, ELLIPSE, one_sided=True)
            under = turn * np.array([1.0, -1.0, -1.0])
            self.patch(low, under, (radius, radius), material, ELLIPSE, one_sided=True)

    def cone(self, apex: Vector, height: float, radius: float, material: Material, cut: float = 0.0) -> None:
        """Add an upright cone of `height` below `apex` (m); the upper part `cut` (fraction) is left out."""
        slope = radius / height
        extent = (radius, radius, height * (1 - cut) / 2)
        middle = -height * (1 + cut) / 2
        self._add(QUADRIC, (apex, np.eye(3), extent), material, middle, quadric=((1, 1, -(slope**2)), 0.0))

    def build(self, light: Light) -> Scene:
        """Return the finished scene."""
        shape, origin, axes, half, middle, diag, const, one_sided, materials, labels = zip(*self._rows)

        def single(part: object) -> np.ndarray:
            return np.asarray(part, np.float32)

        return Scene(
            shape=np.asarray(shape, np.int64),
            origin=single(origin),
            axes=single(axes),
            half=single(half),
            middle=single(middle),
            diag=single(diag),
            const=single(const),
            one_sided=np.asarray(one_sided, bool),
            materials=single(materials),
            labels=np.asarray(labels, np.uint8),
            light=light,
        )
