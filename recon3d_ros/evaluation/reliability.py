"""Does confidence mean what it says, and does it rank pixels by their error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.evaluation.scoring import DEPTH_RANGE_M, clip_depth
from recon3d_ros.geometry import DepthMap, Sample, StereoRig

BINS = 10
# Shares of the pixels that are taken away, the least certain first.
REMOVED = np.linspace(0.0, 0.95, 20)
# Of one frame; more say nothing new and fill the memory.
_MOST_PIXELS = 100_000

Values = NDArray[np.float32]


class ErrorKind(NamedTuple):
    """How errors are measured, and below which a prediction counts as right.

    Attributes:
        name: In JSON.
        threshold: Confidence is the probability of an error below it.
        limit: The same for people.
    """

    name: str
    threshold: float
    limit: str


# |d - d*| of disparity d, whose truth is d*.
DISPARITY_ERROR = ErrorKind("px", 3.0, "3 px")
# |z - z*| / z* of the depth z of one camera.
DEPTH_ERROR = ErrorKind("relative_depth", 0.25, "25 % of the depth")


@dataclass(frozen=True)
class Reliability:
    """Of one model on one data set.

    Attributes:
        pixels: That were scored: with a prediction and a truth; at most 100,000 a frame, evenly taken.
        error: Of which kind the errors are, and below which a pixel counts as right.
        confidence: (10,) mean confidence of ten bins of equally many pixels, in rising order.
        accuracy: (10,) share of the pixels of each bin with an error below the threshold.
        largest_gap: Largest distance of the two; None without confidence.
        oracle: (20,) mean error of what is left when the worst `REMOVED` are taken away.
        by_confidence: (20,) the same, when the least confident are; by_sigma: when those with the largest
            sigma are, of depth the largest sigma_m / z.
        ause_confidence: Area between that curve and the oracle's, both divided by the mean error of all
            (Ilg et al. 2018); ause_sigma: likewise. 0 is perfect.
        within_sigma: Share of pixels whose error is at most one sigma; 0.76 of a Laplace distribution.
    """

    data: str
    method: str
    precision: str | None
    pixels: int
    error: ErrorKind
    oracle: Values
    confidence: Values | None = None
    accuracy: Values | None = None
    largest_gap: float | None = None
    by_confidence: Values | None = None
    ause_confidence: float | None = None
    by_sigma: Values | None = None
    ause_sigma: float | None = None
    within_sigma: float | None = None


@dataclass
class ReliabilityCollector:
    """Gathers errors, confidence and sigma of the frames of one set, all errors of one kind."""

    error: ErrorKind
    errors: list[Values] = field(default_factory=list)
    confidences: list[Values] = field(default_factory=list)
    sigmas: list[Values] = field(default_factory=list)
    within: list[NDArray[np.bool_]] = field(default_factory=list)

    def add(self, sample: Sample, depth_map: DepthMap) -> None:
        """Take the pixels of a frame that have a prediction and a truth (depth: within the scored range)."""
        planes = (
            _disparities(sample, depth_map) if self.error is DISPARITY_ERROR else _depths(sample, depth_map)
        )
        if planes is None or (depth_map.confidence is None and depth_map.sigma_m is None):
            return
        truth, got, sigma = planes
        where = np.flatnonzero(np.isfinite(truth) & np.isfinite(got))
        where = where[:: max(1, -(-where.size // _MOST_PIXELS))]
        truth, got = truth.ravel()[where], got.ravel()[where]
        apart = np.abs(got - truth)
        in_depth = self.error is DEPTH_ERROR
        self.errors.append(apart / truth if in_depth else apart)
        if depth_map.confidence is not None:
            self.confidences.append(depth_map.confidence.ravel()[where])
        if sigma is not None:
            sigma = sigma.ravel()[where]
            self.sigmas.append(
                sigma / got if in_depth else sigma
            )  # ranks by the prediction, not by the truth
            self.within.append(apart <= sigma)

    def result(self, data: str, method: str, precision: str | None) -> Reliability | None:
        """What was gathered; None when there was nothing."""
        if not sum(part.size for part in self.errors):
            return None
        errors = np.concatenate(self.errors)
        found: dict[str, Any] = {"oracle": sparsification(errors, -errors)}
        if self.confidences:
            confidence = np.concatenate(self.confidences)
            means, shares = calibration_bins(errors, confidence, self.error.threshold)
            curve = sparsification(errors, confidence)
            found |= {"confidence": means, "accuracy": shares, "by_confidence": curve}
            found["largest_gap"] = float(np.abs(means - shares).max())
            found["ause_confidence"] = ause(curve, found["oracle"])
        if self.sigmas:
            sigma = np.concatenate(self.sigmas)
            curve = sparsification(errors, -np.nan_to_num(sigma, nan=np.inf))
            found |= {"by_sigma": curve, "ause_sigma": ause(curve, found["oracle"])}
            found["within_sigma"] = float(np.mean(np.concatenate(self.within)))
        return Reliability(data, method, precision, int(errors.size), self.error, **found)


def calibration_bins(errors: Values, confidence: Values, threshold: float) -> tuple[Values, Values]:
    """Mean confidence, and share of errors below the threshold, of ten bins of equally many pixels.

    Args:
        errors: (N,), of any kind.
        confidence: (N,) in [0, 1].
        threshold: In the unit of the errors.

    Returns:
        (10,) each, in rising order of confidence; fewer when N is less than ten.
    """
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if part.size]
    means = [float(confidence[part].mean(dtype=np.float64)) for part in bins]
    shares = [float(np.mean(errors[part] < threshold)) for part in bins]
    return np.array(means, np.float32), np.array(shares, np.float32)


def sparsification(errors: Values, certainty: Values) -> Values:
    """Mean error of what is left when the least certain `REMOVED` of the pixels are taken away.

    Args:
        errors: (N,), of any kind.
        certainty: (N,), higher is better, in any unit.

    Returns:
        (20,), in the unit of the errors.
    """
    best_first = errors[np.argsort(-certainty, kind="stable")].astype(np.float64)
    means = np.cumsum(best_first) / np.arange(1, best_first.size + 1)
    left = np.maximum(1, np.round((1 - REMOVED) * best_first.size)).astype(int)
    return means[left - 1].astype(np.float32)


def ause(curve: Values, oracle: Values) -> float:
    """Area between a sparsification curve and the oracle's, each divided by its first value; NaN for 0."""
    if not curve[0] > 0:
        return float("nan")
    gap = (curve - oracle) / curve[0]
    return float(np.sum((gap[1:] + gap[:-1]) / 2 * np.diff(REMOVED)))


