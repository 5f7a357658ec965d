from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from recon3d_ros.errors import BackendError
from recon3d_ros.estimation.completion import ObjectCompleter
from recon3d_ros.estimation.objects import ObjectModel
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.training.export import shapes
from recon3d_ros.training.export.export import export
from recon3d_ros.training.run.state import start_run

SMALL = {
    "point_set": {"channels": (4, 8, 8, 8, 8), "latent": 16, "free": 64},
    "completion": {"point": (8, 16), "latent": 32, "coarse": 32, "kept": 32},
}
SIZES = {"point_set": (64, 64), "completion": (32, 32)}
# What TensorRT has without plugins.
KNOWN = set(
    "Add Cast Concat Constant ConstantOfShape Conv Equal Expand Flatten Gather Gemm Identity MatMul Mul "
    "ReduceMax Relu Reshape Resize Shape Slice Sub Transpose Unsqueeze Where".split()
)


@pytest.fixture(params=SMALL)
def checkpoint(request, make_config):
    width, height = SIZES[request.param]
    run = start_run(
        make_config(network=request.param, minutes=1000.0, width=width, height=height), SMALL[request.param]
    )
    run.save()
    return run.path


def test_a_network_of_shapes_becomes_a_model(checkpoint, tmp_path):
    done = export(checkpoint, tmp_path / "models", name="mine")
    manifest = load_manifest(tmp_path / "models" / "mine.yaml")
    assert done.largest < 1e-4 and manifest.gives_shape and "steps of" in manifest.origin
    graph = onnx.load(tmp_path / "models" / "mine.onnx").graph
    assert {node.op_type for node in graph.node} <= KNOWN
    view = shapes.known_views(manifest)[1]
    if manifest.takes_points:
        with ObjectCompleter.open(tmp_path / "models" / "mine.yaml") as model:
            points = model.unit_points(view)
    else:
        assert manifest.input.size_wh == (64, 64)
        with ObjectModel.open(tmp_path / "models" / "mine.yaml") as model:
            points = model.unit_points(view)
    assert points.shape == (manifest.shape_contract.count, 3) and np.isfinite(points).all()


def test_a_graph_that_answers_otherwise_is_refused(checkpoint, tmp_path, monkeypatch):
    compare = shapes.compare_shapes

    def other(network, manifest, known):
        with torch.no_grad():
            for weights in network.parameters():
                weights += 0.1
        return compare(network, manifest, known)

    monkeypatch.setattr("recon3d_ros.training.export.export.compare_shapes", other)
    with pytest.raises(BackendError, match="expected ONNX Runtime to answer as torch does"):
        export(checkpoint, tmp_path / "models", name="mine")
    assert not list((tmp_path / "models").glob("mine*"))
