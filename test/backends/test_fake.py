from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.backends import open_backend
from recon3d_ros.errors import ArtifactError, ConfigError, ContractError
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.registry import BUILT_IN

STEREO, MONO = BUILT_IN["fake_stereo"], BUILT_IN["fake_mono"]


def stereo_feed() -> dict[str, np.ndarray]:
    left = np.zeros((1, 3, 32, 64), np.float32)
    left[0] = np.array([0.9, 0.4, 0.1])[:, None, None]
    return {"left": left, "right": left[:, ::-1] * 0.5}


def test_auto_takes_it_when_there_is_no_file() -> None:
    assert open_backend("auto", STEREO).name == "fake"
    with pytest.raises(ArtifactError, match="its manifest lists none"):
        open_backend("onnxruntime", STEREO)


def test_a_manifest_that_forgot_its_file_is_not_faked_unasked(tmp_path: Path) -> None:
    forgetful = dataclasses.replace(STEREO, path=tmp_path / "mine.yaml")
    with pytest.raises(ArtifactError, match="its manifest lists none: add the file under artifacts"):
        open_backend("auto", forgetful)
    assert open_backend("fake", forgetful).name == "fake"


def test_unknown_backend() -> None:
    with pytest.raises(
        ConfigError,
        match="one of auto, onnxruntime, onnxruntime_cuda, openvino, tensorrt, fake, got 'tensorflow'",
    ):
        open_backend("tensorflow", STEREO)


def test_the_answer_is_the_documented_one() -> None:
    answer = open_backend("fake", STEREO).infer(stereo_feed())["disparity"]
    brightness = 0.5 * 0.9 + 0.3 * 0.4 + 0.2 * 0.1 + 0.15 * 0.05 + 0.1 * 0.2 + 0.05 * 0.45
    y = (np.arange(32) + 0.5) / 32
    expected = (0.02 + 0.08 * y) * (0.5 + brightness) * 64
    np.testing.assert_allclose(answer, np.broadcast_to(expected[:, None], (1, 1, 32, 64)), rtol=1e-5)


def test_swapped_images_and_colours_change_the_answer() -> None:
    backend = open_backend("fake", STEREO)
    feed = stereo_feed()
    answer = backend.infer(feed)["disparity"]
    swapped = backend.infer({"left": feed["right"], "right": feed["left"]})["disparity"]
    bgr = backend.infer({name: tensor[:, ::-1] for name, tensor in feed.items()})["disparity"]
    assert np.abs(swapped - answer).min() > 0.1 and np.abs(bgr - answer).min() > 0.1
    np.testing.assert_array_equal(backend.infer(feed)["disparity"], answer)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NHW", "HW"])
@pytest.mark.parametrize(("unit", "factor"), [("m", 1.0), ("cm", 100.0)])
def test_it_obeys_the_contract(layout: str, unit: str, factor: float) -> None:
    output = OutputContract("depth", unit, layout, scale=0.5, confidence="sure")
    contract = InputContract(("image",), layout="NHWC", color="bgr", mean=2.0, std=0.5, multiple_of=8)
    backend = open_backend("fake", dataclasses.replace(MONO, input=contract, output=output))
    image_value = 51.0  # of 255: 0.2
    answers = backend.infer({"image": np.full((1, 16, 24, 3), (image_value - 2.0) / 0.5, np.float32)})
    shape = {"NCHW": (1, 1, 16, 24), "NHWC": (1, 16, 24, 1), "NHW": (1, 16, 24), "HW": (16, 24)}[layout]
    assert answers["depth"].shape == answers["sure"].shape == shape
    y = (np.arange(16) + 0.5) / 16
    expected = (5 - 4 * y) * (0.5 + 0.2) * factor / 0.5
    np.testing.assert_allclose(answers["depth"].reshape(16, 24)[:, 7], expected, rtol=1e-5)


def test_wrong_tensors_are_refused_like_by_a_real_one() -> None:
    with pytest.raises(ContractError, match=r"expected the input 'image' as uint8 \[\?, 240, 320, 3\]"):
        open_backend("fake", MONO).infer({"image": np.zeros((1, 320, 240, 3), np.uint8)})
