"""Real engines by tensorrt_rtx, whose parser and builder need no GPU; running them does."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from test.external_model import with_external_data

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed (make test TENSORRT=0)")

from recon3d_ros.backends.engine_build import build_engine
from recon3d_ros.backends.engine_child import build_in_child
from recon3d_ros.backends.engine_spec import engine_spec, profile_shapes
from recon3d_ros.backends.engine_store import EngineOptions, EngineStore
from recon3d_ros.backends.vendor import load_vendor
from recon3d_ros.errors import ArtifactError, BackendError, ContractError
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Artifact, Licence, Manifest
from recon3d_ros.model_zoo.manifest_file import dump_manifest, load_manifest
from recon3d_ros.model_zoo.registry import list_models
from recon3d_ros.system.progress import Progress

SHIPPED = [
    (manifest, a.precision)
    for manifest in list_models()[0]
    if manifest.gives_depth  # others are served by ONNX Runtime alone
    for a in manifest.artifacts
]
FASTDEPTH = {
    "fast_depth_224_fp32_nchw": (
        InputContract(names=("image",), scale=0.00392157, size_wh=(224, 224), fit="stretch"),
        OutputContract(name="depth", unit="m"),
    ),
    "fast_depth_224_qdq_uint8_nhwc": (
        InputContract(
            names=("serving_default_input_1:0",),
            layout="NHWC",
            dtype="uint8",
            size_wh=(224, 224),
            fit="stretch",
        ),
        OutputContract(
            name="StatefulPartitionedCall:0", layout="NHWC", dtype="uint8", unit="m", scale=0.0716998
        ),
    ),
}


def fastdepth(data_dir: Path, folder: Path, name: str) -> Manifest:
    content = (data_dir / "models" / f"{name}.onnx").read_bytes()
    (folder / f"{name}.onnx").write_bytes(content)
    inputs, output = FASTDEPTH[name]
    manifest = Manifest(
        name=name,
        task="mono_metric_depth",
        input=inputs,
        output=output,
        licence=Licence("MIT"),
        artifacts=(Artifact(f"{name}.onnx", hashlib.sha256(content).hexdigest()),),
        path=folder / f"{name}.yaml",
    )
    dump_manifest(manifest, folder / f"{name}.yaml")
    return manifest


class Steps(Progress):
    def __init__(self):
        self.all = []

    def update(self, stage, share=None):
        self.all.append((stage, share))


# One engine says that the way is right; the others, that the builder takes every file that is shipped.
QUICK = ("recon3d_stereo_light", "fp16")


@pytest.mark.parametrize(
    ("manifest", "precision"),
    [pytest.param(*one, marks=[] if (one[0].name, one[1]) == QUICK else pytest.mark.slow) for one in SHIPPED],
    ids=lambda x: getattr(x, "name", x),
)
@pytest.mark.timeout(600)
def test_shipped_models_are_built_and_found_again(manifest, precision, tmp_path, monkeypatch, warned):
    """By the child process and the cache; the builder compares inputs and outputs with the manifest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    steps = Steps()
    options = EngineOptions("tensorrt_rtx", ((640, 480), (320, 192)), progress=steps)
    spec = engine_spec(manifest, precision, options)
    store = EngineStore()
    content = spec.load_or_build(store, options)
    assert spec.load_or_build(store, options) == content and not warned
    (entry,) = store.entries()
    assert entry.build_seconds > 0 and entry.size == len(content) > 100_000
    assert entry.key["version"].startswith("1.") and entry.key["target"]["devices"]
    assert steps.all[0] == ("parsing", None) and steps.all[-1] == ("building", 1.0)
    shares = [share for stage, share in steps.all if stage == "building"]
    assert shares == sorted(shares) and len(set(shares)) > 5


def test_fastdepth_in_float_is_built(data_dir, tmp_path):
    manifest = fastdepth(data_dir, tmp_path, "fast_depth_224_fp32_nchw")
    profiles = profile_shapes(manifest, ())
    assert profiles == ({"image": (1, 3, 224, 224)},)
    vendor = load_vendor("tensorrt_rtx")
    assert len(build_engine(vendor, manifest, manifest.artifacts[0], profiles)) > 100_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_convert_makes_is_taken_too(tmp_path):
    """Half precision, and integers with every weighted node among them."""
    pytest.importorskip("onnx")
    from recon3d_ros.convert.half import to_fp16
    from recon3d_ros.convert.integer import to_int8

    shipped = next(m for m, precision in SHIPPED if precision == "fp32")
    source = shipped.file_path(shipped.artifact("fp32").file)
    rng = np.random.default_rng(0)
    frames = [{n: rng.random((1, 3, 96, 160), np.float32) for n in shipped.input.names}]
    to_fp16(source, tmp_path / "fp16.onnx")
    to_int8(source, tmp_path / "int8.onnx", frames, lambda file, count: 0.0, 0.0)
    sizes = {}
    for precision in ("fp16", "int8"):
        content = (tmp_path / f"{precision}.onnx").read_bytes()
        artifact = Artifact(f"{precision}.onnx", hashlib.sha256(content).hexdigest(), precision)
        made = dataclasses.replace(shipped, artifacts=(artifact,), path=tmp_path / "made.yaml")
        profiles = profile_shapes(made, ((160, 96),))
        engine = build_engine(load_vendor("tensorrt_rtx"), made, artifact, profiles)
        sizes[precision] = len(engine)
    assert min(sizes.values()) > 100_000


