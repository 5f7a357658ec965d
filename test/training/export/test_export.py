from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from recon3d_ros.backends import open_backend
from recon3d_ros.convert.graph import load
from recon3d_ros.errors import ArtifactError, BackendError, ConfigError, DataError, ModelError, OutputError
from recon3d_ros.model_zoo import registry
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.training.export import calibration
from recon3d_ros.training.export import export as exporting
from recon3d_ros.training.run.checkpoint import load_checkpoint, load_network, save_checkpoint
from recon3d_ros.training.run.state import resume_run, start_run

OUTPUTS = ("disparity", "confidence", "sigma_px")


def export(*args, **kwargs):
    """Without the scenes that calibrate: rendering them takes longer than all the rest."""
    return exporting.export(*args, **{"calibration_pairs": 0, **kwargs})


@pytest.fixture(autouse=True)
def small_pairs(monkeypatch):
    """Rendering takes longer than all the rest."""
    monkeypatch.setattr(exporting, "KNOWN_SIZES_WH", ((128, 96), (160, 64)))
    monkeypatch.setattr(calibration, "CALIBRATION_SIZE_WH", (128, 96))


@pytest.fixture
def checkpoint(make_config, tiny_network):
    """Weights that differ from their averages, and statistics that are not those of the start."""
    run = start_run(make_config(minutes=1000.0), tiny_network)
    for _ in range(3):
        run.advance(iter([[torch.rand(2, 3, 64, 96), torch.rand(2, 3, 64, 96), 40 * torch.rand(2, 64, 96)]]))
    run.history = [{"step": 3, "bad_px_1": 0.5, "bad_px_3": 0.25, "epe_px": 3.0}]
    run.save()
    return run.path


def test_model_is_complete_and_answers_as_torch(checkpoint, tmp_path):
    done = export(checkpoint, tmp_path / "models", name="mine")
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == [
        "mine.golden.npz",
        "mine.onnx",
        "mine.pt",
        "mine.yaml",
    ]
    assert done.largest < 1e-2 and done.share_apart == 0.0
    manifest = load_manifest(tmp_path / "models" / "mine.yaml")
    registry.verify(manifest)
    assert manifest.licence.weights == "Apache-2.0" and manifest.licence.sources
    assert manifest.accuracy[0].data == "world" and manifest.accuracy[0].metrics["bad_px_3"] == 0.25
    network, _ = load_network(checkpoint)
    backend = open_backend("onnxruntime", manifest)
    for shape_hw in ((64, 96), (32, 192), (160, 128)):
        feed = {
            name: np.random.default_rng(1).random((1, 3, *shape_hw), np.float32) for name in ("left", "right")
        }
        feed["right"] = np.roll(feed["right"], -8, axis=3)
        with torch.no_grad():
            expected = network(*(torch.from_numpy(feed[name]) for name in ("left", "right")))
        answers = backend.infer(feed)
        assert set(answers) == set(OUTPUTS)
        for name, values in zip(OUTPUTS, expected):
            assert answers[name].shape == (1, 1, *shape_hw)
            assert (np.abs(answers[name] - values.numpy()) > 1e-2).mean() < 1e-2  # weights in half precision


def test_graph_has_channels_by_16_where_the_checkpoint_has_not(checkpoint, tmp_path):
    pytest.importorskip("onnx", reason="reads the graph")
    export(checkpoint, tmp_path, name="mine")
    weights = load_checkpoint(tmp_path / "mine.pt")["average"]
    assert weights["hourglass.enter.0.0.weight"].shape[1] % 16
    graph = load(str(tmp_path / "mine.onnx")).graph
    sizes = {tensor.name: tensor.dims for tensor in graph.initializer}
    (first,) = (node for node in graph.node if node.name == "/hourglass/enter/enter.0/enter.0.0/Conv")
    assert sizes[first.input[1]][1] % 16 == 0


@pytest.mark.parametrize("name", [None, "mine"])
def test_model_that_is_there_stays_unless_forced(checkpoint, tmp_path, name):
    path = tmp_path / "models" / f"{name or 'recon3d_stereo'}.yaml"
    path.parent.mkdir()
    path.write_text("somebody's")
    with pytest.raises(ConfigError, match=r"another --name, or replace it with --force$"):
        export(checkpoint, path.parent, name=name)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_text() == "somebody's"
    assert export(checkpoint, path.parent, name=name, force=True).manifest.path == path
    registry.verify(load_manifest(path))