def _disparities(sample: Sample, depth_map: DepthMap) -> tuple[Values, Values, Values | None] | None:
    """True and predicted disparity and its sigma, px; None where one of the first two is missing."""
    truth, got, sigma = sample.disparity, depth_map.disparity, None
    if truth is None or got is None:
        return None
    if depth_map.sigma_m is not None and sample.frame.rig is not None:
        sigma = _sigma_px(depth_map, sample.frame.rig)
    return truth, got, sigma


def _depths(sample: Sample, depth_map: DepthMap) -> tuple[Values, Values, Values | None] | None:
    """True and predicted depth and its sigma, m, within the range that is scored; None without truth."""
    if sample.depth is None:
        return None
    low, high = DEPTH_RANGE_M
    scored = (sample.depth >= low) & (sample.depth <= high)
    truth = np.where(scored, sample.depth, np.float32(np.nan))
    return truth, clip_depth(depth_map.depth), depth_map.sigma_m


def _sigma_px(depth_map: DepthMap, rig: StereoRig) -> Values:
    """Undo sigma_m = Z^2 / (fx B) sigma_px."""
    assert depth_map.sigma_m is not None
    with np.errstate(all="ignore"):
        sigma: Values = depth_map.sigma_m / depth_map.depth**2 * np.float32(rig.fx * rig.baseline_m)
    return sigma


def to_text(calibrations: list[Reliability]) -> str:
    """One line per set and model: gaps and areas, then confidence against truth of the ten bins, percent."""
    lines = []
    for kind in dict.fromkeys(item.error for item in calibrations):
        lines.append(
            f"calibration: confidence -> share with error < {kind.limit}, in percent, ten bins of equally "
            "many pixels"
        )
        for item in calibrations:
            if item.error is kind:
                lines += _lines(item)
    return "\n".join(lines)


def _lines(item: Reliability) -> list[str]:
    title = f"{item.data}  {item.method} {item.precision or ''}".rstrip()
    facts = [f"{item.pixels} px"]
    if item.confidence is not None and item.accuracy is not None:
        facts.append(f"largest gap {item.largest_gap:.3f}")
        facts.append(f"AUSE by confidence {item.ause_confidence:.3f}")
    if item.ause_sigma is not None:
        facts.append(f"AUSE by sigma {item.ause_sigma:.3f}, {100 * (item.within_sigma or 0):.0f} % within it")
    lines = [f"{title}: {', '.join(facts)}"]
    if item.confidence is not None and item.accuracy is not None:
        pairs = zip(100 * item.confidence, 100 * item.accuracy)
        lines.append("  " + "  ".join(f"{mean:.0f}->{share:.0f}" for mean, share in pairs))
    return lines


def to_dict(item: Reliability) -> dict[str, Any]:
    """Ready for JSON: the fields, `data`, `method` and `accuracy` as `set`, `model` and `trusted`."""
    plain = {
        key: [round(float(v), 5) for v in value] if isinstance(value, np.ndarray) else value
        for key, value in vars(item).items()
    }
    plain |= {"error": item.error.name, "threshold": item.error.threshold, "trusted": plain.pop("accuracy")}
    head = {"model": plain.pop("method"), "precision": plain.pop("precision"), "set": plain.pop("data")}
    return {**head, **plain, "removed": [round(float(v), 3) for v in REMOVED]}
