from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError, ConfigError, DataError, ManifestError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, PinholeCamera
from recon3d_ros.model_zoo.manifest import Golden
from recon3d_ros.model_zoo.manifest_file import dump_manifest
from recon3d_ros.model_zoo.registry import (
    BUILT_IN,
    at_input_scale,
    find_model,
    find_weights,
    list_models,
    read_verified,
    verify,
)
from test.external_model import with_external_data

YAML = """
name: {name}
task: mono_metric_depth
artifacts: [{{file: {name}.onnx, sha256: {sha256}}}]
input: {{names: [image], multiple_of: 8}}
output: {{name: depth, unit: m}}
licence: {{weights: MIT}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models whose files hold bytes that are no network: the zoo does not look inside."""
    for name in ("alpha", "beta"):
        (tmp_path / f"{name}.onnx").write_bytes(name.encode())
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        (tmp_path / f"{name}.yaml").write_text(YAML.format(name=name, sha256=sha256))
    return tmp_path


def test_lists_the_folder_then_the_built_in(folder: Path) -> None:
    assert [m.name for m in list_models(folder)[0]] == ["alpha", "beta", "fake_stereo", "fake_mono"]


def test_found_by_name_and_by_path(folder: Path) -> None:
    by_name = find_model("beta", str(folder))
    assert by_name == find_model(folder / "beta.yaml")
    assert by_name.file_path(by_name.artifact().file) == folder / "beta.onnx"
    verify(by_name)


@pytest.mark.parametrize(("name", "stereo"), [("fake_stereo", True), ("fake_mono", False)])
def test_built_in_models_need_no_file(tmp_path: Path, name: str, stereo: bool) -> None:
    manifest = find_model(name, tmp_path)
    assert manifest.is_stereo is stereo
    verify(manifest)
    with pytest.raises(ArtifactError, match="its manifest lists none"):
        manifest.artifact()


def test_unknown_name_gets_the_nearest(folder: Path) -> None:
    with pytest.raises(ManifestError, match=r"no model 'apha' in .*, the nearest name is alpha"):
        find_model("apha", folder)


def test_auto_is_the_light_model_on_a_cpu_as_soon_as_there_is_one(folder: Path) -> None:
    for name in ("recon3d_stereo", "recon3d_stereo_light"):
        (folder / f"{name}.yaml").write_text(YAML.format(name=name, sha256="a" * 64))
    assert find_model("auto", folder).name == "recon3d_stereo_light"
    assert find_model("auto", folder, device="gpu").name == "recon3d_stereo"
    (folder / "recon3d_stereo_light.yaml").unlink()
    assert find_model("auto", folder).name == "recon3d_stereo"


def test_auto_without_a_default_model(folder: Path) -> None:
    with pytest.raises(ManifestError, match="no model 'recon3d_stereo' in"):
        find_model("auto", folder)
    with pytest.raises(ManifestError, match="no model 'recon3d_mono' in"):
        find_model("auto", folder, stereo=False)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        list_models(tmp_path / "none")
    with pytest.raises(DataError, match="does not exist"):
        find_model("alpha", tmp_path / "none")


def test_wrong_sha256_names_both(folder: Path) -> None:
    (folder / "alpha.onnx").write_bytes(b"truncated")
    expected = hashlib.sha256(b"alpha").hexdigest()
    got = hashlib.sha256(b"truncated").hexdigest()
    with pytest.raises(ArtifactError, match=f"expected sha256 {expected}, got {got}"):
        verify(find_model("alpha", folder))


def test_missing_file(folder: Path) -> None:
    (folder / "alpha.onnx").unlink()
    manifest = find_model("alpha", folder)
    with pytest.raises(ArtifactError, match=r"model alpha needs the file .*alpha.onnx, which does not exist"):
        verify(manifest)


