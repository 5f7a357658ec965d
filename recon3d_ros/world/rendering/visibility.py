"""Which primitive is seen along each ray, and how far: ray casting in inverse depth.

Rays are ``(x, y, 1)`` in the camera frame, so the ray parameter is the depth Z itself. With ``w = 1 / Z`` a
plane is affine in (x, y) and so are its in-plane coordinates times w: a patch costs three affine forms and a
few comparisons per pixel, no division. A quadric is a quadratic in w. The hit functions take Python floats
with pixel arrays (NumPy, one primitive inside its screen box) or (B, 1, 1) coefficients with (B, H, W) pixels
(torch, one primitive of every scene of a batch).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recon3d_ros.world.scenes.scene import CUTOUT, ELLIPSE, QUADRIC, TRIANGLE, Scene
from recon3d_ros.world.textures.atlas import TextureAtlas, alpha_test

NEAR_M = 0.02
_EDGES = np.array(
    [[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]]
)
_CORNERS = np.array([[u, v, n] for u in (-1, 1) for v in (-1, 1) for n in (-1, 1)], np.float64)


@dataclass(frozen=True)
class View:
    """A pinhole view without an image: pose and the grid of rays.

    Attributes:
        rotation: (3, 3), columns are the camera's x (right), y (down), z (forward) in the world.
        position: (3,) optical centre in the world, m.
        xs: (W,) float32, x / Z of each column; ys: (H,) float32, y / Z of each row.
        pixel: Angle of one image pixel, 1 / fx.
    """

    rotation: np.ndarray
    position: np.ndarray
    xs: np.ndarray
    ys: np.ndarray
    pixel: float


@dataclass(frozen=True)
class PlacedPrimitives:
    """A scene's primitives as seen from a view (float64).

    Attributes:
        origin: (N, 3) in the camera frame, m.
        axes: (N, 3, 3), rows are the primitive's axes in the camera frame.
        planar: (N, 9), coefficients of (x, y, 1) of w, u w and v w of patches.
        quadric: (N, 10), of quadrics: coefficients of C0 (xx, xy, yy, x, y, 1), of C1 (x, y, 1), and C2 in
            C2 w^2 - 2 C1 w + C0 = 0.
        axial: (N, 4), coefficients of (x, y, 1) and of w of the coordinate along axis 2, times w.
        level: (N,) mip level of a cut-out's outline.
        seen: (N,) bool.
        box: (N, 4) int, columns x0:x1 and rows y0:y1 of the ray grid.
    """

    origin: np.ndarray
    axes: np.ndarray
    planar: np.ndarray
    quadric: np.ndarray
    axial: np.ndarray
    level: np.ndarray
    seen: np.ndarray
    box: np.ndarray


def place(scene: Scene, view: View, atlas: TextureAtlas) -> PlacedPrimitives:
    """Bring every primitive of `scene` into the frame of `view`."""
    origin = (scene.origin.astype(np.float64) - view.position) @ view.rotation
    axes = scene.axes.astype(np.float64) @ view.rotation
    beta = np.einsum("nij,nj->ni", axes, origin)
    is_quadric = scene.shape == QUADRIC
    offset = np.where(np.abs(beta[:, 2]) < 1e-9, 1e-9, beta[:, 2])
    w = axes[:, 2] / offset[:, None]
    planar = np.concatenate([w, axes[:, 0] - beta[:, :1] * w, axes[:, 1] - beta[:, 1:2] * w], axis=1)
    diag = scene.diag.astype(np.float64)
    form = np.einsum("ni,nij,nik->njk", diag, axes, axes)
    c1 = np.einsum("ni,ni,nij->nj", diag, beta, axes)
    c2 = (diag * beta**2).sum(1) - scene.const
    c0 = [
        form[:, 0, 0],
        2 * form[:, 0, 1],
        form[:, 1, 1],
        2 * form[:, 0, 2],
        2 * form[:, 1, 2],
        form[:, 2, 2],
    ]
    quadric = np.concatenate([np.stack(c0, 1), c1, c2[:, None]], axis=1)
    axial = np.concatenate([axes[:, 2], (beta[:, 2] + scene.middle)[:, None]], axis=1)
    box = _screen_boxes(scene, view, origin, axes)
    facing = ~scene.one_sided | (beta[:, 2] < 0)
    seen = facing & (box[:, 1] > box[:, 0]) & (box[:, 3] > box[:, 2]) & (~is_quadric | (c2 > 1e-9))
    texel_m = 2 * scene.half[:, :2].max(1) / atlas.size
    footprint = np.maximum(origin[:, 2], 0.3) * view.pixel / np.maximum(texel_m, 1e-9)
    level = np.clip(np.floor(np.log2(np.maximum(footprint, 1e-9))), 0, 5).astype(np.int64)
    return PlacedPrimitives(origin, axes, planar, quadric, axial, level, seen, box)


def _screen_boxes(scene: Scene, view: View, origin: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return (N, 4) int boxes around every primitive's image; empty where nothing lies before the camera."""
    local = _CORNERS[None] * scene.half[:, None, :].astype(np.float64)
    local[:, :, 2] += scene.middle[:, None]
    corners = origin[:, None, :] + local @ axes
    a, b = corners[:, _EDGES[:, 0]], corners[:, _EDGES[:, 1]]
    step = np.where(np.abs(b[..., 2] - a[..., 2]) < 1e-12, 1.0, b[..., 2] - a[..., 2])
    cut = a + ((NEAR_M - a[..., 2]) / step)[..., None] * (b - a)
    crossing = (a[..., 2] < NEAR_M) != (b[..., 2] < NEAR_M)
    points = np.concatenate([corners, np.where(crossing[..., None], cut, -1.0)], axis=1)
    ahead = points[..., 2] >= NEAR_M * 0.999
    z = np.where(ahead, points[..., 2], 1.0)
    box = np.empty((len(origin), 4), np.int64)
    for k, grid in enumerate((view.xs, view.ys)):
        value = points[..., k] / z
        low = np.where(ahead, value, np.inf).min(1)
        high = np.where(ahead, value, -np.inf).max(1)
        box[:, 2 * k] = np.searchsorted(grid, low - 1e-5)
        box[:, 2 * k + 1] = np.searchsorted(grid, high + 1e-5, side="right")
    return box


