"""Scores survive JSON."""

from __future__ import annotations

import json
import math

import numpy as np

from recon3d_ros.evaluation.records import from_record, to_record
from recon3d_ros.evaluation.reliability import DEPTH_ERROR, Reliability
from recon3d_ros.evaluation.scoring import FrameScore, SetScore
from recon3d_ros.evaluation.set_scores import SetScores
from recon3d_ros.files import finite


def test_what_json_gives_back_is_what_was_measured():
    frames = (FrameScore("one", 1.25, {"abs_rel": 0.1, "scale": math.nan}), FrameScore("two", 2.5, {}))
    thirds = np.linspace(0, 1, 4, dtype=np.float32) / np.float32(3)
    reliability = Reliability(
        "set", "model", None, 7, DEPTH_ERROR, thirds, confidence=thirds, largest_gap=0.1
    )
    groups = [{"set": "set", "precision": None, "share": 12.5}]
    scores = SetScores(SetScore("set", "model", frames, "fp16", is_stereo=False), reliability, groups)
    back = from_record(json.loads(json.dumps(finite(to_record(scores)))))
    assert repr(back.score) == repr(scores.score)  # NaN included
    assert back.groups == groups
    assert back.reliability.error is DEPTH_ERROR and back.reliability.accuracy is None
    np.testing.assert_array_equal(back.reliability.oracle, thirds)
    assert back.reliability.confidence.dtype == np.float32
    assert from_record(to_record(scores._replace(reliability=None))).reliability is None
