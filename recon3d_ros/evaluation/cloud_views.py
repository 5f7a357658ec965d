"""Clouds from above and from the side, as plans are drawn, so that a bent wall or a tilted floor shows."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.evaluation.panels import Picture, Plane, Predictions, in_colour, titled, write
from recon3d_ros.geometry import PinholeCamera, PointPacker, Sample
from recon3d_ros.geometry.normals import surface_normals

_WIDTH_PX = 420
# Points are spread over the gaps to their neighbours by a Gaussian of this sigma.
_SPREAD_PX = 0.7
_BACKGROUND_RGB, _GRID_RGB, _CAMERA_RGB = (16, 18, 22), (52, 56, 64), (255, 220, 0)
# What is drawn: this much of the truth's coordinates, in percent, the camera, and room around for errors.
_DRAWN = (1, 99)
_MARGIN, _MARGIN_M = 0.1, 0.3
# Depth is smoothed by a Gaussian of this sigma before normals are taken: rounded values have slopes again.
_SMOOTH_PX = 6.0
# Directions within these angles of down or of level vote on where down is, finer and finer; the last angle is
# ours: it leaves out the normals that were smoothed over an edge.
_VOTES_DEG = (45.0,) * 5 + (15.0,) * 5 + (5.0,) * 5
# Where nothing tells, as the roll before a bare wall, down stays what it was: that share of votes is its own.
_INERTIA = 0.01

Vector = NDArray[np.float64]


class _View(NamedTuple):
    """Two axes of the upright frame, seen along the third; the low corner and the size of a pixel, in m."""

    across: int
    down: int
    low: Vector
    m_per_px: float
    height_px: int

    def pixels(self, xyz: Plane) -> NDArray[np.int64]:
        """(N, 2) column and row of (N, 3) m, also outside the picture."""
        at = (xyz[:, (self.across, self.down)] - self.low) / self.m_per_px
        return np.floor(at).astype(np.int64)


def cloud_views(sample: Sample, predictions: Predictions) -> Picture:
    """Draw the clouds of a frame, those of the truth and of each method side by side.

    Above: the view from above, the camera at the bottom looking up the picture. Below: from the right side,
    the camera at the left. Both are parallel projections at one scale in metres for all clouds, with a line
    each metre; each pixel has the mean colour of its points and is the brighter the more surface it shows:
    walls from above, and the floor from the side, are thin bright lines where they are straight. All are
    turned upright by one rotation, from the truth (`upright`); what lies outside is counted in the title.

    Args:
        sample: With the image; its truth, if there is one, sets the scale, else the first prediction does.
        predictions: Title and depth map of each method.

    Returns:
        (rows, columns, 3) uint8 RGB.
    """
    clouds = [(title, prediction.depth) for title, prediction in predictions]
    if sample.depth is not None:
        clouds.insert(0, ("truth", sample.depth))
    camera = sample.frame.camera
    turn = upright(clouds[0][1], camera)
    drawn = [(title, *_points(depth, sample, turn)) for title, depth in clouds]
    views = _views(drawn[0][1])
    columns = [
        np.vstack([_draw(f"{title}, {name}", xyz, rgb, view) for name, view in views.items()])
        for title, xyz, rgb in drawn
    ]
    image = in_colour(sample.frame.image)
    height = round(image.shape[0] * _WIDTH_PX / image.shape[1])
    small = cv2.resize(image, (_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    columns.insert(0, titled(sample.name, np.asarray(small, np.uint8)))
    tallest = max(len(column) for column in columns)
    return np.hstack([np.pad(c, ((0, tallest - len(c)), (0, 0), (0, 0))) for c in columns])


def upright(depth: Plane, camera: PinholeCamera) -> NDArray[np.float64]:
    """The rotation from the camera's frame into one whose y axis points down, along gravity.

    Down is the direction to which the normals of most surfaces are parallel or perpendicular (Gupta, Arbelaez
    and Malik 2013, section 3), looked for from the camera's y axis on. Forward stays as far as it can.

    Args:
        depth: (H, W) m; NaN where unknown.
        camera: Of that grid.

    Returns:
        (3, 3), upright = R optical; the identity where no surface has a normal.
    """
    normals = _normals(depth, camera)
    down = np.array([0.0, 1.0, 0.0])
    for angle in np.deg2rad(_VOTES_DEG):
        cosine = np.abs(normals @ down)
        level, standing = normals[cosine > np.cos(angle)], normals[cosine < np.sin(angle)]
        if not len(level) + len(standing):
            break
        votes = standing.T @ standing - level.T @ level
        votes -= _INERTIA * len(normals) * np.outer(down, down)
        _, vectors = np.linalg.eigh(votes)
        down = vectors[:, 0] if vectors[1, 0] > 0 else -vectors[:, 0]
    forward = np.array([0.0, 0.0, 1.0])
    forward -= (forward @ down) * down
    forward /= np.linalg.norm(forward)
    return np.stack([np.cross(down, forward), down, forward])


def _normals(depth: Plane, camera: PinholeCamera) -> Vector:
    """(N, 3) of the surfaces of every second pixel; inverse depth is the mean of what is known around it."""
    known = np.isfinite(depth) & (depth > 0)
    inverse = np.zeros(depth.shape, np.float32)
    np.divide(1, depth, out=inverse, where=known)
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), _SMOOTH_PX)
    inverse = np.asarray(cv2.GaussianBlur(inverse, (0, 0), _SMOOTH_PX))
    smooth = np.full(depth.shape, np.nan, np.float32)
    np.divide(weight, inverse, out=smooth, where=known & (weight > 0.5))
    found = np.stack(surface_normals(smooth, camera), axis=-1)[::2, ::2]
    return found[np.isfinite(found[..., 2])].astype(np.float64)


def _points(depth: Plane, sample: Sample, turn: Vector) -> tuple[Plane, NDArray[np.uint8]]:
    """(N, 3) m in the upright frame, and their colours."""
    points = PointPacker(sample.frame.camera).pack(depth, in_colour(sample.frame.image)).points()
    return points.xyz @ turn.T.astype(np.float32), points.rgb


def _views(xyz: Plane) -> dict[str, _View]:
    """From above (x across, z up) and from the side (z across, y down), at one scale."""
    if not len(xyz):
        xyz = np.array([[-1, -1, 0], [1, 1, 2]], np.float32)
    low, high = np.percentile(xyz, _DRAWN, axis=0).astype(np.float64)
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    middle, size = (low + high) / 2, (high - low) * (1 + 2 * _MARGIN) + 2 * _MARGIN_M
    m_per_px = max(size[0], size[2], 0.1) / _WIDTH_PX
    tall, low_px = np.maximum(1, np.rint(size / m_per_px)).astype(int), _WIDTH_PX * m_per_px / 2
    above = np.array([middle[0] - low_px, -middle[2] - size[2] / 2])
    side = np.array([middle[2] - low_px, middle[1] - size[1] / 2])
    return {
        "from above": _View(0, 3, above, m_per_px, int(tall[2])),
        "from the side": _View(2, 1, side, m_per_px, int(tall[1])),
    }


def _draw(title: str, xyz: Plane, rgb: NDArray[np.uint8], view: _View) -> Picture:
    """One cloud in one view."""
    width, height = _WIDTH_PX, view.height_px
    picture = np.full((height, width, 3), _BACKGROUND_RGB, np.uint8)
    _grid(picture, view)
    four = np.column_stack([xyz, -xyz[:, 2]])
    at = view.pixels(four)
    inside: NDArray[np.bool_] = np.all((at >= 0) & (at < (width, height)), axis=1)
    cells = at[inside, 1] * width + at[inside, 0]
    # A point stands for a piece of surface that grows with z^2: near and far walls are alike.
    weight = (xyz[inside, 2] ** 2).astype(np.float64)
    sums = [
        np.bincount(cells, weight * part, minlength=width * height)
        for part in (np.ones(len(cells)), *rgb[inside].T)
    ]
    planes = np.stack(sums, axis=1).astype(np.float32).reshape(height, width, 4)
    planes = np.asarray(cv2.GaussianBlur(planes, (0, 0), _SPREAD_PX))
    surface = planes[..., 0]
    seen = surface > 0
    if seen.any():
        colours = planes[seen, 1:] / surface[seen, None]
        solid = 1 - np.exp(-3 * surface[seen, None] / np.median(surface[seen]))
        picture[seen] = np.rint(picture[seen] * (1 - solid) + colours * solid).astype(np.uint8)
    camera = view.pixels(np.zeros((1, 4), np.float32))[0]
    cv2.circle(picture, (int(camera[0]), int(camera[1])), 4, _CAMERA_RGB, -1, cv2.LINE_AA)
    outside = 1 - inside.mean() if len(inside) else 0.0
    return titled(f"{title}" + (f", {outside:.0%} outside" if outside >= 0.005 else ""), picture)


def _grid(picture: Picture, view: _View) -> None:
    """A line at every metre, with its number where the axis is depth."""
    height, width = picture.shape[:2]
    for axis, length in ((0, width), (1, height)):
        first = float(view.low[axis])
        for metre in range(int(np.ceil(first)), int(first + length * view.m_per_px) + 1):
            at = int((metre - first) / view.m_per_px)
            start, end = ((at, 0), (at, height)) if axis == 0 else ((0, at), (width, at))
            cv2.line(picture, start, end, _GRID_RGB, 1)
            metre = -metre if view.down == 3 else metre
            if (view.across, view.down)[axis] in (2, 3) and metre >= 0 and 14 < at < length - 30:
                write(picture, f"{metre} m", (at + 3, height - 5) if axis == 0 else (3, at - 3))
