"""A cloud or mesh of a report page, to be turned with mouse or keys; drawn by three.js in assets/scene.js."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry import Cloud
from recon3d_ros.reports.blocks import json_text

MAX_POINTS = 120_000  # 9 bytes each; a page of a few MB opens at once
MAX_FACES = 300_000
_STEPS = 65535  # coordinates are written in 16 bits
_GREY = 160


@dataclass(frozen=True, eq=False)
class SceneView:
    """Points, or the triangles between them.

    Attributes:
        title: Heading.
        points: (N, 3) float m.
        colours: (N, 3) uint8 RGB, or None = grey.
        faces: (M, 3) indices into `points`, or None = a cloud. Of more than `MAX_FACES` only the points are
            shown, and of more than `MAX_POINTS` points an even part.
        up: "z" for a map (REP 103), "-y" for the optical frame of a camera.
        caption: What is seen.

    Raises:
        ImageError: At construction: shapes or dtypes are not these.
    """

    title: str
    points: NDArray[np.floating]
    colours: NDArray[np.uint8] | None = None
    faces: NDArray[np.integer] | None = None
    up: str = "-y"
    caption: str = ""

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 3:
            raise ImageError(f"expected (N, 3) points, got {self.points.shape}: reshape them")
        if self.colours is not None and (
            self.colours.shape != self.points.shape or self.colours.dtype != np.uint8
        ):
            raise ImageError(
                f"expected colours of {self.points.shape} uint8, got {self.colours.shape} "
                f"{self.colours.dtype}: give one for each point"
            )
        if self.up not in ("z", "-y"):
            raise ImageError(f"expected up to be z or -y, got {self.up!r}: choose one of them")

    @classmethod
    def of_cloud(cls, title: str, cloud: Cloud, caption: str = "") -> SceneView:
        """View the valid points of a cloud in the optical frame of its camera."""
        points = cloud.points()
        return cls(title, points.xyz, np.ascontiguousarray(points.rgb), caption=caption)

    def to_html(self, name: str) -> str:
        """The canvas, its data, and a sentence for browsers without WebGL."""
        data, text = self._data()
        if not data:
            return "<p>no points</p>"
        keys = "Drag or use the arrow keys to turn, the wheel or + and - to zoom."
        caption = " ".join(filter(None, (self.caption, text, keys)))
        return (
            f'<figure class="scene"><canvas data-scene="{name}" tabindex="0" role="img" '
            f'aria-label="{escape(self.title)}: {escape(caption)}"></canvas>'
            f"<p hidden>This browser cannot draw the 3-D view: it needs WebGL.</p>"
            f"<figcaption>{escape(caption)}</figcaption>"
            f'<script type="application/json" id="{name}">{json_text(data)}</script></figure>'
        )

    def _data(self) -> tuple[dict[str, object], str]:
        """What the script draws, and what was left out of it."""
        points = np.asarray(self.points, np.float64)
        colours = np.full(points.shape, _GREY, np.uint8) if self.colours is None else self.colours
        faces, text = self.faces, ""
        finite = np.asarray(np.isfinite(points).all(axis=1))
        if faces is not None and (len(faces) > MAX_FACES or not finite.all()):
            text = f"Only the points of {len(faces):,} triangles are shown."
            faces = None
        if faces is None:
            near = finite & _in_box(points, finite)  # the steps would be coarse with a few very far ones
            if (far := int(finite.sum() - near.sum())) > 0:
                text = f"{text} {far:,} far points are left out.".strip()
            points, colours = points[near], colours[near]
            step = -(-len(points) // MAX_POINTS)
            if step > 1:
                text = f"{len(points[::step]):,} of {len(points):,} points. {text}".strip()
                points, colours = points[::step], colours[::step]
        if not len(points):
            return {}, ""
        low, high = points.min(axis=0), points.max(axis=0)
        centre = np.median(points, axis=0)
        radius = float(np.percentile(np.linalg.norm(points - centre, axis=1), 90)) or 1.0
        steps = np.rint((points - low) / np.maximum(high - low, 1e-9) * _STEPS).astype("<u2")
        data: dict[str, object] = {
            "positions": _base64(steps),
            "colours": _base64(np.ascontiguousarray(colours)),
            "low": low.tolist(),
            "high": high.tolist(),
            "up": self.up,
            "centre": centre.tolist(),
            "radius": radius,
            "point": radius / 130,
        }
        if faces is not None:
            data["faces"] = _base64(np.ascontiguousarray(faces, "<u4"))
        return data, text


def _in_box(points: NDArray[np.float64], finite: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Points in the box of the 1st to the 99th percentile, widened by its size on each side."""
    if not finite.any():
        return finite
    low, high = np.percentile(points[finite], (1, 99), axis=0)
    size = np.maximum(high - low, 1e-6)
    with np.errstate(invalid="ignore"):
        return ((points >= low - size) & (points <= high + size)).all(axis=1)


def _base64(array: NDArray[np.generic]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
