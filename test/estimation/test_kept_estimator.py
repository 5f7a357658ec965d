"""The last model stays open; another one takes its place."""

from __future__ import annotations

import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ManifestError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.estimation.kept_estimator import KeptEstimator


def test_the_last_one_is_kept_and_another_one_closes_it(monkeypatch):
    closed = []
    close = Estimator.close
    monkeypatch.setattr(Estimator, "close", lambda self: (closed.append(self.manifest.name), close(self)))
    stereo, mono = ModelConfig(model="fake_stereo"), ModelConfig(model="fake_mono")
    with KeptEstimator() as opener:
        first = opener(stereo, True)
        assert opener(stereo, True) is first and closed == []
        assert opener(mono, False).manifest.name == "fake_mono" and closed == ["fake_stereo"]
        with pytest.raises(ManifestError):
            opener(ModelConfig(model="none_such"), True)
        assert closed == ["fake_stereo", "fake_mono"]
        opener(stereo, True)
    assert closed == ["fake_stereo", "fake_mono", "fake_stereo"]