def test_golden_file_is_verified_too(folder: Path) -> None:
    text = YAML.format(name="alpha", sha256=hashlib.sha256(b"alpha").hexdigest())
    text += f"golden: {{file: alpha.npz, sha256: {'a' * 64}}}\n"
    (folder / "alpha.yaml").write_text(text)
    manifest = find_model("alpha", folder)
    assert manifest.golden == Golden("alpha.npz", "a" * 64)
    with pytest.raises(ArtifactError, match=r"alpha.npz, which does not exist"):
        verify(manifest)


def test_every_manifest_of_the_installation_holds() -> None:
    manifests, wrong = list_models()
    assert not wrong
    for manifest in manifests:
        verify(manifest)
        assert manifest.licence.weights


def test_weights_of_a_checkpoint_and_of_a_model(folder: Path) -> None:
    assert find_weights("out/checkpoint.pt") == Path("out/checkpoint.pt")
    assert find_weights(folder / "beta.yaml") == folder / "beta.pt"
    assert find_weights("recon3d_mono").is_file()
    with pytest.raises(ManifestError, match="nothing"):
        find_weights("nothing")


def test_weights_in_another_file_are_verified_and_served(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = with_external_data(tmp_path)
    manifest = find_model(path)
    verify(manifest)
    dump_manifest(manifest, path)
    assert find_model(path) == manifest
    with Estimator.open(ModelConfig(model=str(path), threads=1)) as estimator:
        frame = Frame(0, np.full((8, 8, 3), 3, np.uint8), PinholeCamera.simple(8, 8, 8.0))
        np.testing.assert_allclose(estimator.estimate(frame).depth, 4.0)


def test_weights_in_another_file_must_be_the_right_ones(tmp_path: Path) -> None:
    manifest = find_model(with_external_data(tmp_path))
    before = manifest.artifact().digest
    content = bytearray((tmp_path / "ext.data").read_bytes())
    content[0] ^= 1
    (tmp_path / "ext.data").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"ext.data is not the file of model ext: expected sha256"):
        verify(manifest)
    (tmp_path / "ext.data").unlink()
    with pytest.raises(ArtifactError, match=r"needs the file .*ext.data, which does not exist"):
        verify(manifest)
    artifact = manifest.artifact()
    other = replace(artifact, external=(replace(artifact.external[0], sha256="a" * 64),))
    assert other.digest != before != artifact.sha256


def test_weights_in_a_file_that_is_not_listed(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"list ext.data with its sha256 under artifacts\[\].external"):
        verify(find_model(with_external_data(tmp_path, listed=False)))


def test_the_bytes_that_were_checked_are_those_that_come(tmp_path):
    good, bad = b"good" * 1000, b"bad" * 1000
    manifest = replace(BUILT_IN["fake_mono"], path=tmp_path / "fake_mono.yaml")
    path, sha256 = tmp_path / "m.onnx", hashlib.sha256(good).hexdigest()
    path.write_bytes(bad)
    with pytest.raises(ArtifactError, match="expected sha256"):
        read_verified(manifest, "m.onnx", sha256)
    path.write_bytes(good)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for content in (bad, good):
                (tmp_path / "other").write_bytes(content)
                (tmp_path / "other").replace(path)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(300):
            try:
                assert read_verified(manifest, "m.onnx", sha256) == good
            except ArtifactError as exc:
                assert "expected sha256" in str(exc)
    finally:
        stop.set()
        swapper.join()


def test_a_model_of_any_input_size_sees_images_at_another_one() -> None:
    stereo, mono = find_model("recon3d_stereo_light"), find_model("recon3d_mono")
    assert at_input_scale(stereo, 1.0) is stereo and at_input_scale(mono, 1.0) is mono
    assert at_input_scale(at_input_scale(stereo, 1.5), 0.5).input.image_scale == 0.75
    with pytest.raises(
        ConfigError, match="expected input_scale 1 for recon3d_mono, whose input has one size"
    ):
        at_input_scale(mono, 1.5)