def affine(c: Any, x: Any, y: Any) -> Any:
    """Return c[0] x + c[1] y + c[2]."""
    return c[0] * x + (c[1] * y + c[2])


def patch_hit(shape: int, c: Any, half: Any, x: Any, y: Any, apex: Any = 0.0) -> tuple[Any, Any, Any, Any]:
    """Return (w, inside, u w, v w) of a patch; a cut-out's outline is still to be looked up.

    A triangle has its base below, and its upper corner at `apex` of the half base.
    """
    w = affine(c[0:3], x, y)
    a, b = affine(c[3:6], x, y), affine(c[6:9], x, y)
    if shape == TRIANGLE:
        up = (b + half[1] * w) * (0.5 / half[1])  # w times the share of the height
        inside = (up >= 0) & (up <= w)
        middle, reach = half[0] * apex * up, half[0] * (w - up)
        return w, inside & (abs(a - middle) <= reach), a, b
    if shape != ELLIPSE:
        return w, (abs(a) <= half[0] * w) & (abs(b) <= half[1] * w), a, b
    s, t = a * (1.0 / half[0]), b * (1.0 / half[1])
    return w, s * s + t * t <= w * w, a, b


def quadric_hit(xp: Any, c: Any, axial: Any, half: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Return (w, inside) of a quadric seen from outside: the nearer root, within its extent along axis 2."""
    c0 = (c[0] * x + (c[1] * y + c[3])) * x + ((c[2] * y + c[4]) * y + c[5])
    c1 = affine(c[6:9], x, y)
    disc = c1 * c1 - c[9] * c0
    w = (c1 + xp.sqrt(xp.clip(disc, 0, None))) * (1.0 / c[9])
    along = abs(affine(axial[0:3], x, y) - axial[3] * w)
    return w, (disc > 0) & (along <= half[2] * w)


def cast(
    scene: Scene, view: View, atlas: TextureAtlas, placed: PlacedPrimitives | None = None
) -> tuple[np.ndarray, np.ndarray, PlacedPrimitives]:
    """Cast one ray per grid point with NumPy.

    Returns:
        (H, W) float32 inverse depth, 1/m, 0 where nothing is hit; (H, W) int16 index of the primitive, -1
        there; the placed primitives.
    """
    placed = placed or place(scene, view, atlas)
    depth_w = np.zeros((len(view.ys), len(view.xs)), np.float32)
    index = np.full(depth_w.shape, -1, np.int16)
    order = np.flatnonzero(placed.seen)
    order = order[np.argsort(placed.origin[order, 2])]
    boxes, halves = placed.box[order].tolist(), scene.half[order].astype(np.float64).tolist()
    for i, (x0, x1, y0, y1), half in zip(order.tolist(), boxes, halves):
        x, y = view.xs[x0:x1], view.ys[y0:y1, None]
        near = depth_w[y0:y1, x0:x1]
        shape = int(scene.shape[i])
        if shape == QUADRIC:
            w, inside = quadric_hit(np, placed.quadric[i].tolist(), placed.axial[i].tolist(), half, x, y)
        else:
            w, inside, a, b = patch_hit(shape, placed.planar[i].tolist(), half, x, y, float(scene.const[i]))
        inside &= w > near
        if shape == CUTOUT:
            at = (scene.materials[i, 0].astype(np.int32), placed.level[i])
            inside[inside] = alpha_test(np, atlas, at, half, (a[inside], b[inside], w[inside]))
        np.copyto(near, w, where=inside)
        np.copyto(index[y0:y1, x0:x1], np.int16(i), where=inside)
    return depth_w, index, placed
