"""The network in `models/`: the file is the one the manifest names, and it sees depth."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros import world, zoo
from recon3d_ros.backends import open_backend
from recon3d_ros.config import ModelConfig
from recon3d_ros.estimator import Estimator
from recon3d_ros.metrics import disparity_metrics

pytest.importorskip("onnxruntime", reason="executes the model")


def test_golden_pair_gives_the_golden_answer():
    manifest = zoo.find_model("recon3d_stereo")
    zoo.verify(manifest)
    scale = np.float32(manifest.input.scale)
    with np.load(manifest.file_path(manifest.golden.file)) as golden:
        feed = {n: golden[n].astype(np.float32).transpose(2, 0, 1)[None] * scale for n in ("left", "right")}
        answer = open_backend("onnxruntime", manifest).infer(feed)["disparity"]
        expected = golden["expected"]
    assert answer.shape == expected.shape == (1, 1, *feed["left"].shape[2:])
    # Processors round differently, which may flip which of two equally likely surfaces a pixel belongs to.
    assert (np.abs(answer - expected) > 0.05).mean() < 1e-3


def test_held_out_scenes_are_seen_far_better_than_by_a_constant():
    estimator = Estimator.open(ModelConfig())
    ours, constant = [], []
    for seed in (800_001, 800_002, 800_003):  # training began at 1,000,000
        sample = world.training_sample(seed, (400, 240), 96.0)
        truth = sample.disparity
        answer = estimator.estimate(sample.frame).disparity
        assert answer.shape == truth.shape
        ours.append(disparity_metrics(answer, truth)["bad_px_3"])
        guess = np.full_like(truth, np.nanmedian(truth))
        constant.append(disparity_metrics(guess, truth)["bad_px_3"])
    assert np.mean(ours) < 0.3 and np.mean(ours) < 0.5 * np.mean(constant)
