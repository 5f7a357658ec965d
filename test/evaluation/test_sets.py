"""Which samples are scored, and what was done to them."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ConfigError, DataError
from recon3d_ros.evaluation.degradation import UNCHANGED, Degradation
from recon3d_ros.evaluation.sets import open_sets

NOISE = Degradation("noise", 10.0)


def test_every_zoom_with_every_degradation(data_dir):
    sets = open_sets("hololens[3:5],nyuv2[3:5]", data_dir, None, (1.0, 2.0), (UNCHANGED, NOISE))
    assert [one.name for one in sets] == [
        f"{data}[3:5]{change}"
        for data in ("hololens", "nyuv2")
        for change in ("", " noise 10", " x2", " x2 noise 10")
    ]
    assert [one.degradation for one in sets] == [UNCHANGED, NOISE] * 4 and {
        len(one.samples) for one in sets
    } == {2}
    plain, noise, close, both = (one.samples[0] for one in sets[:4])
    assert plain.name == "hololens_0003"
    assert noise.frame.camera == plain.frame.camera and close.frame.camera.fx > 1.9 * plain.frame.camera.fx
    np.testing.assert_array_equal(noise.depth, plain.depth)
    np.testing.assert_array_equal(both.depth, close.depth)
    for rough, smooth in ((noise, plain), (both, close)):
        apart = rough.frame.image.astype(float) - smooth.frame.image
        assert 7 < apart.std() < 10.1  # less than 10 where it is clipped
    again = open_sets("hololens[3:]", data_dir, 2, (1.0,), (NOISE,))[0].samples[0]
    np.testing.assert_array_equal(again.frame.image, noise.frame.image)


def test_groups_are_their_members_and_each_is_there_once(data_dir):
    names = [one.name for one in open_sets("middlebury,middlebury2003", data_dir)]
    assert names == ["middlebury2001", "middlebury2003", "middlebury2005"]


def test_no_names_and_no_such_frames_are_told(data_dir):
    with pytest.raises(ConfigError, match="name a data set"):
        open_sets(",", data_dir)
    with pytest.raises(DataError, match="hololens"):
        open_sets("hololens[80:]", data_dir)
