"""What was measured of a method on a set, as JSON and back, for who scores in other processes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from recon3d_ros.evaluation.reliability import DEPTH_ERROR, DISPARITY_ERROR, Reliability
from recon3d_ros.evaluation.scoring import FrameScore, SetScore
from recon3d_ros.evaluation.set_scores import SetScores

_KINDS = {kind.name: kind for kind in (DISPARITY_ERROR, DEPTH_ERROR)}


def to_record(scores: SetScores) -> dict[str, Any]:
    """Scores, reliability and groups with lists in place of arrays; `from_record` gives the same again."""
    reliability = None
    if scores.reliability is not None:
        reliability = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in vars(scores.reliability).items()
        }
        reliability["error"] = scores.reliability.error.name
    return {"score": asdict(scores.score), "reliability": reliability, "groups": scores.groups}


def from_record(record: Mapping[str, Any]) -> SetScores:
    """What `to_record` made, also when JSON turned NaN into None."""
    score = record["score"]
    frames = tuple(
        FrameScore(
            frame["name"],
            _number(frame["time_ms"]),
            {key: _number(value) for key, value in frame["metrics"].items()},
        )
        for frame in score["frames"]
    )
    found = record["reliability"]
    return SetScores(
        SetScore(**{**score, "frames": frames}),
        None if found is None else _reliability(found),
        record["groups"],
    )


def _reliability(found: Mapping[str, Any]) -> Reliability:
    values = dict(found)
    for item in fields(Reliability):
        if isinstance(values[item.name], list):
            values[item.name] = np.array([_number(value) for value in values[item.name]], np.float32)
    return Reliability(**{**values, "error": _KINDS[values["error"]]})


def _number(value: float | None) -> float:
    return math.nan if value is None else value
