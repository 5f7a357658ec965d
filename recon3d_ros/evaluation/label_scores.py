"""How well points are labelled: networks, a plane fit and a threshold of height on the same clouds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.estimation.point_labels import PointLabeller
from recon3d_ros.evaluation.label_sets import LabelledCloud
from recon3d_ros.evaluation.world_clouds import to_optical
from recon3d_ros.files.text_table import aligned
from recon3d_ros.geometry.labels import LABEL_NAMES, OBSTACLE_LABELS, PointLabel
from recon3d_ros.geometry.level import find_level
from recon3d_ros.metrics import label_confusion, label_ious

Found = dict[str, NDArray[np.uint8]]
#: (N,) uint8 labels of a cloud.
Method = Callable[[LabelledCloud], NDArray[np.uint8]]

# Of a costmap: edge of a cell, how far from the camera, and the band of heights that stops a robot, m.
CELL_M, REACH_M, HEIGHTS_M = 0.1, 5.0, (0.1, 2.0)
# Half width of a plane that is ground, and its growth with the range.
_BAND_M, _BAND_SHARE = 0.05, 0.02


def network(labeller: PointLabeller) -> Method:
    """What a network says."""
    return lambda cloud: labeller.label_points(cloud.points)[0]


def plane(cloud: LabelledCloud) -> NDArray[np.uint8]:
    """Ground is what lies near the plane of `find_level` (RANSAC), all else is an obstacle."""
    optical = to_optical(cloud.points, cloud.camera_height_m)
    level = find_level(optical)
    labels = np.full(len(optical), PointLabel.OBSTACLE, np.uint8)
    if level is not None:
        height = optical @ level[2, :3] + level[2, 3]
        band = _BAND_M + _BAND_SHARE * np.linalg.norm(optical, axis=1)
        labels[np.abs(height) < band] = PointLabel.GROUND
        labels[height > HEIGHTS_M[1]] = PointLabel.OVERHEAD
    return labels


def height(cloud: LabelledCloud) -> NDArray[np.uint8]:
    """Ground is what is lower than the lowest obstacle of a costmap layer, as Nav2's layers take it."""
    z = cloud.points[:, 2]
    labels = np.where(z < HEIGHTS_M[0], PointLabel.GROUND, PointLabel.OBSTACLE).astype(np.uint8)
    labels[z > HEIGHTS_M[1]] = PointLabel.OVERHEAD
    return labels


#: Name -> method, what networks are held against.
BASELINES: dict[str, Method] = {"plane (RANSAC)": plane, "height over ground": height}


@dataclass
class LabelScore:
    """Of one method on one set.

    Attributes:
        data: The set; method: the method.
        confusion: (7, 7) int64, see `metrics.label_confusion`.
        false_cells: Of each cloud, cells of a costmap with a mark although only ground is in them.
        missed_cells: Of each cloud, cells with obstacles in them and no mark.
        ground: Of each cloud, the intersection over union of ground; NaN without any.
    """

    data: str
    method: str
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((7, 7), np.int64))
    false_cells: list[int] = field(default_factory=list)
    missed_cells: list[int] = field(default_factory=list)
    ground: list[float] = field(default_factory=list)

    def add(self, cloud: LabelledCloud, found: NDArray[np.uint8]) -> None:
        """Count one cloud."""
        confusion = label_confusion(found, cloud.truth)
        self.confusion += confusion
        self.ground.append(float(label_ious(confusion)[PointLabel.GROUND]))
        false, missed = cells_apart(cloud, found)
        self.false_cells.append(false)
        self.missed_cells.append(missed)

    @property
    def obstacle_iou(self) -> float:
        """Of all kinds that stop a robot as one class."""
        stops = np.isin(np.arange(len(PointLabel)), OBSTACLE_LABELS)
        both = self.confusion[np.ix_(stops, stops)].sum()
        either = self.confusion[stops].sum() + self.confusion[:, stops].sum() - both
        return float(both / either) if either else float("nan")

    def to_row(self) -> dict[str, object]:
        """The score as plain values: fractions, and numbers of cells per cloud."""
        ious = label_ious(self.confusion)
        return {
            "set": self.data,
            "method": self.method,
            "clouds": len(self.ground),
            "ground_iou": float(ious[PointLabel.GROUND]),
            "ground_iou_mean": float(np.nanmean(self.ground)),
            "obstacles_iou": self.obstacle_iou,
            "iou": {name: float(iou) for name, iou in zip(LABEL_NAMES[1:], ious[1:])},
            "false_cells": float(np.mean(self.false_cells)),
            "missed_cells": float(np.mean(self.missed_cells)),
        }


def cells_apart(cloud: LabelledCloud, found: NDArray[np.uint8]) -> tuple[int, int]:
    """How many cells of a costmap near the camera are marked wrongly, and how many are missed.

    Marked is a cell with a point that is labelled as an obstacle; points that nobody knows the class of
    do not count. Missed is a cell without a mark where two points or more are obstacles between the heights.
    """
    x, y, z = cloud.points.T
    near = (np.hypot(x, y) < REACH_M) & (z < HEIGHTS_M[1]) & (cloud.truth != PointLabel.UNKNOWN)
    key = np.floor(x / CELL_M).astype(np.int64) * 100_000 + np.floor(y / CELL_M).astype(np.int64)
    marks = np.isin(found, OBSTACLE_LABELS)
    stops = np.isin(cloud.truth, OBSTACLE_LABELS)
    marked, real = np.unique(key[near & marks]), np.unique(key[near & stops])
    solid, counts = np.unique(key[near & stops & (z > HEIGHTS_M[0])], return_counts=True)
    false = np.setdiff1d(marked, real)
    return len(false), len(np.setdiff1d(solid[counts > 1], marked))


def score_labels(
    clouds: Iterable[LabelledCloud],
    methods: dict[str, Method],
    advance: Callable[[LabelledCloud, Found], object] = lambda cloud, found: None,
) -> list[LabelScore]:
    """Score every method on the same clouds.

    Args:
        clouds: Of one set or more.
        methods: By name.
        advance: Called after each cloud, with what each method said of it.
    """
    scores: dict[tuple[str, str], LabelScore] = {}
    for cloud in clouds:
        said = {name: method(cloud) for name, method in methods.items()}
        for name, found in said.items():
            scores.setdefault((cloud.data, name), LabelScore(cloud.data, name)).add(cloud, found)
        advance(cloud, said)
    return list(scores.values())


def to_text(scores: Sequence[LabelScore]) -> str:
    """A table: intersection over union in percent, cells of a costmap per cloud."""
    names = ("ground", "structure", "obstacle", "vegetation", "overhead", "moving")
    header = ("set", "method", "clouds", "ground", "mean ground", "obstacles", *names[1:], "false", "missed")
    lines: list[tuple[str, ...]] = [header]
    for score in scores:
        row, ious = score.to_row(), label_ious(score.confusion)
        each = [_percent(ious[LABEL_NAMES.index(name)]) for name in names[1:]]
        shares = [_percent(row[key]) for key in ("ground_iou", "ground_iou_mean", "obstacles_iou")]
        cells = [f"{row[key]:.1f}" for key in ("false_cells", "missed_cells")]
        lines.append((score.data, score.method, str(row["clouds"]), *shares, *each, *cells))
    return "\n".join(aligned(lines))


def _percent(share: object) -> str:
    value = float(share)  # type: ignore[arg-type]
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
