"""Does confidence mean what it says, and does it rank pixels by their error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import DepthMap, Sample, StereoRig

# What confidence is the probability of: an error below it.
TRUSTED_PX = 3.0
BINS = 10
# Shares of the pixels that are taken away, the least trusted first.
REMOVED = np.linspace(0.0, 0.95, 20)
# Of one frame; more say nothing new and fill the memory.
_MOST_PIXELS = 100_000

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """Of one model on one data set.

    Attributes:
        pixels: That were looked at: answered, with a truth; at most 100,000 a frame, evenly taken.
        confidence: (10,) mean confidence of ten bins of equally many pixels, in rising order.
        trusted: (10,) share of the pixels of each bin with an error below 3 px.
        largest_gap: Largest distance of the two; None without confidence.
        oracle: (20,) mean error in px of what is left when the worst `REMOVED` are taken away.
        by_confidence: (20,) the same, when the least confident are; by_sigma: when those with the largest
            sigma are.
        ause_confidence: Area between that curve and the oracle's, both divided by the mean error of all
            (Ilg et al. 2018); ause_sigma: likewise. 0 is perfect.
        within_sigma: Share of pixels whose error is at most one sigma; 0.76 of a Laplace distribution.
    """

    data: str
    method: str
    precision: str | None
    pixels: int
    oracle: Values
    confidence: Values | None = None
    trusted: Values | None = None
    largest_gap: float | None = None
    by_confidence: Values | None = None
    ause_confidence: float | None = None
    by_sigma: Values | None = None
    ause_sigma: float | None = None
    within_sigma: float | None = None


@dataclass
class Collector:
    """Gathers errors, confidence and sigma of the frames of one set."""

    errors: list[Values] = field(default_factory=list)
    confidences: list[Values] = field(default_factory=list)
    sigmas: list[Values] = field(default_factory=list)

    def add(self, sample: Sample, depth_map: DepthMap) -> None:
        """Take the pixels of a frame that are answered and have a true disparity."""
        truth, got = sample.disparity, depth_map.disparity
        if truth is None or got is None or (depth_map.confidence is None and depth_map.sigma_m is None):
            return
        where = np.flatnonzero(np.isfinite(truth) & np.isfinite(got))
        where = where[:: max(1, -(-where.size // _MOST_PIXELS))]
        self.errors.append(np.abs(got.ravel()[where] - truth.ravel()[where]))
        if depth_map.confidence is not None:
            self.confidences.append(depth_map.confidence.ravel()[where])
        if depth_map.sigma_m is not None and sample.frame.rig is not None:
            self.sigmas.append(_sigma_px(depth_map, sample.frame.rig).ravel()[where])

    def result(self, data: str, method: str, precision: str | None) -> Calibration | None:
        """What was gathered; None when there was nothing."""
        if not sum(part.size for part in self.errors):
            return None
        errors = np.concatenate(self.errors)
        found: dict[str, Any] = {"oracle": sparsification(errors, -errors)}
        if self.confidences:
            confidence = np.concatenate(self.confidences)
            means, shares = calibration_bins(errors, confidence)
            curve = sparsification(errors, confidence)
            found |= {"confidence": means, "trusted": shares, "by_confidence": curve}
            found["largest_gap"] = float(np.abs(means - shares).max())
            found["ause_confidence"] = ause(curve, found["oracle"])
        if self.sigmas:
            sigma = np.concatenate(self.sigmas)
            curve = sparsification(errors, -np.nan_to_num(sigma, nan=np.inf))
            found |= {"by_sigma": curve, "ause_sigma": ause(curve, found["oracle"])}
            found["within_sigma"] = float(np.mean(errors <= sigma))
        return Calibration(data, method, precision, int(errors.size), **found)


def calibration_bins(errors: Values, confidence: Values) -> tuple[Values, Values]:
    """Mean confidence, and share of errors below `TRUSTED_PX`, of ten bins of equally many pixels.

    Args:
        errors: (N,) px.
        confidence: (N,) in [0, 1].

    Returns:
        (10,) each, in rising order of confidence; fewer when N is less than ten.
    """
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if part.size]
    means = [float(confidence[part].mean(dtype=np.float64)) for part in bins]
    shares = [float(np.mean(errors[part] < TRUSTED_PX)) for part in bins]
    return np.array(means, np.float32), np.array(shares, np.float32)


def sparsification(errors: Values, trust: Values) -> Values:
    """Mean error, px, of what is left when the least trusted `REMOVED` of the pixels are taken away.

    Args:
        errors: (N,) px.
        trust: (N,), higher is better, in any unit.

    Returns:
        (20,) px.
    """
    best_first = errors[np.argsort(-trust, kind="stable")].astype(np.float64)
    means = np.cumsum(best_first) / np.arange(1, best_first.size + 1)
    left = np.maximum(1, np.round((1 - REMOVED) * best_first.size)).astype(int)
    return means[left - 1].astype(np.float32)


def ause(curve: Values, oracle: Values) -> float:
    """Area between a sparsification curve and the oracle's, each divided by its first value; NaN for 0 px."""
    if not curve[0] > 0:
        return float("nan")
    gap = (curve - oracle) / curve[0]
    return float(np.sum((gap[1:] + gap[:-1]) / 2 * np.diff(REMOVED)))


def _sigma_px(depth_map: DepthMap, rig: StereoRig) -> Values:
    """Undo sigma_m = Z^2 / (fx B) sigma_px."""
    assert depth_map.sigma_m is not None
    with np.errstate(all="ignore"):
        sigma: Values = depth_map.sigma_m / depth_map.depth**2 * np.float32(rig.fx * rig.baseline_m)
    return sigma


def to_text(calibrations: list[Calibration]) -> str:
    """One line per set and model: gaps and areas, then confidence against truth of the ten bins, percent."""
    lines = [
        "calibration: confidence -> share with error < 3 px, in percent, ten bins of equally many pixels"
    ]
    for item in calibrations:
        title = f"{item.data}  {item.method} {item.precision or ''}".rstrip()
        facts = [f"{item.pixels} px"]
        if item.confidence is not None and item.trusted is not None:
            facts.append(f"largest gap {item.largest_gap:.3f}")
            facts.append(f"AUSE by confidence {item.ause_confidence:.3f}")
        if item.ause_sigma is not None:
            facts.append(
                f"AUSE by sigma {item.ause_sigma:.3f}, {100 * (item.within_sigma or 0):.0f} % within it"
            )
        lines.append(f"{title}: {', '.join(facts)}")
        if item.confidence is not None and item.trusted is not None:
            pairs = zip(100 * item.confidence, 100 * item.trusted)
            lines.append("  " + "  ".join(f"{mean:.0f}->{share:.0f}" for mean, share in pairs))
    return "\n".join(lines)


def to_dict(item: Calibration) -> dict[str, Any]:
    """Ready for JSON: the fields, `data` and `method` under the names `set` and `model`."""
    plain = {
        key: [round(float(v), 5) for v in value] if isinstance(value, np.ndarray) else value
        for key, value in vars(item).items()
    }
    head = {"model": plain.pop("method"), "precision": plain.pop("precision"), "set": plain.pop("data")}
    return {**head, **plain, "removed": [round(float(v), 3) for v in REMOVED]}
