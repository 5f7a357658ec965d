"""The backend that costs nothing."""

from __future__ import annotations

import numpy as np

from recon3d_ros.backends import BACKENDS
from recon3d_ros.config import ModelConfig
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.ros.bench.copying_backend import write_model


def test_its_output_changes_with_every_frame(tmp_path, monkeypatch):
    monkeypatch.setitem(BACKENDS, "fake", "recon3d_ros.ros.bench.copying_backend:CopyingBackend")
    path = write_model(tmp_path)
    assert load_manifest(path).is_stereo
    estimator = Estimator.open(ModelConfig(model=str(path), backend="fake"))
    rig = StereoRig.simple(50, 34, fx=40.0, baseline_m=0.1)
    image = np.random.default_rng(0).integers(0, 256, (34, 50, 3), np.uint8)
    frame = Frame(0, image, rig.left, image, rig)
    disparities = [estimator.estimate(frame).disparity for _ in range(2)]
    assert disparities[0].shape == (34, 50) and not np.array_equal(*disparities)
    np.testing.assert_array_equal(estimator._backend._copies["left"][0], image)
