"""Which losses there are, and how a run weighs them; no torch here, so options are checked without it."""

from __future__ import annotations

import difflib
import math

from recon3d_ros.errors import ConfigError

_ROOM = "recon3d_ros.training.losses.terms:"
# name -> function of a `LossInput`, a scalar tensor; docs/training.md says what each is good for.
LOSSES = {
    name: _ROOM + name
    for name in (
        "cross_entropy",
        "smooth_l1",
        "mae",
        "mse",
        "log_l1",
        "scale_invariant_log",
        "gradient",
        "cosine",
        "normals",
        "edge_smoothness",
        "uncertainty",
        "thin",
        "out_of_range",
        "truncated_l1",
        "surface_choice",
        "distill",
        "features",
    )
}
LABELS_ONLY = ("label_cross_entropy", "label_jaccard")
LOSSES |= {name: "recon3d_ros.training.losses.label_input:" + name for name in LABELS_ONLY}
SHAPES_ONLY = ("chamfer", "coarse_chamfer", "earth_mover")
LOSSES |= {name: "recon3d_ros.training.losses.shape_input:" + name for name in SHAPES_ONLY}
# Those of `DepthLossInput` alone; `LABELS_ONLY` are those of `LabelLossInput`, which takes no other,
# and `SHAPES_ONLY` those of `ShapeLossInput`.
DEPTH_ONLY = ("normals", "distill", "features")
# Those of `DisparityLossInput` alone.
DISPARITY_ONLY = ("thin", "out_of_range", "truncated_l1", "surface_choice")
# By task. Smooth L1 on a soft-argmin alone stands still: it rewards the mean of a flat distribution.
DEFAULT_LOSSES = {
    "stereo": "cross_entropy=1,smooth_l1=0.2,uncertainty=0.2",
    "mono": "cross_entropy=0.5,log_l1=1,gradient=0.5,uncertainty=0.1",
    "points": "label_cross_entropy=1,label_jaccard=0.5",
    "point_set": "chamfer=1",
    "completion": "chamfer=1,coarse_chamfer=0.5",
}


def parse_losses(text: str) -> dict[str, float]:
    """Read `name=weight,name=weight`; a name alone weighs 1, what weighs 0 is left out.

    Raises:
        ConfigError: A name is unknown or twice there, a weight is no number >= 0, or nothing is left.
    """
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in LOSSES:
            near = difflib.get_close_matches(name, LOSSES, 1, cutoff=0.0)[0]
            raise ConfigError(
                f"expected losses out of {', '.join(LOSSES)}, got '{name}': did you mean '{near}'?"
            )
        if name in weights:
            raise ConfigError(f"expected each loss once, got '{name}' twice in '{text}': keep one of them")
        weights[name] = _weight(name, number if "=" in part else "1")
    weights = {name: weight for name, weight in weights.items() if weight > 0.0}
    if not weights:
        raise ConfigError(f"expected a loss that weighs more than 0, got '{text}': try mae=1")
    return weights


def _weight(name: str, number: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0.0 <= weight < math.inf:
        raise ConfigError(f"expected a weight >= 0 for the loss '{name}', got '{number}': write {name}=1")
    return weight
