"""What a change of the parameters costs the worker."""

from __future__ import annotations

import pytest

from recon3d_ros.config import ModelConfig, PipelineConfig, ScaleConfig
from recon3d_ros.estimation.point_labels import PointLabeller
from recon3d_ros.ros.node.processing import FrameProcessor


@pytest.fixture
def opened(monkeypatch):
    """The models that were opened to label points."""
    names, really = [], PointLabeller.open
    monkeypatch.setattr(PointLabeller, "open", lambda name: names.append(name) or really(name))
    return names


def test_a_change_of_a_filter_does_not_open_the_model_of_labels_again(opened):
    model, name = ModelConfig(model="fake_mono", backend="fake"), "recon3d_point_labels"
    cameras = [object(), object()]
    labelled, scale = PipelineConfig(point_labels=name), ScaleConfig()
    processor = FrameProcessor(model, labelled, scale, stereo=False, cameras=cameras)
    assert opened == [name, name]
    processor.prepare(PipelineConfig(point_labels=name, max_depth_m=7.0), scale)()
    assert opened == [name, name]
    processor.prepare(PipelineConfig(), scale)()
    processor.prepare(labelled, scale)()
    assert opened == 2 * [name, name]
    processor.close()
