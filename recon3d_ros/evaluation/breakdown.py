"""Where the errors are: disparity scored apart by width of the thing, brightness, disparity and occlusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.files import finite
from recon3d_ros.files.text_table import aligned
from recon3d_ros.geometry import DepthMap, Sample
from recon3d_ros.geometry.grey import to_grey
from recon3d_ros.geometry.left_right import seen_from_right

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]

# A prediction is an outlier when it is off by more than this, and confident from this confidence on.
OUTLIER_PX, CONFIDENT = 3.0, 0.5
# A thing is narrow when an opening a little wider along its row takes it away, and so much nearer than what
# is beside it.
WIDTHS_PX, NEARER_PX = (6, 12), 3.0
# A pixel is saturated (dark) when all pixels around it, in a square of this size, are at least (at most) so
# bright, of 255.
SURROUND_PX, SATURATED, DARK = 7, 250, 25
DISPARITIES_PX = (20, 40, 80, 160)
# Of the left columns that meet in one right pixel, those this much farther than the nearest are hidden by it.
HIDDEN_PX = 1.5


def by_width(sample: Sample, truth: Plane) -> dict[str, Mask]:
    """Pixels of narrow things, such as posts and branches, by their width along the row, and the others."""
    filled, wider = _with_background(truth), np.isfinite(truth)
    masks = {}
    for low, width in zip((1, *(width + 1 for width in WIDTHS_PX)), WIDTHS_PX):
        narrow = wider & (filled - _opened(filled, width + 1) > NEARER_PX)
        masks[f"{low} to {width} px"] = narrow
        wider = wider & ~narrow
    return {**masks, "wider": wider}


def by_brightness(sample: Sample, truth: Plane) -> dict[str, Mask]:
    """Pixels of the left image amid nothing but white, amid nothing but black, and the others."""
    grey = to_grey(sample.frame.image)
    surround = np.ones((SURROUND_PX, SURROUND_PX), np.uint8)
    saturated = np.asarray(cv2.erode(grey, surround)) >= SATURATED
    dark = np.asarray(cv2.dilate(grey, surround)) <= DARK
    return {"saturated": saturated, "dark": dark, "other": ~saturated & ~dark}


def by_disparity(sample: Sample, truth: Plane) -> dict[str, Mask]:
    """Pixels by their true disparity."""
    edges = (0, *DISPARITIES_PX, np.inf)
    labels = [f"{low} to {high} px" for low, high in zip(edges, DISPARITIES_PX)]
    labels += [f"{DISPARITIES_PX[-1]} px and more"]
    return {label: (truth >= low) & (truth < high) for label, low, high in zip(labels, edges, edges[1:])}


def by_visibility(sample: Sample, truth: Plane) -> dict[str, Mask]:
    """Pixels that both cameras see, those left of the right image, and those hidden there.

    What is hidden is found where the truth is dense; of a truth without occlusions, as KITTI's, little is.
    """
    width = truth.shape[1]
    known = np.isfinite(truth)
    column = np.arange(width, dtype=np.float32) - np.where(known, truth, 0.0)
    outside = known & (column < -0.5)
    rows, columns = np.nonzero(known & ~outside)
    nearest = seen_from_right(truth)
    meets = np.rint(column[rows, columns]).astype(np.intp).clip(0, width - 1)
    hidden = np.zeros_like(known)
    hidden[rows, columns] = truth[rows, columns] < nearest[rows, meets] - HIDDEN_PX
    return {
        "both cameras": known & ~outside & ~hidden,
        "outside": outside,
        "occluded": hidden,
    }


# name -> the masks of a sample and its true disparity, by label; together they cover what is known.
BREAKDOWNS: dict[str, Callable[[Sample, Plane], dict[str, Mask]]] = {
    "width": by_width,
    "brightness": by_brightness,
    "disparity": by_disparity,
    "visibility": by_visibility,
}


def _with_background(truth: Plane) -> Plane:
    """The truth with its gaps filled along the rows, each with its farther end, as KITTI's devkit does.

    A post hides what is left of it from the right camera, so truth without occlusions has a gap there.
    """
    height, width = truth.shape
    known, columns = np.isfinite(truth), np.arange(width)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    bordered = np.pad(truth, ((0, 0), (1, 1)), constant_values=np.inf)
    rows = np.arange(height)[:, None]
    filled = np.minimum(bordered[rows, before + 1], bordered[rows, after + 1])
    return np.where(np.isfinite(filled), filled, np.float32(0.0)).astype(np.float32)


def _opened(plane: Plane, length: int) -> Plane:
    """Greyscale opening along the rows; beyond the border is nothing that could be farther."""
    line = np.ones((1, length), np.uint8)
    low = cv2.erode(plane, line, borderType=cv2.BORDER_CONSTANT, borderValue=np.inf)
    # The reflected line: its anchor is off the centre where the length is even.
    anchor = (length - 1 - length // 2, 0)
    opened = cv2.dilate(low, line, anchor=anchor, borderType=cv2.BORDER_CONSTANT, borderValue=0.0)
    return np.asarray(opened, np.float32)


@dataclass
class _Count:
    """Pixels of one group: with a truth, with a prediction, and of these, wrong in one way or another."""

    pixels: int = 0
    predicted: int = 0
    outliers: int = 0
    confident_outliers: int = 0
    trusted_too_far: int = 0


@dataclass
class BreakdownCollector:
    """Counts errors by group over the frames of one set; pixels of all frames weigh the same.

    Attributes:
        names: Which of `BREAKDOWNS`.
        counts: By name and label.
        with_confidence: Whether the method has confidence.
    """

    names: Sequence[str]
    counts: dict[tuple[str, str], _Count] = field(default_factory=dict)
    with_confidence: bool = False

    def add(self, sample: Sample, prediction: DepthMap) -> None:
        """Count a frame; one without true or predicted disparity is left out."""
        truth, got = sample.disparity, prediction.disparity
        if truth is None or got is None:
            return
        self.with_confidence = prediction.confidence is not None
        known, predicted = np.isfinite(truth), np.isfinite(got)
        with np.errstate(invalid="ignore"):  # a missing prediction is an outlier
            outlier = known & ~(np.abs(got - truth) <= OUTLIER_PX)  # as in bad_px_3
            confident = np.zeros_like(known)
            if prediction.confidence is not None:
                confident = predicted & (prediction.confidence >= CONFIDENT)
            too_far = confident & outlier & (got < truth / 2)
        for name in self.names:
            for label, mask in BREAKDOWNS[name](sample, truth).items():
                group = mask & known
                count = self.counts.setdefault((name, label), _Count())
                count.pixels += int(group.sum())
                count.predicted += int((group & predicted).sum())
                count.outliers += int((group & outlier).sum())
                count.confident_outliers += int((group & outlier & confident).sum())
                count.trusted_too_far += int((group & too_far).sum())

    def rows(self, data: str, method: str, precision: str | None) -> list[dict[str, Any]]:
        """One dictionary per group that has pixels, ready for JSON; shares are percent of its pixels.

        `bad_px_3` counts a missing prediction as bad; `trusted_bad_px_3` are those that are wrong with a
        confidence of at least 0.5, `trusted_too_far` those of them at more than twice the true depth; both
        are None without confidence.
        """
        rows = []
        for (name, label), count in self.counts.items():
            everything = sum(other.pixels for key, other in self.counts.items() if key[0] == name)
            if not count.pixels:
                continue
            numbers = (count.outliers, count.predicted, count.confident_outliers, count.trusted_too_far)
            shares: list[float | None] = [100.0 * number / count.pixels for number in numbers]
            if not self.with_confidence:
                shares[2:] = [None, None]
            head = {"model": method, "precision": precision, "set": data, "by": name, "group": label}
            row = {**head, "pixels": count.pixels, "share": 100.0 * count.pixels / everything}
            keys = ("bad_px_3", "coverage", "trusted_bad_px_3", "trusted_too_far")
            rows.append({**row, **dict(zip(keys, shares))})
        result: list[dict[str, Any]] = finite(rows)
        return result


def to_text(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table, the methods of a group under one another."""
    order = list(dict.fromkeys((row["set"], row["by"], row["group"]) for row in rows))
    heads = ("data", "by", "group", "method", "precision", "share of pixels %", "bad_px_3 %", "coverage %")
    cells = [[*heads, f"and confidence >= {CONFIDENT} %", "and twice too far %"]]
    keys = ("share", "bad_px_3", "coverage", "trusted_bad_px_3", "trusted_too_far")
    for row in sorted(rows, key=lambda row: order.index((row["set"], row["by"], row["group"]))):
        shares = ["-" if row[key] is None else f"{row[key]:.2f}" for key in keys]
        cells.append([row["set"], row["by"], row["group"], row["model"], row["precision"] or "-", *shares])
    return "\n".join(aligned(cells, left=5))