@pytest.mark.parametrize("name", ["", ".", "..", "a/c", "/a", "a\\c", "C:a", "a\n", "-a", "a\0"])
def test_name_that_no_file_can_have(tmp_path, name):
    with pytest.raises(ConfigError, match=r"^expected a name of .*choose another --name") as caught:
        exporting.name_model(tmp_path, name, "stereo")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mine", "my_stereo-v1.2", "Küche 2", "_"])
def test_name_that_a_file_can_have(tmp_path, name):
    assert exporting.name_model(tmp_path, name, "stereo") == name


def test_pairs_may_come_in_batches(checkpoint, tmp_path):
    backend = open_backend("onnxruntime", export(checkpoint, tmp_path / "models").manifest)
    pair = np.random.default_rng(2).random((2, 3, 3, 64, 96), np.float32)
    together = backend.infer({"left": pair[0], "right": pair[1]})
    for i in range(3):
        alone = backend.infer({"left": pair[0][i : i + 1], "right": pair[1][i : i + 1]})
        for name in OUTPUTS:
            np.testing.assert_allclose(together[name][i : i + 1], alone[name], atol=1e-2)


def test_export_calibrates_confidence_sigma_and_what_is_below_a_bin(checkpoint, tmp_path):
    plain, calibrated = (
        open_backend("onnxruntime", export(checkpoint, tmp_path / str(n), calibration_pairs=n).manifest)
        for n in (0, 1)
    )
    feed = {name: np.random.default_rng(3).random((1, 3, 64, 96), np.float32) for name in ("left", "right")}
    before, after = plain.infer(feed), calibrated.infer(feed)
    # A sine of at most 0.15 bins of 4 px; another surface may win where two are alike.
    assert (np.abs(before["disparity"] - after["disparity"]) < 0.6).mean() > 0.9
    for name in OUTPUTS:
        assert not np.allclose(before[name], after[name], atol=1e-3)


def test_weights_beside_the_model_give_it_again_and_start_a_run(
    checkpoint, make_config, tiny_network, tmp_path
):
    first = export(checkpoint, tmp_path / "models", name="mine").manifest
    weights = first.file_path("mine.pt")
    again = export(weights, tmp_path / "again", name="mine").manifest
    feed = {name: np.random.default_rng(3).random((1, 3, 64, 96), np.float32) for name in ("left", "right")}
    answers = [open_backend("onnxruntime", manifest).infer(feed) for manifest in (first, again)]
    # Half precision has 11 bits: all but a few pixels, where another bin wins, are the same to 1 %.
    apart = np.abs(answers[0]["disparity"] - answers[1]["disparity"])
    assert (apart > 0.01 * answers[0]["disparity"] + 0.05).mean() < 0.02
    assert str(tmp_path).encode() not in weights.read_bytes(), "places of this machine"
    stored = load_checkpoint(weights)["average"]
    assert {value.dtype for value in stored.values() if value.ndim in (2, 4)} == {torch.float16}
    run = start_run(make_config(out=str(tmp_path / "next"), init=str(weights)), tiny_network)
    for name, value in load_network(weights)[0].state_dict().items():
        torch.testing.assert_close(run.network.state_dict()[name], value)
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "checkpoint.pt").write_bytes(weights.read_bytes())
    with pytest.raises(ArtifactError, match=r"weights alone.*--from"):
        resume_run(make_config(out=str(tmp_path / "third")))


def test_several_checkpoints_become_their_mean(checkpoint, tmp_path):
    first = load_checkpoint(checkpoint)
    doubled = {name: 3 * value for name, value in first["average"].items()}
    other = tmp_path / "other.pt"
    save_checkpoint(other, first | {"average": doubled, "sources": [("my rooms", "secret")]})
    export(checkpoint, tmp_path / "models", name="mean", others=[other])
    mean = load_checkpoint(tmp_path / "models" / "mean.pt")
    for name, value in first["average"].items():
        torch.testing.assert_close(mean["average"][name].float(), 2.0 * value.float(), rtol=2e-3, atol=1e-4)
    manifest = load_manifest(tmp_path / "models" / "mean.yaml")
    assert {source.name for source in manifest.licence.sources} >= {"my rooms"}
    assert manifest.licence.weights == "as its sources allow" and not manifest.accuracy
    assert manifest.origin.startswith("mean of 2 runs, the first recon3d train --network stereo")
    foreign = tmp_path / "foreign.pt"
    save_checkpoint(foreign, first | {"config": first["config"] | {"bins": 9}})
    with pytest.raises(ArtifactError, match=r"expected the same network in .*foreign.pt, got another one"):
        export(checkpoint, tmp_path / "models", others=[foreign])


