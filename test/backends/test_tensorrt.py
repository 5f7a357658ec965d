"""The TensorRT backend over stand-ins for vendor and device: engines are text, the rest is the real code."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recon3d_ros.backends import EngineOptions, open_backend
from recon3d_ros.backends.base import device_of_backend
from recon3d_ros.errors import BackendError, ContractError, MissingDependencyError
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

SIZES = ((64, 32), (96, 64))


def open_engine(fake_gpu, sizes=SIZES, precision="fp32", flavour="auto"):
    options = EngineOptions(flavour, sizes)
    return open_backend("tensorrt", fake_gpu.manifest, precision=precision, engine=options)


def feed(width: int, height: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(width)
    return {name: rng.random((1, 3, height, width), np.float32) for name in ("left", "right")}


def test_it_answers_every_size_it_was_built_for(fake_gpu):
    backend = open_engine(fake_gpu)
    reference = open_backend("onnxruntime", fake_gpu.manifest)
    assert (backend.name, backend.precision) == ("tensorrt", "fp32")
    for width, height in (*SIZES, *SIZES):
        images = feed(width, height)
        answer = backend.infer(images)["disparity"]
        assert answer.shape == (1, 1, height, width)
        np.testing.assert_allclose(answer, reference.infer(images)["disparity"], rtol=1e-5)
    kept = backend.infer(feed(64, 32))["disparity"]
    before = kept.copy()
    backend.infer({name: 1 - array for name, array in feed(64, 32).items()})
    np.testing.assert_array_equal(kept, before)  # the answer belongs to the caller
    backend.close()
    backend.close()
    assert backend.device.closed
    with pytest.raises(BackendError, match="closed"):
        backend.infer(feed(64, 32))


def test_another_size_names_the_option(fake_gpu):
    backend = open_engine(fake_gpu)
    with pytest.raises(ContractError, match=r"built for left 1x3x32x64.*engine_sizes"):
        backend.infer(feed(128, 64))
    with pytest.raises(ContractError, match="expected the input 'left'"):
        backend.infer({name: array.astype(np.int32) for name, array in feed(64, 32).items()})


def test_tensors_may_stay_on_the_device(fake_gpu):
    backend = open_engine(fake_gpu)
    assert device_of_backend(backend) is backend
    with pytest.raises(BackendError, match="bind them first"):
        backend.enqueue({}, 0)
    shape = (1, 3, 32, 64)
    bound = backend.bind({"left": shape, "right": shape})
    names = ("disparity", "confidence", "sigma_px")
    assert bound == {name: TensorSpec(name, "float32", (1, 1, 32, 64)) for name in names}
    arrays = {**feed(64, 32), **{name: np.zeros((1, 1, 32, 64), np.float32) for name in names}}
    backend.enqueue({name: array.ctypes.data for name, array in arrays.items()}, 7)
    np.testing.assert_array_equal(arrays["disparity"], backend.infer(feed(64, 32))["disparity"])


def test_the_second_start_builds_nothing_and_the_words_are_kept(fake_gpu):
    open_engine(fake_gpu).close()
    backend = open_engine(fake_gpu)
    assert len(fake_gpu.built) == 1
    backend.record_check("passed")
    (entry,) = fake_gpu.store.entries()
    assert entry.verdict == "passed" and entry.key["target"]["device"] == "Fake Orin"
    assert entry.key["shapes"] == ["left 1x3x32x64, right 1x3x32x64", "left 1x3x64x96, right 1x3x64x96"]


def replaced_engine(fake_gpu, content: bytes) -> None:
    """Another engine under the right name and description, as a bug of ours could leave it."""
    from recon3d_ros.backends.engine_spec import engine_spec

    spec = engine_spec(fake_gpu.manifest, "fp32", EngineOptions("auto", SIZES))
    fake_gpu.store.put(spec.key, content, 1.0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no engine", "is not a valid engine"),
        (json.dumps({"kind": "good", "profiles": [], "output": "depth"}).encode(), "names the output"),
    ],
    ids=["unreadable", "wrong outputs"],
)
def test_what_the_vendor_or_the_manifest_refuses_is_built_again(fake_gpu, content, reason, warned):
    replaced_engine(fake_gpu, content)
    backend = open_engine(fake_gpu)
    assert len(fake_gpu.built) == 1 and len(warned) == 1
    assert reason in warned[0] and warned[0].endswith("building it again")
    assert backend.infer(feed(64, 32))["disparity"].shape == (1, 1, 32, 64)


def test_a_gpu_that_fails_is_one_sentence(fake_gpu):
    backend = open_engine(fake_gpu)
    fake_gpu.module.dies = True
    with pytest.raises(BackendError, match=r"tensorrt 10.7.0 cannot run the engine: the GPU failed.*dmesg"):
        backend.infer(feed(64, 32))


def test_no_size_is_one_sentence(fake_gpu):
    with pytest.raises(ContractError, match=r"engine_sizes, such as 640x480"):
        open_engine(fake_gpu, sizes=())


def test_no_gpu_is_one_sentence_before_anything_is_built(fake_gpu, monkeypatch):
    for where in ("engine_spec", "tensorrt", "vendor"):
        monkeypatch.setattr(f"recon3d_ros.backends.{where}.find_gpu", lambda: None)
    with pytest.raises(BackendError, match=r"no NVIDIA GPU can be used here: see what nvidia-smi"):
        open_engine(fake_gpu)
    assert not fake_gpu.built


def test_an_old_tensorrt_is_one_sentence(fake_gpu):
    fake_gpu.module.__version__ = "8.6.1"
    with pytest.raises(MissingDependencyError, match=r"expected TensorRT 10 or newer, got 8.6.1.*JetPack 6"):
        open_engine(fake_gpu)
