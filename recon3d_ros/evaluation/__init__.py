"""Score models and baselines on data sets, with coverage and time beside every error."""

from __future__ import annotations

from recon3d_ros.evaluation.calibration import Calibration, Collector
from recon3d_ros.evaluation.report import to_rows, to_text
from recon3d_ros.evaluation.scoring import FrameScore, SetScore, evaluate, score
from recon3d_ros.evaluation.sgbm import SgbmEstimator

__all__ = [
    "Calibration",
    "Collector",
    "FrameScore",
    "SetScore",
    "SgbmEstimator",
    "evaluate",
    "score",
    "to_rows",
    "to_text",
]
