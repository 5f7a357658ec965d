"""Nothing serves before it has given the known answer."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.backends import open_backend
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError, ModelError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.model_zoo.manifest import Artifact, Golden, Manifest
from recon3d_ros.model_zoo.manifest_file import dump_manifest
from recon3d_ros.model_zoo.registry import BUILT_IN, list_models, sha256_of
from recon3d_ros.serving import GOLDEN_SHARES, off_share, self_check

SHIPPED = [
    (manifest, artifact.precision)
    for manifest in list_models()[0]
    if manifest.golden
    for artifact in manifest.artifacts
]


class FakeOf:
    """The fake backend under the name of a precision."""

    def __init__(self, manifest: Manifest, precision: str = "fp32") -> None:
        self._backend, self.precision = open_backend("fake", manifest), precision

    def __getattr__(self, name: str):
        return getattr(self._backend, name)


def with_golden(tmp_path: Path, **changed: np.ndarray) -> Manifest:
    """The fake stereo model with its own answer as the golden one; None leaves a key out."""
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 255, (2, 32, 64, 3), np.uint8)
    manifest = dataclasses.replace(BUILT_IN["fake_stereo"], path=tmp_path / "fake_stereo.yaml")
    feed = {n: np.float32(i.transpose(2, 0, 1)[None] / 255) for n, i in (("left", left), ("right", right))}
    content = {
        "left": left,
        "right": right,
        "expected": open_backend("fake", manifest).infer(feed)["disparity"],
    }
    content = {name: array for name, array in (content | changed).items() if array is not None}
    np.savez(tmp_path / "golden.npz", **content)
    return dataclasses.replace(manifest, golden=Golden("golden.npz", sha256_of(tmp_path / "golden.npz")))


def spoiled(manifest: Manifest, share: float) -> np.ndarray:
    """Its golden answer, so far off in this share of the rows that the model must not serve."""
    with np.load(manifest.file_path(manifest.golden.file)) as content:
        expected = content["expected"].copy()
    expected[..., : round(share * expected.shape[2]), :] += 9.0
    return expected


def test_the_known_answer_passes_and_models_without_one_too(tmp_path: Path) -> None:
    manifest = with_golden(tmp_path)
    self_check(manifest, FakeOf(manifest))
    self_check(BUILT_IN["fake_stereo"], FakeOf(manifest))


@pytest.mark.parametrize("precision", GOLDEN_SHARES)
def test_what_is_off_in_more_pixels_than_its_precision_excuses_does_not_serve(
    tmp_path: Path, precision: str
) -> None:
    good = with_golden(tmp_path)
    manifest = with_golden(tmp_path, expected=spoiled(good, 4 / 32))
    with pytest.raises(ModelError, match=rf"fake_stereo \({precision}\) in fake .* got 12.5 %"):
        self_check(manifest, FakeOf(manifest, precision))
    lenient = dataclasses.replace(manifest, golden=dataclasses.replace(manifest.golden, share=0.2))
    self_check(lenient, FakeOf(lenient, precision))


def test_int8_is_excused_more_than_fp32(tmp_path: Path) -> None:
    manifest = with_golden(tmp_path, expected=spoiled(with_golden(tmp_path), 2 / 32))
    self_check(manifest, FakeOf(manifest, "int8"))
    with pytest.raises(ModelError):
        self_check(manifest, FakeOf(manifest, "fp32"))


@pytest.mark.parametrize("changed", [{"right": None}, {"expected": None}])
def test_a_golden_file_that_lacks_something_is_one_sentence(tmp_path: Path, changed: dict) -> None:
    manifest = with_golden(tmp_path, **changed)
    with pytest.raises(ArtifactError, match=r"expected the images left, right and the output expected in"):
        self_check(manifest, FakeOf(manifest))


def npy_that_claims(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"1234"


def zip_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


DAMAGED = {
    "no zip": b"no npz",
    "an empty file": b"",
    "a cut zip": zip_of("left.npy", npy_that_claims("(1,)"))[:-30],
    "a zip with a damaged member": b"PK\x03\x04" + b"\xff" * 200,
    "a header that claims 300 GB": zip_of("left.npy", npy_that_claims("(75000000000,)")),
    "a negative shape": zip_of("left.npy", npy_that_claims("(-4, -1)")),
    "a header that is no literal": zip_of("left.npy", npy_that_claims("(((((")),
    "a zip bomb": zip_of("left.npy", bytes(300 << 20)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_golden_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    manifest = with_golden(tmp_path)
    (tmp_path / "golden.npz").write_bytes(content)
    with pytest.raises(ArtifactError, match="is not the file of model"):
        self_check(manifest, FakeOf(manifest))
    golden = dataclasses.replace(manifest.golden, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ArtifactError, match=r"golden.npz, got") as caught:
        self_check(dataclasses.replace(manifest, golden=golden), FakeOf(manifest))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"left": np.zeros(3, np.uint8)},
        {"left": np.zeros((32, 64, 2), np.uint8), "right": np.zeros((32, 64, 2), np.uint8)},
        {"left": np.zeros((0, 64), np.uint8), "right": np.zeros((0, 64), np.uint8)},
        {"left": np.zeros((32, 64, 3), np.float32)},
        {"expected": np.array(["a"])},
    ],
)
def test_golden_arrays_of_a_wrong_rank_or_type_are_one_sentence(tmp_path: Path, changed: dict) -> None:
    manifest = with_golden(tmp_path, **changed)
    with pytest.raises(ArtifactError, match=r"golden.npz, got: (left|images|expected)"):
        self_check(manifest, FakeOf(manifest))


def test_far_and_near_may_be_off_differently() -> None:
    expected = np.array([10.0, 10.0, 100.0, 100.0, 5.0])
    got = np.array([10.9, 11.1, 104.0, 106.0, np.nan])
    assert off_share(got, expected, least=1.0) == pytest.approx(3 / 5)
    assert off_share(got / 100, expected / 100, least=0.0) == pytest.approx(4 / 5)
    assert off_share(got[:4], expected, least=1.0) == 1.0


def test_an_artifact_that_answers_otherwise_does_not_open(tmp_path: Path) -> None:
    """The file is the one of the manifest and a sound model, but of another network."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    good = with_golden(tmp_path)
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    node = onnx.helper.make_node("Sub", ["left", "right"], ["both"])
    mean = onnx.helper.make_node("ReduceMean", ["both"], ["disparity"], axes=[1])
    inputs = [info(name, kind, ["n", 3, "h", "w"]) for name in ("left", "right")]
    graph = onnx.helper.make_graph([node, mean], "other", inputs, [info("disparity", kind, [None] * 4)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    content = model.SerializeToString()
    (tmp_path / "other.onnx").write_bytes(content)
    manifest = dataclasses.replace(
        good, name="other", artifacts=(Artifact("other.onnx", hashlib.sha256(content).hexdigest()),)
    )
    dump_manifest(manifest, tmp_path / "other.yaml")
    config = ModelConfig(model=str(tmp_path / "other.yaml"))
    with pytest.raises(
        ModelError, match=r"other \(fp32\) in onnxruntime does not reproduce its golden output"
    ):
        Estimator.open(config)
    estimator = Estimator.open(config, check=False)
    assert estimator.precision == "fp32" and estimator.batches
    estimator.close()


@pytest.mark.parametrize(("manifest", "precision"), SHIPPED, ids=lambda x: getattr(x, "name", x))
def test_shipped_models_give_their_golden_answer(manifest: Manifest, precision: str) -> None:
    pytest.importorskip("onnxruntime")
    backend = open_backend("auto", manifest, precision=precision)
    assert backend.precision == precision
    self_check(manifest, backend)