def test_fastdepth_in_uint8_is_refused_in_one_sentence(data_dir, tmp_path):
    manifest = fastdepth(data_dir, tmp_path, "fast_depth_224_qdq_uint8_nhwc")
    with pytest.raises(
        BackendError,
        match=r"^tensorrt_rtx 1\.\S+ does not support DequantizeLinear in node '\S+' of "
        r"fast_depth_224_qdq_uint8_nhwc \(fp32\) \(.*unsupported input type of UINT8\): "
        r"use another precision of the model \(recon3d convert\); "
        r"backend onnxruntime runs on the CPU meanwhile$",
    ):
        build_in_child("tensorrt_rtx", manifest, manifest.artifacts[0], profile_shapes(manifest, ()))


def tiny(folder: Path, content: bytes, output: str = "disparity", sha256: str = "") -> Manifest:
    (folder / "tiny.onnx").write_bytes(content)
    return Manifest(
        name="tiny",
        task="stereo_disparity",
        input=InputContract(names=("left", "right"), multiple_of=8),
        output=OutputContract(name=output, unit="px", channel=0),
        licence=Licence("MIT"),
        artifacts=(Artifact("tiny.onnx", sha256 or hashlib.sha256(content).hexdigest()),),
        path=folder / "tiny.yaml",
    )


def graph(*nodes: tuple[str, list[str], list[str]]) -> bytes:
    onnx = pytest.importorskip("onnx")
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    inputs = [info(name, kind, ["n", 3, "h", "w"]) for name in ("left", "right")]
    made = [onnx.helper.make_node(op, names, answers) for op, names, answers in nodes]
    outputs = [info("disparity", kind, ["n", 3, "h", "w"])]
    net = onnx.helper.make_graph(made, "tiny", inputs, outputs)
    return onnx.helper.make_model(
        net, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()


def build(manifest: Manifest) -> bytes:
    profiles = profile_shapes(manifest, ((64, 32),))
    return build_engine(load_vendor("tensorrt_rtx"), manifest, manifest.artifacts[0], profiles)


def test_a_network_that_takes_memory_while_it_runs_is_built_all_the_same(tmp_path, monkeypatch):
    """Its loops forbid an engine that can be captured as a CUDA graph, which is asked for first."""
    vendor, asked = load_vendor("tensorrt_rtx"), []
    capturable = int(vendor.module.BuilderFlag.REQUIRE_USER_ALLOCATION)
    real = vendor.module.Builder.build_serialized_network

    def build_unless_capturable(builder, network, config):
        asked.append(bool(config.flags >> capturable & 1))
        return None if asked[-1] else real(builder, network, config)

    monkeypatch.setattr(vendor.module.Builder, "build_serialized_network", build_unless_capturable)
    manifest = tiny(tmp_path, graph(("Sub", ["left", "right"], ["disparity"])))
    assert build(manifest) and asked == [True, False]


def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path):
    sound = graph(("Sub", ["left", "right"], ["disparity"]))
    assert build(tiny(tmp_path, sound))
    with pytest.raises(
        ContractError, match="the manifest names the output 'depth', but the file has 'disparity'"
    ):
        build(tiny(tmp_path, sound, output="depth"))
    with pytest.raises(ArtifactError, match="is not the file of model tiny"):
        build(tiny(tmp_path, sound, sha256="0" * 64))
    with pytest.raises(BackendError, match=r"cannot read tiny \(fp32\)"):
        build(tiny(tmp_path, b"\x08\x07 no onnx"))
    with pytest.raises(BackendError, match=r"does not support Unheard in node"):
        build(tiny(tmp_path, graph(("Unheard", ["left", "right"], ["disparity"]))))
    manifest = tiny(tmp_path, sound)
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"tiny.onnx, which does not exist"):
        build(manifest)


def test_an_engine_of_tensorrt_needs_the_gpu_it_runs_on(tmp_path, monkeypatch):
    from recon3d_ros.backends import engine_spec as module

    rtx = load_vendor("tensorrt_rtx")
    monkeypatch.setattr(module, "find_gpu", lambda: None)
    monkeypatch.setattr(module, "load_vendor", lambda flavour: dataclasses.replace(rtx, flavour="tensorrt"))
    with pytest.raises(BackendError, match="builds engines on the GPU that runs them: no NVIDIA GPU"):
        engine_spec(tiny(tmp_path, b""), "fp32", EngineOptions(sizes_wh=((64, 32),)))


def test_weights_in_another_file_are_found_beside_the_model(tmp_path):
    """The engine has them, and the file is checked where it is read: not only when the model is opened."""
    path = with_external_data(tmp_path)
    manifest = load_manifest(path)
    vendor = load_vendor("tensorrt_rtx")
    artifact, profiles = manifest.artifact(), profile_shapes(manifest, ((8, 8),))
    assert len(build_engine(vendor, manifest, artifact, profiles)) > 1000
    (tmp_path / "ext.data").write_bytes(b"\0" * 256)
    with pytest.raises(ArtifactError, match=r"ext\.data is not the file"):
        build_engine(vendor, manifest, artifact, profiles)
    spec = engine_spec(manifest, "auto", EngineOptions("tensorrt_rtx", ((8, 8),)))
    assert spec.key.onnx_sha256 == artifact.digest != artifact.sha256
