"""The fastest engine that passes its check serves, else a safer one; nothing wrong is ever answered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError, BackendError, ConfigError, ModelError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.serving import interim_config, open_checked, wants_engine
from recon3d_ros.system.progress import Progress, progress_text

WIDTH, HEIGHT = 100, 60
RIG = StereoRig.simple(WIDTH, HEIGHT, fx=80.0, baseline_m=0.1)


def frame(width: int = WIDTH, height: int = HEIGHT) -> Frame:
    rng = np.random.default_rng(0)
    left = np.kron(rng.integers(0, 255, (height // 4, width // 4, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    rig = StereoRig.simple(width, height, fx=80.0, baseline_m=0.1)
    return Frame(0, left, rig.left, np.roll(left, -4, axis=1), rig)


class Steps(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, stage: str, share: float | None = None) -> None:
        self.texts.append(progress_text(stage, share))


def config(fake_gpu, **changed) -> ModelConfig:
    values = {"backend": "tensorrt", "model": fake_gpu.path, "engine_sizes": (f"{WIDTH}x{HEIGHT}",)}
    return ModelConfig(**{**values, **changed})


def precisions(fake_gpu) -> list[str]:
    return [precision for precision, _ in fake_gpu.built]


def test_auto_takes_the_half_precision_and_its_check_is_written_down(fake_gpu, warned):
    steps = Steps()
    estimator = Estimator.open(config(fake_gpu), fall_back=True, progress=steps)
    assert (estimator.backend_name, estimator.precision) == ("tensorrt", "fp16")
    assert steps.texts == ["building, 40 %", "checking"] and not warned
    assert [entry.verdict for entry in fake_gpu.store.entries()] == ["passed"]
    reference = Estimator.open(ModelConfig(model=fake_gpu.path, backend="onnxruntime"))
    np.testing.assert_allclose(
        estimator.estimate(frame()).depth, reference.estimate(frame()).depth, rtol=1e-4, equal_nan=True
    )
    estimator.close()


def test_what_answers_wrong_is_put_into_quarantine_and_the_next_safer_one_serves(fake_gpu, warned):
    fake_gpu.kinds = {"int8": "wrong", "fp16": "wrong"}
    estimator = Estimator.open(config(fake_gpu, precision="int8"), fall_back=True)
    assert estimator.precision == "fp32" and precisions(fake_gpu) == ["int8", "fp16", "fp32"]
    assert [w.rpartition("; ")[2] for w in warned] == ["trying fp16", "trying fp32"]
    assert "does not reproduce its golden output" in warned[0]
    verdicts = {entry.key["precision"]: entry.verdict for entry in fake_gpu.store.entries()}
    assert (
        verdicts["fp32"] == "passed" and "pixels off" in verdicts["int8"] and "pixels off" in verdicts["fp16"]
    )
    warned.clear()
    estimator = Estimator.open(config(fake_gpu, precision="int8"), fall_back=True)
    assert (
        estimator.precision == "fp32" and len(fake_gpu.built) == 3
    )  # no minutes for what is known to be wrong
    assert all("quarantine" in warning for warning in warned) and len(warned) == 2


def test_an_engine_that_is_wrong_only_at_the_size_of_the_images_does_not_serve(fake_gpu):
    network = fake_gpu.module.network

    def wrong_there(feed):
        answer = network(feed)
        height = feed["left"].shape[2]
        return {**answer, "disparity": answer["disparity"] + (30.0 if height == 64 else 0.0)}

    fake_gpu.module.network = wrong_there
    with pytest.raises(ModelError, match=r"differs from ONNX Runtime on images of 100x60.*got 100.0 %"):
        Estimator.open(config(fake_gpu))


def test_without_anyone_to_warn_nothing_else_serves_in_its_place(fake_gpu):
    fake_gpu.kinds = {"fp16": "wrong"}
    with pytest.raises(ModelError, match=r"net \(fp16\) in tensorrt does not reproduce"):
        Estimator.open(config(fake_gpu))
    assert precisions(fake_gpu) == ["fp16"]


def test_a_build_that_fails_leaves_the_next_one(fake_gpu, warned):
    fake_gpu.kinds = {"fp16": BackendError("takes no DequantizeLinear")}
    estimator = Estimator.open(config(fake_gpu), fall_back=True)
    assert estimator.precision == "fp32" and warned == ["takes no DequantizeLinear; trying fp32"]


def test_when_all_fail_the_last_reason_is_told(fake_gpu):
    fake_gpu.kinds = {"fp16": BackendError("first"), "fp32": BackendError("last")}
    with pytest.raises(BackendError, match="last"):
        Estimator.open(config(fake_gpu), fall_back=True)
    with pytest.raises(ArtifactError, match="fp16"):
        only_fp32 = dataclasses.replace(fake_gpu.manifest, artifacts=fake_gpu.manifest.artifacts[:1])
        open_checked(only_fp32, config(fake_gpu, precision="fp16"))


def test_a_gpu_that_dies_costs_no_frame(fake_gpu, warned):
    estimator = Estimator.open(config(fake_gpu), fall_back=True)
    before = estimator.estimate(frame())
    assert estimator.backend_name == "tensorrt"
    fake_gpu.module.dies = True
    after = estimator.estimate(frame())
    assert (estimator.backend_name, estimator.precision) == ("onnxruntime", "fp32")
    np.testing.assert_allclose(after.depth, before.depth, rtol=1e-4, equal_nan=True)
    estimator.estimate(frame())
    assert len(warned) == 1 and warned[0].endswith("; ONNX Runtime is used instead")
    assert "the GPU failed" in warned[0]
    estimator.close()


def test_images_of_another_size_are_answered_by_the_spare_and_the_engine_goes_on(fake_gpu, warned):
    estimator = Estimator.open(config(fake_gpu), fall_back=True)
    assert estimator.estimate(frame(200, 120)).depth.shape == (120, 200)
    assert estimator.backend_name == "onnxruntime" and "engine_sizes" in warned[0]
    estimator.estimate(frame(200, 120))
    estimator.estimate(frame())
    assert estimator.backend_name == "tensorrt" and len(warned) == 1
    estimator.close()


def test_auto_means_an_engine_where_everything_is_there(fake_gpu, monkeypatch):
    auto = ModelConfig(model=fake_gpu.path)
    assert wants_engine(auto) and interim_config(auto) == dataclasses.replace(auto, backend="onnxruntime")
    assert Estimator.open(auto).backend_name == "onnxruntime"  # no size is known
    assert Estimator.open(dataclasses.replace(auto, engine_sizes=("100x60",))).backend_name == "tensorrt"
    assert not wants_engine(ModelConfig(model="fake_stereo"))
    onnx = dataclasses.replace(auto, backend="onnxruntime")
    assert interim_config(onnx) is onnx
    monkeypatch.setattr("recon3d_ros.serving.opening.find_gpu", lambda: None)
    assert not wants_engine(auto) and interim_config(auto) is auto
    assert wants_engine(config(fake_gpu))  # who names it is told what is missing


def test_auto_is_the_engine_s_model_interim_config(fake_gpu):
    first = interim_config(ModelConfig(backend="tensorrt", precision="int8"))
    assert (first.model, first.backend, first.precision) == ("recon3d_stereo", "onnxruntime", "auto")


@pytest.mark.parametrize("size", ["640", "640x", "0x480", "640x480x3", "-1x3"])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(ConfigError, match="640x480"):
        ModelConfig(engine_sizes=(size,))


def test_a_gpu_that_dies_with_tensors_on_it_is_offered_no_more(fake_gpu, warned):
    from recon3d_ros.backends.base import device_of_backend

    backend = open_checked(fake_gpu.manifest, config(fake_gpu), fall_back=True)
    guarded = device_of_backend(backend)
    assert guarded is not None
    device, shape = guarded.device, (1, 3, 64, 128)
    assert guarded.bind({"left": shape, "right": shape})["disparity"].shape == (1, 1, 64, 128)
    fake_gpu.module.dies = True
    with pytest.raises(BackendError, match="the GPU failed"):
        guarded.enqueue({}, 7)
    assert device_of_backend(backend) is None and not device.closed  # it may be in use where this was raised
    feed = {name: np.zeros(shape, np.float32) for name in ("left", "right")}
    assert backend.infer(feed)["disparity"].shape == (1, 1, 64, 128)
    assert device.closed and backend.name == "onnxruntime" and len(warned) == 1
    backend.close()
