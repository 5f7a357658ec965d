from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from recon3d_ros.errors import BackendError
from recon3d_ros.estimation.point_labels import PointLabeller
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.training.export import clouds
from recon3d_ros.training.export.export import export
from recon3d_ros.training.run.state import start_run

SMALL = {"rows": 16, "columns": 16, "members": 4, "point": 8, "cells": (8, 8, 8)}
# What TensorRT has without plugins.
KNOWN = set(
    "Add BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv Div Gather Gemm Identity Log "
    "MatMul Mul Pad Range ReduceMax Relu Reshape Resize Shape Slice Softmax Split Sqrt Squeeze Transpose "
    "Unsqueeze".split()
)


@pytest.fixture
def checkpoint(make_config):
    run = start_run(make_config(network="point_labels", minutes=1000.0, width=0, height=0), SMALL)
    run.save()
    return run.path


def test_a_network_of_points_becomes_a_model(checkpoint, tmp_path):
    done = export(checkpoint, tmp_path / "models", name="mine")
    manifest = load_manifest(tmp_path / "models" / "mine.yaml")
    assert done.largest < 1e-4 and manifest.labels_points and "steps of" in manifest.origin
    assert manifest.point_contracts[0].grid.rows == 16
    graph = onnx.load(tmp_path / "models" / "mine.onnx").graph
    assert {node.op_type for node in graph.node} <= KNOWN
    with PointLabeller.open(tmp_path / "models" / "mine.yaml") as labeller:
        labels, probability = labeller.label_points(clouds.known_clouds()[0])
    assert labels.shape == probability.shape == (len(labels),) and (probability > 0).all()


def test_a_graph_that_answers_otherwise_is_refused(checkpoint, tmp_path, monkeypatch):
    network_of = clouds.compare_clouds

    def other(network, manifest, known):
        with torch.no_grad():
            network.classify[-1].bias += torch.arange(6.0)
        return network_of(network, manifest, known)

    monkeypatch.setattr("recon3d_ros.training.export.export.compare_clouds", other)
    with pytest.raises(BackendError, match="expected ONNX Runtime to answer as torch does"):
        export(checkpoint, tmp_path / "models", name="mine")
    assert not list((tmp_path / "models").glob("mine*"))


def test_known_clouds_are_small_and_finite():
    golden, other = clouds.known_clouds()
    assert len(golden) <= clouds.GOLDEN_POINTS < len(other) <= 10 * clouds.GOLDEN_POINTS
    assert np.isfinite(golden).all() and golden.dtype == np.float32
