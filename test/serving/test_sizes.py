"""OpenVINO is compared with ONNX Runtime at every size, and does not serve where it differs."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.backends.engine_store import EngineStore
from recon3d_ros.backends.openvino import OpenVinoBackend
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import BackendError
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.serving import known_feed, open_checked, sizes

pytest.importorskip("openvino")
CONFIG = ModelConfig(model="recon3d_stereo_light", backend="openvino")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def compared(monkeypatch) -> list[tuple[tuple[int, int], int]]:
    """Sizes and batches of every comparison."""
    found, keep = [], sizes.cross_check

    def check(manifest, backend, size_wh, threads=0, batch=1):
        found.append((size_wh, batch))
        keep(manifest, backend, size_wh, threads, batch)

    monkeypatch.setattr(sizes, "cross_check", check)
    return found


def test_a_size_is_compared_once_also_over_starts(compared) -> None:
    manifest = find_model(CONFIG.model)
    for _ in range(2):
        backend = open_checked(manifest, CONFIG)
        assert (backend.name, backend.precision) == ("openvino", "fp32")
        for size in ((96, 64), (64, 96), (96, 64)):
            assert backend.infer(known_feed(manifest, backend, size))["disparity"].shape[2:] == size[::-1]
        backend.close()
    assert compared == [((96, 64), 1), ((64, 96), 1)]
    assert [entry.verdict for entry in EngineStore().entries()] == ["passed"] * 3  # and the golden one


def test_a_batch_is_compared_as_one(compared) -> None:
    manifest = find_model(CONFIG.model)
    backend = open_checked(manifest, CONFIG)
    backend.infer(known_feed(manifest, backend, (96, 64), batch=2))
    assert compared == [((96, 64), 2)]


def test_where_it_differs_onnx_runtime_serves_at_once_and_at_the_next_start(monkeypatch, warned) -> None:
    manifest, keep = find_model(CONFIG.model), OpenVinoBackend.infer

    def infer(self, feed):
        answer = keep(self, feed)
        if feed["left"].shape[3] == 96:
            answer["disparity"] = answer["disparity"] * np.nan
        return answer

    monkeypatch.setattr(OpenVinoBackend, "infer", infer)
    feed = known_feed(manifest, open_checked(manifest, CONFIG), (96, 64))
    expected = open_checked(manifest, ModelConfig(model=CONFIG.model, backend="onnxruntime")).infer(feed)
    for _ in range(2):
        backend = open_checked(manifest, CONFIG, fall_back=True)
        np.testing.assert_array_equal(backend.infer(feed)["disparity"], expected["disparity"])
        assert backend.name == "onnxruntime"
    assert len(warned) == 2 and all("ONNX Runtime is used instead" in text for text in warned)
    with pytest.raises(BackendError, match=r"quarantine|differs from ONNX Runtime on images of 96x64"):
        open_checked(manifest, CONFIG).infer(feed)


def test_a_wrong_golden_output_opens_onnx_runtime(monkeypatch, warned) -> None:
    keep = OpenVinoBackend.infer
    monkeypatch.setattr(
        OpenVinoBackend, "infer", lambda self, feed: {n: 0 * v for n, v in keep(self, feed).items()}
    )
    backend = open_checked(find_model(CONFIG.model), CONFIG, fall_back=True)
    assert backend.name == "onnxruntime" and "golden output" in warned[0]
    (entry,) = EngineStore().entries()
    assert entry.quarantined
