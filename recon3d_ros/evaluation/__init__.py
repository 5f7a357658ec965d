"""Score models and baselines on data sets, with coverage and time beside every error."""

from __future__ import annotations

from recon3d_ros.evaluation.breakdown import BREAKDOWNS
from recon3d_ros.evaluation.degradation import Degradation
from recon3d_ros.evaluation.gallery import Gallery
from recon3d_ros.evaluation.noise import DENOISERS, DenoisingEstimator
from recon3d_ros.evaluation.reliability import DEPTH_ERROR, DISPARITY_ERROR, Reliability, ReliabilityCollector
from recon3d_ros.evaluation.report import to_rows, to_text
from recon3d_ros.evaluation.scoring import FrameScore, SetScore, evaluate, score
from recon3d_ros.evaluation.set_scores import SetScores, score_set
from recon3d_ros.evaluation.sets import EvaluationSet, open_sets
from recon3d_ros.evaluation.sgbm import SgbmEstimator
from recon3d_ros.evaluation.zoom import zoomed

__all__ = [
    "BREAKDOWNS",
    "DENOISERS",
    "DEPTH_ERROR",
    "DISPARITY_ERROR",
    "Degradation",
    "DenoisingEstimator",
    "EvaluationSet",
    "FrameScore",
    "Gallery",
    "Reliability",
    "ReliabilityCollector",
    "SetScore",
    "SetScores",
    "SgbmEstimator",
    "evaluate",
    "open_sets",
    "score",
    "score_set",
    "to_rows",
    "to_text",
    "zoomed",
]
