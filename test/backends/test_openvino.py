"""OpenVINO answers as ONNX Runtime does, compiles once for each size, and trusts no file unread."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.backends import EngineOptions, open_backend, openvino
from recon3d_ros.backends.engine_store import EngineStore
from recon3d_ros.errors import ArtifactError, BackendError, ContractError
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.model_zoo.registry import find_model

pytest.importorskip("openvino")
WriteModel = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineStore:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return EngineStore()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Shapes of everything that is compiled from here on."""
    keys: list[tuple[str, ...]] = []
    keep = EngineStore.put

    def put(self, key, content, seconds):  # type: ignore[no-untyped-def]
        keys.append(key.shapes)
        keep(self, key, content, seconds)

    monkeypatch.setattr(EngineStore, "put", put)
    return keys


def pair(width: int, height: int, batch: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(width)
    left = np.kron(rng.random((batch, 3, height // 8, width // 8)), np.ones((8, 8))).astype(np.float32)
    return {"left": left, "right": np.roll(left, -5, axis=3)}


def test_the_answer_is_that_of_onnx_runtime_and_the_arrays_belong_to_the_caller(
    tiny_model: WriteModel,
) -> None:
    manifest = load_manifest(tiny_model())
    backend, other = (
        open_backend(name, manifest, engine=EngineOptions(arithmetic="f32"))
        for name in ("openvino", "onnxruntime")
    )
    assert (backend.inputs, backend.outputs) == (other.inputs, other.outputs)
    first = backend.infer(pair(24, 16))["answer"]
    kept = first.copy()
    backend.infer(pair(24, 16) | {"left": np.zeros((1, 3, 16, 24), np.float32)})
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_allclose(first, other.infer(pair(24, 16))["answer"], rtol=1e-5)
    with pytest.raises(ContractError, match="got float32 \\[1, 1, 16, 24\\]"):
        backend.infer(pair(24, 16) | {"right": np.ones((1, 1, 16, 24), np.float32)})
    backend.close()
    with pytest.raises(BackendError, match="model tiny is closed"):
        backend.infer(pair(24, 16))


def test_sizes_that_take_turns_are_compiled_once_and_the_next_start_reads_them(tiny_model, compiled) -> None:
    manifest = load_manifest(tiny_model())
    backend = open_backend("openvino", manifest, engine=EngineOptions(arithmetic="f32"))
    answers = [backend.infer(pair(width, 16))["answer"] for _ in range(3) for width in (24, 40, 56)]
    assert len(compiled) == 3
    again = open_backend("openvino", manifest, engine=EngineOptions(arithmetic="f32"))
    for width, expected in zip((24, 40, 56), answers):
        np.testing.assert_array_equal(again.infer(pair(width, 16))["answer"], expected)
    assert len(compiled) == 3


def test_more_sizes_than_are_kept_go_on_from_the_disk(tiny_model, compiled) -> None:
    backend = open_backend("openvino", load_manifest(tiny_model()))
    for width in (24, 32, 40, 48, 56, 24):
        assert backend.infer(pair(width, 16))["answer"].shape[-1] == width
    assert len(compiled) == 5


def test_the_precision_of_what_comes_from_the_cache_is_the_one_that_was_asked_for(compiled) -> None:
    """What OpenVINO exports does not say it: unasked, a processor with bf16 would compute in bf16."""
    manifest = find_model("recon3d_stereo_light")
    feed = pair(96, 64)
    exact = open_backend("onnxruntime", manifest).infer(feed)["disparity"]
    for _ in range(2):
        backend = open_backend("openvino", manifest, engine=EngineOptions(arithmetic="f32"))
        np.testing.assert_allclose(backend.infer(feed)["disparity"], exact, atol=2e-3)
    assert len(compiled) == 1
    fast = open_backend("openvino", manifest)
    assert fast.arithmetic in ("bf16", "f16", "f32")  # type: ignore[attr-defined]
    assert np.median(np.abs(fast.infer(feed)["disparity"] - exact)) < 0.2


def test_a_batch_is_what_its_frames_are_alone() -> None:
    backend = open_backend(
        "openvino", find_model("recon3d_stereo_light"), engine=EngineOptions(arithmetic="f32")
    )
    both = pair(96, 64, batch=2)
    together = backend.infer(both)["disparity"]
    assert together.shape == (2, 1, 64, 96)
    for i in range(2):
        alone = backend.infer({name: value[i : i + 1] for name, value in both.items()})["disparity"]
        np.testing.assert_allclose(together[i], alone[0], atol=2e-3)


def test_what_lies_damaged_in_the_cache_is_compiled_again(tiny_model, cache, compiled, warned) -> None:
    manifest = load_manifest(tiny_model())
    expected = open_backend("openvino", manifest).infer(pair(24, 16))["answer"]
    (entry,) = cache.entries()
    cache.path(entry.stem).write_bytes(b"x" * entry.size)
    np.testing.assert_array_equal(open_backend("openvino", manifest).infer(pair(24, 16))["answer"], expected)
    assert len(compiled) == 2 and "is damaged" in warned[0]


def test_what_openvino_itself_refuses_is_compiled_again(tiny_model, cache, compiled, warned) -> None:
    manifest = load_manifest(tiny_model())
    backend = open_backend("openvino", manifest)
    expected = backend.infer(pair(24, 16))["answer"]
    shapes = tuple(sorted((name, value.shape) for name, value in pair(24, 16).items()))
    cache.put(backend._key(shapes), b"a file with the right sum that is no model", 0.1)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(open_backend("openvino", manifest).infer(pair(24, 16))["answer"], expected)
    assert "compiled again" in warned[0] and len(cache.entries()) == 1


def test_what_failed_its_check_stays_in_quarantine(tiny_model) -> None:
    manifest = load_manifest(tiny_model())
    backend = open_backend("openvino", manifest)
    backend.infer(pair(24, 16))
    backend.record_check("10 % of the pixels off")  # type: ignore[attr-defined]
    with pytest.raises(BackendError, match=r"in quarantine .*10 % of the pixels.* recon3d engines prune"):
        open_backend("openvino", manifest).infer(pair(24, 16))
    open_backend("openvino", manifest).infer(pair(40, 16))  # of another size


def test_a_cache_that_cannot_be_written_costs_only_time(tiny_model, tmp_path, monkeypatch, warned) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert open_backend("openvino", load_manifest(tiny_model())).infer(pair(24, 16))["answer"].size
    assert "the engine is used" in warned[0]


def test_no_model_and_no_such_precision_are_told_in_one_sentence(tiny_model, monkeypatch) -> None:
    digest = hashlib.sha256(b"no model").hexdigest()
    path = tiny_model(edit=lambda manifest: manifest["artifacts"][0].update(sha256=digest))
    manifest = load_manifest(path)
    (path.parent / manifest.artifacts[0].file).write_bytes(b"no model")
    with pytest.raises(ArtifactError, match=r"OpenVINO cannot load .*: export the model again"):
        open_backend("openvino", manifest)
    with pytest.raises(ArtifactError, match="int8"):
        open_backend("openvino", manifest, precision="int8")
    with pytest.raises(BackendError, match="which this processor has, as openvino_precision, got f8"):
        open_backend("openvino", find_model("recon3d_mono"), engine=EngineOptions(arithmetic="f8"))


def test_threads_are_as_many_as_asked_for_and_sleep_between_two_frames() -> None:
    import resource
    import time

    backend = open_backend("openvino", find_model("recon3d_stereo_light"), threads=2)
    backend.infer(pair(96, 64))
    (request,) = backend._requests.values()  # type: ignore[attr-defined]
    assert request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 2
    time.sleep(0.3)  # what just ended may still be going to sleep
    before = resource.getrusage(resource.RUSAGE_SELF)
    time.sleep(0.5)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime - before.ru_utime < 0.1


def test_several_models_run_beside_each_other() -> None:
    manifest = find_model("recon3d_stereo_light")
    one, other = (open_backend("openvino", manifest, threads=1) for _ in range(2))
    expected = one.infer(pair(96, 64))["disparity"]
    other.infer(pair(64, 96))
    np.testing.assert_array_equal(one.infer(pair(96, 64))["disparity"], expected)
    one.close()
    np.testing.assert_array_equal(other.infer(pair(96, 64))["disparity"], expected)


def test_key_depends_on_all_that_matters(tiny_model, cache) -> None:
    manifest = load_manifest(tiny_model())
    for threads in (1, 2):
        open_backend("openvino", manifest, threads=threads).infer(pair(24, 16))
    open_backend("openvino", replace(manifest, name="other"), threads=1).infer(pair(24, 16))
    assert len(cache.entries()) == 3


def test_the_bytes_that_were_checked_are_loaded(tiny_model, monkeypatch) -> None:
    """Another file takes the name right behind the check."""
    manifest = load_manifest(tiny_model())
    path = manifest.file_path(manifest.artifact("auto").file)
    read = openvino.read_verified

    def swapped(*args):  # type: ignore[no-untyped-def]
        content = read(*args)
        path.write_bytes(b"another file")
        return content

    monkeypatch.setattr(openvino, "read_verified", swapped)
    backend = open_backend("openvino", manifest)
    assert backend.infer(pair(24, 16))["answer"].shape[2:] == (16, 24)
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match="expected sha256"):
        open_backend("openvino", manifest)


def test_a_loop_which_nobody_could_end_is_refused(tmp_path) -> None:
    pytest.importorskip("onnx")
    from test.endless_model import endless_model

    with pytest.raises(BackendError, match=r"a model without loops.*set backend to onnxruntime"):
        open_backend("openvino", load_manifest(endless_model(tmp_path)))
