"""Doubts about models that are described wrongly, whose answer is the truth, or the truth spoilt."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.evaluation.first_look import first_look, others_for, sample_for
from recon3d_ros.geometry import Sample
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Licence, Manifest

Spoil = Callable[[np.ndarray], np.ndarray]
NOISE = np.random.default_rng(0).uniform(1.0, 4.0, (480, 640))
UNIT = {
    "stereo_disparity": "px",
    "mono_metric_depth": "m",
    "mono_relative_inverse_depth": "relative_inverse_depth",
}


def manifest_of(task: str, **given: object) -> Manifest:
    names = ("l", "r") if task.startswith("stereo") else ("i",)
    contract = InputContract(names, multiple_of=1, **given)  # type: ignore[arg-type]
    return Manifest("m", task, contract, OutputContract("o", UNIT[task]), Licence("none"))


@pytest.fixture(scope="module")
def samples() -> dict[bool, Sample]:
    return {
        stereo: sample_for(manifest_of(task))
        for stereo, task in ((True, "stereo_disparity"), (False, "mono_metric_depth"))
    }


def looked(samples: dict[bool, Sample], task: str, spoil: Spoil, **given: object):  # type: ignore[no-untyped-def]
    """What is said of an estimator that answers the truth, spoilt."""
    manifest = manifest_of(task, **given)
    sample = samples[manifest.is_stereo]
    truth = sample.disparity if manifest.is_stereo else sample.depth
    assert truth is not None
    truth = np.where(np.isfinite(truth), truth, np.nan).astype(np.float32)
    if not manifest.is_metric:
        truth = 1 / truth
    answer = spoil(truth).astype(np.float32)
    estimator = SimpleNamespace(manifest=manifest, estimate_raw=lambda frame: answer)
    return first_look(estimator, sample)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", UNIT)
def test_the_truth_raises_no_doubt(samples, task: str) -> None:
    look = looked(samples, task, lambda truth: truth)
    assert look.doubts == () and look.likeness > 0.999
    assert look.picture.shape[1] == 3 * 640 and look.picture.dtype == np.uint8
    assert look.summary.startswith("100% valid") or "% valid" in look.summary


@pytest.mark.parametrize(
    ("task", "spoil", "told"),
    [
        ("mono_metric_depth", lambda t: 1 / t, "depth falls where it should rise"),
        ("mono_relative_inverse_depth", lambda t: 1 / t, "transform: inverse"),
        ("stereo_disparity", lambda t: 500 / (t + 1), "disparity falls where it should rise"),
        ("mono_metric_depth", lambda t: t[::-1], "upside down"),
        ("stereo_disparity", lambda t: t[:, ::-1], "mirrored"),
        ("mono_metric_depth", lambda t: t * 1000, "millimetres"),
        ("mono_metric_depth", lambda t: t * 100, "centimetres"),
        ("mono_metric_depth", lambda t: t / 20, "times the true ones"),
        ("stereo_disparity", lambda t: t / 640, "unit: width"),
        ("mono_metric_depth", lambda t: t * 0 + NOISE, "little to do with the picture"),
        ("stereo_disparity", lambda t: t * 0 + NOISE, "little to do with the picture"),
        ("mono_metric_depth", lambda t: np.full_like(t, np.nan), "nothing is valid"),
        ("mono_metric_depth", lambda t: np.full_like(t, 3.0), "same everywhere"),
    ],
)
def test_a_wrong_answer_is_told(samples, task: str, spoil: Spoil, told: str) -> None:
    doubts = looked(samples, task, spoil).doubts
    assert told in doubts[0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"scale": 1 / 255, "mean": [123.675, 116.28, 103.53]}, "above 1 beside a scale under 1"),
        ({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, "below 1 beside pixels of 0 to 255"),
    ],
)
def test_numbers_of_the_input_that_do_not_go_together(samples, given: dict, told: str) -> None:
    (doubt,) = looked(samples, "mono_metric_depth", lambda truth: truth, **given).doubts
    assert told in doubt


def test_a_network_that_is_described_rightly_finds_the_depth_of_the_picture() -> None:
    """A picture in which it does not would call every description wrong."""
    pytest.importorskip("onnxruntime")
    for name in ("recon3d_mono", "recon3d_stereo_light"):
        estimator = Estimator.open(ModelConfig(model=name))
        look = first_look(estimator, sample_for(estimator.manifest))
        estimator.close()
        assert look.likeness > 0.8 and look.doubts == ()


@pytest.mark.parametrize(
    ("spoil", "doubts"),
    [
        (lambda depth: depth, 0),
        (lambda depth: depth / depth.min(), 1),  # the nearest has 1: inverse depth over its maximum
        (lambda depth: depth / depth.max() * 10, 1),
        (lambda depth: np.minimum(depth, 0.6 * np.median(depth) + 1), 0),  # limited, each at another depth
        (lambda depth: np.clip(depth, 1.5, 3.0), 0),  # limited, all alike, in many pixels
    ],
)
def test_a_depth_that_is_normalised_in_every_image_is_no_metric_depth(
    samples, spoil: Spoil, doubts: int
) -> None:
    manifest = manifest_of("mono_metric_depth")
    rooms = [samples[False], *others_for(manifest)]
    answers = {}
    for room in rooms:
        depth = np.where(np.isfinite(room.depth), room.depth, np.nan)  # type: ignore[arg-type]
        answers[id(room.frame)] = spoil(np.where(np.isnan(depth), np.nanmax(depth), depth)).astype(np.float32)
    estimator = SimpleNamespace(manifest=manifest, estimate_raw=lambda frame: answers[id(frame)])
    look = first_look(estimator, rooms[0], rooms[1:])  # type: ignore[arg-type]
    assert sum("normalised for each image" in doubt for doubt in look.doubts) == doubts
    assert others_for(manifest_of("stereo_disparity")) == []
