"""Masks of a network in the depth map; all else of it is in test_estimator.py."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.estimation.outputs import depth_map_of, values_of
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.contract_parts import Invalid
from recon3d_ros.model_zoo.manifest import Licence, Manifest
from recon3d_ros.preprocess import plan_fit

RIG = StereoRig.simple(7, 5, fx=50.0, baseline_m=0.2, doffs_px=1.0)
SKY = np.zeros((1, 1, 5, 7), np.float32)
SKY[..., :2, :] = 1.0


def frame(stereo: bool) -> Frame:
    image = np.zeros((5, 7, 3), np.uint8)
    return Frame(0, image, RIG.left, image, RIG) if stereo else Frame(0, image, RIG.left)


def manifest(task: str, unit: str, meaning: str) -> Manifest:
    names = ("l", "r") if task.startswith("stereo") else ("image",)
    output = OutputContract("out", unit, invalid=Invalid("sky", above=0.5, meaning=meaning))
    return Manifest("m", task, InputContract(names, multiple_of=1), output, Licence("none"))


@pytest.mark.parametrize(("meaning", "sky"), [("out_of_range", np.inf), ("unknown", np.nan)])
@pytest.mark.parametrize(("task", "unit"), [("mono_metric_depth", "m"), ("stereo_disparity", "px")])
def test_where_the_sky_is(task: str, unit: str, meaning: str, sky: float) -> None:
    model = manifest(task, unit, meaning)
    outputs = {"out": np.full((1, 1, 5, 7), 5.0, np.float32), "sky": SKY}
    found = depth_map_of(outputs, model, frame(model.is_stereo), plan_fit(model.input, (7, 5)))
    np.testing.assert_array_equal(found.depth[:2], np.float32(sky))
    np.testing.assert_allclose(found.depth[2:], 2.5 if model.is_stereo else 5.0)
    if found.disparity is not None:
        assert np.isnan(found.disparity[:2]).all() and (found.disparity[2:] == 5.0).all()


def test_the_sky_of_a_relative_model_is_no_number() -> None:
    model = manifest("mono_relative_inverse_depth", "relative_inverse_depth", "out_of_range")
    outputs = {"out": np.full((1, 1, 5, 7), 5.0, np.float32), "sky": SKY}
    values = values_of(outputs, model, frame(False), plan_fit(model.input, (7, 5)))
    assert np.isnan(values[:2]).all() and (values[2:] == 5.0).all()