def test_golden_answer_is_what_the_model_says(checkpoint, tmp_path):
    manifest = export(checkpoint, tmp_path / "models").manifest
    with np.load(manifest.file_path(manifest.golden.file)) as golden:
        feed = {
            name: golden[name].astype(np.float32).transpose(2, 0, 1)[None] * np.float32(manifest.input.scale)
            for name in ("left", "right")
        }
        assert golden["left"].dtype == np.uint8 and golden["left"].std() > 5.0
        answer = open_backend("onnxruntime", manifest).infer(feed)["disparity"]
        np.testing.assert_array_equal(answer, golden["expected"])


def test_weights_stay_in_float_where_half_precision_changes_the_answer(checkpoint, tmp_path, monkeypatch):
    def refuse(manifest, backend):
        raise ModelError("off")

    half = export(checkpoint, tmp_path / "half", name="mine").manifest
    monkeypatch.setattr(exporting, "self_check", refuse)
    full = export(checkpoint, tmp_path / "full", name="mine").manifest
    registry.verify(full)
    sizes = [one.file_path("mine.onnx").stat().st_size for one in (half, full)]
    assert sizes[0] < 0.75 * sizes[1]


def test_graph_needs_no_operator_that_tensorrt_handles_badly(checkpoint, tmp_path):
    onnx = pytest.importorskip("onnx", reason="reads the graph")
    done = export(checkpoint, tmp_path / "models")
    graph = onnx.load(str(done.manifest.file_path("recon3d_stereo.onnx"))).graph
    operators = {node.op_type for node in graph.node}
    assert "Conv" in operators and "BatchNormalization" not in operators
    assert not operators & {
        "GridSample",
        "TopK",
        "GatherElements",
        "GatherND",
        "ScatterND",
        "NonZero",
        "Loop",
        "If",
    }
    assert all(len(w.dims) <= 4 for w in graph.initializer), "3-D convolution"


def test_graph_that_answers_otherwise_is_not_written(checkpoint, tmp_path, monkeypatch):
    real = exporting.write_onnx

    def other_network(network, manifest, example):
        from recon3d_ros.networks import build_network, network_config

        torch.manual_seed(1)
        return real(build_network("stereo", network_config(network)).eval(), manifest, example)

    monkeypatch.setattr(exporting, "write_onnx", other_network)
    with pytest.raises(BackendError, match="apart"):
        export(checkpoint, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_accuracy_of_an_evaluation_is_told(checkpoint, tmp_path):
    row = {"model": "recon3d_stereo", "precision": "fp32", "set": "kitti2012", "scene": "all", "pairs": 25}
    row |= {"bad_px_3": 17.123456, "epe_px": 2.0, "coverage": 100.0, "bad_px_1": None, "median_ms": 9.0}
    others = [{"model": "sgbm", "precision": None}, {"precision": "int8"}, {"scene": "kitti2012_000001"}]
    rows = [{**row, "bad_px_3": 90.0, **other} for other in others]
    (tmp_path / "eval.json").write_text(json.dumps({"rows": [*rows, row]}))
    done = export(checkpoint, tmp_path / "models", accuracy_file=tmp_path / "eval.json")
    told = load_manifest(done.manifest.path).accuracy
    assert [entry.data for entry in told] == ["world", "kitti2012"]
    assert told[1].metrics == {"bad_px_3": 0.1712, "epe_px": 2.0, "coverage": 1.0}


@pytest.mark.parametrize("text", ["", "[]", '{"rows": []}', '{"rows": [{"model": 3}]}', '{"sets": []}'])
def test_accuracy_file_that_tells_nothing(checkpoint, tmp_path, text):
    (tmp_path / "eval.json").write_text(text)
    with pytest.raises(DataError, match=r"recon3d evaluate|evaluate it") as caught:
        export(checkpoint, tmp_path / "models", accuracy_file=tmp_path / "eval.json")
    assert "\n" not in str(caught.value)


def test_folder_that_cannot_be_made(checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="models"):
        export(checkpoint, tmp_path / "file" / "models")


def test_run_without_validation_has_no_accuracy(checkpoint, tmp_path):
    content = load_checkpoint(checkpoint)
    content["history"] = []
    torch.save(content, checkpoint)
    assert export(checkpoint, tmp_path / "models").manifest.accuracy == ()
