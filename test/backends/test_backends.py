"""The table of backends: what is in it can be chosen and opened."""

from __future__ import annotations

import pytest

from recon3d_ros.backends import BACKENDS, ENGINE_BACKENDS, device_of, open_backend
from recon3d_ros.backends.base import Backend
from recon3d_ros.config import ModelConfig, options
from recon3d_ros.errors import ConfigError
from recon3d_ros.model_zoo.registry import BUILT_IN
from recon3d_ros.system.lazy import load


def test_the_configuration_offers_every_backend():
    (choices,) = (spec.choices for spec in options(ModelConfig()) if spec.name == "backend")
    assert choices == ("auto", *BACKENDS)
    assert set(BACKENDS) >= ENGINE_BACKENDS and {device_of(name) for name in ENGINE_BACKENDS} == {"gpu"}


@pytest.mark.parametrize("name", BACKENDS)
def test_every_one_has_what_the_protocol_asks_for_and_its_own_name(name):
    backend = load(BACKENDS[name])  # without its library: that is asked for when a model is opened
    assert backend.name == name
    assert all(callable(getattr(backend, method)) for method in ("infer", "close"))


def test_only_built_in_models_are_faked():
    backend: Backend = open_backend("auto", BUILT_IN["fake_mono"])
    assert backend.name == "fake" and backend.inputs and backend.outputs
    backend.close()


def test_an_unknown_backend_is_one_sentence():
    with pytest.raises(
        ConfigError, match=r"auto, onnxruntime, onnxruntime_cuda, openvino, tensorrt, fake, got 'tflite'"
    ):
        open_backend("tflite", BUILT_IN["fake_mono"])
