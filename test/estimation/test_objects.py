from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros import world
from recon3d_ros.errors import DataError
from recon3d_ros.estimation.objects import SeenObject
from recon3d_ros.geometry.object_in_view import box_of
from recon3d_ros.geometry.unit_frame import ObjectView
from recon3d_ros.metrics import shape_metrics


@pytest.fixture(scope="module", params=[0, 20])
def seen(request):
    """An object of the world, and what a network that is never wrong makes of it."""
    one = world.object_sample(request.param, (161, 113))
    camera, box = one.sample.frame.camera, box_of(one.mask)
    view = ObjectView.of_box(camera, box)
    unit = view.frame(view.middle_m(one.points)).to_unit(one.points)
    return one, camera, box, SeenObject(np.zeros((8, 8, 3), np.uint8), view, unit)


def test_an_object_is_placed_by_the_depth_of_what_is_visible(seen):
    one, camera, box, made = seen
    truth = made.view.middle_m(one.points)
    for mask in (None, one.mask):
        distance = made.distance_m(one.sample.depth, camera, box, mask)
        assert distance == pytest.approx(truth, rel=0.03)
    cloud = made.cloud(distance, "camera")
    size = float(np.ptp(one.points, axis=0).max())
    assert shape_metrics(cloud.xyz, one.points)["chamfer"] < 0.05 * size
    assert cloud.fields == ("x", "y", "z", "guessed") and (cloud["guessed"] == 1).all()
    assert cloud.frame_id == "camera" and made.unit_cloud().xyz.shape == cloud.xyz.shape


def test_background_beside_the_object_does_not_count_with_a_mask(seen):
    one, camera, box, made = seen
    depth = np.where(one.mask, one.sample.depth, np.float32(0.01))
    distance = made.distance_m(depth, camera, box, one.mask)
    assert distance == pytest.approx(made.view.middle_m(one.points), rel=0.03)


def test_without_depth_an_object_cannot_be_placed(seen):
    one, camera, box, made = seen
    with pytest.raises(DataError, match="expected depth where the object is seen, got it at 0 of"):
        made.distance_m(np.full(one.mask.shape, np.nan, np.float32), camera, box)
