"""What a model of which little is known answers to a rendered picture, and what of it looks wrong.

The picture's depth is known exactly. A network that was never trained on rendered scenes is not judged by how
accurate it is, only by what no network does that is described rightly: depth that falls where it should rise,
a mirrored answer, metres a hundred times too large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.evaluation.panels import in_colour, inverse_depth, titled
from recon3d_ros.files import colour_inverse_depth, colour_limits
from recon3d_ros.geometry import Sample
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.world import training_sample, view_sample

Plane = NDArray[np.float32]
_SIZE_WH = (640, 480)
# Rooms in which networks that are described rightly find the depth: rank correlation 0.8 and more.
_SEEDS = {True: 930_003, False: 930_002}
_MAX_DISPARITY_PX = 96.0
# Rank correlations with the truth that count, and how much more another orientation must have.
_OPPOSITE, _UNRELATED, _ALIKE, _MORE = -0.3, 0.3, 0.4, 0.25
_FAR_OFF = 8.0  # times the truth
# Ends that are the same in different rooms, and the share of pixels that have them where nothing limits them.
_SAME, _FEW = 0.003, 0.01


@dataclass(frozen=True)
class FirstLook:
    """One picture and what was seen.

    Attributes:
        picture: (H, W, 3) uint8 RGB: the image, what is true, what the model says.
        summary: One line of numbers.
        doubts: What looks wrong, a sentence each.
        likeness: Rank correlation of the answer with the truth, -1 to 1; NaN when it has none.
    """

    picture: NDArray[np.uint8]
    summary: str
    doubts: tuple[str, ...]
    likeness: float


def sample_for(manifest: Manifest) -> Sample:
    """The rendered pair, or picture, that a model is shown."""
    if manifest.is_stereo:
        return training_sample(_SEEDS[True], _SIZE_WH, _MAX_DISPARITY_PX)
    return view_sample(_SEEDS[False], _SIZE_WH)


def others_for(manifest: Manifest) -> list[Sample]:
    """More rooms for a metric model of one camera: what is the same in all of them was not seen in any."""
    if manifest.is_stereo or not manifest.is_metric:
        return []
    return [view_sample(_SEEDS[False] + number, _SIZE_WH) for number in (1, 2)]


def first_look(estimator: Estimator, sample: Sample, others: Sequence[Sample] = ()) -> FirstLook:
    """Show a model a picture.

    Args:
        estimator: The model.
        sample: The picture, of which the result tells.
        others: Further ones, see `others_for`.

    Raises:
        ContractError: its tensors are not what its manifest says.
        BackendError: it does not run.
    """
    manifest = estimator.manifest
    values = estimator.estimate_raw(sample.frame)
    truth, what = _truth(manifest, sample)
    known = np.isfinite(values) & np.isfinite(truth)
    likeness = _alike(values, truth)
    numbers = np.percentile(values[known], (1, 50, 99)) if known.any() else np.full(3, np.nan)
    summary = (
        f"{np.isfinite(values).mean():.0%} valid, {what} {' / '.join(f'{n:.3g}' for n in numbers)} "
        f"(1 / 50 / 99 %), rank correlation with the truth {likeness:.2f}"
    )
    doubts = [*_doubts_of_input(manifest.input), *_doubts(manifest, values, truth, likeness)]
    if others:
        answers = [values, *(estimator.estimate_raw(other.frame) for other in others)]
        doubts += _doubts_of_ends(answers)
    return FirstLook(_picture(sample, truth, values, manifest), summary, tuple(doubts), likeness)


def _truth(manifest: Manifest, sample: Sample) -> tuple[Plane, str]:
    if manifest.is_stereo:
        assert sample.disparity is not None  # the world knows it
        return sample.disparity, "disparity px"
    assert sample.depth is not None
    depth = np.where(np.isfinite(sample.depth), sample.depth, np.nan).astype(np.float32)
    return (depth, "depth m") if manifest.is_metric else ((1 / depth).astype(np.float32), "relative")


def _doubts_of_input(contract: InputContract) -> Iterator[str]:
    """Of numbers that do not go together, whatever the network."""
    if contract.scale < 0.1 and max(np.abs(contract.mean)) > 1.5:
        yield (
            f"input.mean {contract.mean[0]:g} is above 1 beside a scale under 1: mean and std follow the "
            "scale, write scale: 1, or divide them by 255"
        )
    if contract.scale >= 0.5 and contract.dtype != "uint8" and 0 < max(np.abs(contract.mean)) < 1:
        yield "input.mean is below 1 beside pixels of 0 to 255: write scale: 0.00392156862745098 (1/255)"


def _doubts(manifest: Manifest, values: Plane, truth: Plane, likeness: float) -> Iterator[str]:
    known = np.isfinite(values) & np.isfinite(truth)
    if known.mean() < 0.01:
        yield (
            "nothing is valid: a wrong sign (output.scale: -1), a wrong unit or offset, or an input that the "
            "network was not trained for"
        )
        return
    low, high = np.percentile(values[known], (2, 98))
    if high - low <= 1e-3 * abs(high):
        yield "the answer is the same everywhere: check input.scale, mean and std"
        return
    yield from _doubts_of_shape(manifest, values, truth, likeness)
    if manifest.is_metric:
        yield from _doubts_of_size(manifest, float(np.median(values[known] / np.maximum(truth[known], 1e-3))))


def _doubts_of_shape(manifest: Manifest, values: Plane, truth: Plane, likeness: float) -> Iterator[str]:
    turned = {
        "mirrored": values[:, ::-1],
        "upside down": values[::-1],
        "turned by 180 degrees": values[::-1, ::-1],
    }
    words, best = max(
        ((name, _alike(plane, truth)) for name, plane in turned.items()), key=lambda item: item[1]
    )
    # The inverse of a room looks upside down too: what explains it better counts.
    if best > _ALIKE and best > likeness + _MORE and best > -likeness:
        yield f"the answer looks {words}: check the axes (layout) and the order of the images"
    elif likeness < _OPPOSITE:
        yield {
            "stereo_disparity": "disparity falls where it should rise: a sign, depth in place of disparity, "
            "or left and right in the other order (input.names)",
            "mono_metric_depth": "depth falls where it should rise: inverse depth? write unit: inverse_m, or "
            "task: mono_relative_inverse_depth without metric scale",
            "mono_relative_inverse_depth": "it rises with depth, where inverse depth falls: write transform: "
            "inverse, or scale: -1",
        }[manifest.task]
    elif likeness < _UNRELATED:
        yield (
            f"the answer has little to do with the picture (rank correlation {likeness:.2f}, mostly above "
            "0.6 for networks that are described rightly): check input.color, scale, mean and std, the "
            "layout and the task, and try an image of your own"
        )


def _doubts_of_size(manifest: Manifest, ratio: float) -> Iterator[str]:
    """Of a median that is many times the true one, or a small part of it."""
    if 1 / _FAR_OFF < ratio < _FAR_OFF:
        return
    word = "disparities" if manifest.is_stereo else "metres"
    hint = "check output.unit and output.scale"
    if 300 < ratio < 3000 and not manifest.is_stereo:
        hint = "millimetres? write scale: 0.001"
    elif 30 < ratio < 300 and not manifest.is_stereo:
        hint = "centimetres? write unit: cm"
    elif ratio < 1 / 100 and manifest.is_stereo:
        hint = "shares of the width? write unit: width"
    yield f"the {word} are {ratio:.3g} times the true ones: {hint}"


def _doubts_of_ends(answers: Sequence[Plane]) -> Iterator[str]:
    """Of answers to different rooms that all begin or end at the same depth, which few pixels have.

    A network whose depth is limited ends there in many pixels.
    """
    for end, name in ((np.nanmin, "nearest"), (np.nanmax, "farthest")):
        found = np.array([end(plane) if np.isfinite(plane).any() else np.nan for plane in answers])
        if not np.isfinite(found).all() or np.ptp(found) > _SAME * np.abs(found).max():
            continue
        shares = [
            np.mean(np.abs(plane - value) <= _SAME * abs(value)) for plane, value in zip(answers, found)
        ]
        if max(shares) < _FEW:
            yield (
                f"the {name} depth of {len(answers)} different rooms is the same, {found[0]:.4g}: an output "
                "that is normalised for each image has no metric scale, write task: "
                "mono_relative_inverse_depth"
            )


def _alike(values: Plane, truth: Plane) -> float:
    """Spearman's rank correlation where both are finite; NaN for too few or equal values."""
    known = np.isfinite(values) & np.isfinite(truth)
    if known.sum() < 100:
        return float("nan")
    ranks = [np.argsort(np.argsort(plane[known], kind="stable"), kind="stable") for plane in (values, truth)]
    if np.ptp(values[known]) == 0:
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _picture(sample: Sample, truth: Plane, values: Plane, manifest: Manifest) -> NDArray[np.uint8]:
    tiles = [titled(f"{manifest.name}: the picture", in_colour(sample.frame.image))]
    metric_mono = manifest.is_metric and not manifest.is_stereo
    for title, plane in (("the truth", truth), ("the answer", values)):
        shown = inverse_depth(plane) if metric_mono else plane
        colours = colour_inverse_depth(shown, *colour_limits(shown))
        tiles.append(titled(f"{title}: near is red, far is blue, black is invalid", colours))
    return np.hstack(tiles)
